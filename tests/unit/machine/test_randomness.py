"""Identifiers, names and secrets from the kernel's generator."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from wiped.machine.randomness import KernelRandomness


def test_identifiers_are_uuids_of_version_seven_in_order() -> None:
    """RFC 9562: version and variant bits, and milliseconds in front."""
    randomness = KernelRandomness()
    made = [randomness.identifier() for _ in range(50)]
    assert len(set(made)) == 50
    for text in made:
        assert (uuid.UUID(text).version, uuid.UUID(text).variant) == (7, uuid.RFC_4122)
    first, last = int(made[0].replace("-", "")[:12], 16), int(made[-1].replace("-", "")[:12], 16)
    assert first <= last
    assert abs(last / 1000 - datetime.now(UTC).timestamp()) < 60
    assert len(randomness.seed()) == 32
    assert randomness.name() != randomness.name()
