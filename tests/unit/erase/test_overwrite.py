"""The patterns of the passes."""

from __future__ import annotations

import pytest

from tests.unit.erase.test_remove import DIGEST
from wiped.erase.overwrite import Order, patterns
from wiped.storage.keystream import Keystream


@pytest.mark.parametrize("passes", [1, 2, 4])
def test_the_last_pass_is_always_the_keystream_of_its_number(passes: int) -> None:
    """Zeros may come first, never last: they would prove nothing."""
    order = Order("a", bytes(32), DIGEST, passes)
    filled = []
    for pattern in patterns(order):
        buffer = bytearray(b"x" * 64)
        pattern.fill(buffer, 4096)
        filled.append(bytes(buffer))
    expected = bytearray(64)
    Keystream(bytes(32), "a", passes).fill(expected, 4096)
    assert filled[-1] == expected
    assert len(set(filled)) == passes
    assert filled[0] == bytes(64) or passes == 1
