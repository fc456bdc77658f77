"""Parameters that several commands share."""

from __future__ import annotations

from tests.fakes.service import UUID_TWIN, make_phone
from tests.unit.cli.conftest import Operator


def test_a_name_that_looks_like_an_option_is_still_a_name(operator: Operator) -> None:
    """libvirt allows a domain called --all."""
    operator.service.known.append(make_phone(UUID_TWIN, "-x"))
    assert operator.run("--output", "json", "explain", "-x").json["phone"]["uuid"] == UUID_TWIN
