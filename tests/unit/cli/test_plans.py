"""`wipectl plan`."""

from __future__ import annotations

from tests.fakes.service import UUID_ONE, UUID_TWO
from tests.unit.cli.conftest import Operator


def test_a_phone_is_named_by_uuid_or_name(operator: Operator) -> None:
    """Names are resolved by the daemon; what follows goes by UUID."""
    assert operator.run("--output", "json", "plan", "phone-one").json["phone"]["uuid"] == UUID_ONE
    assert operator.service.asked[-1] == ("plan", (UUID_ONE,))
    assert operator.run("--output", "json", "plan", UUID_TWO).json["refusals"][0]["code"] == "hard-link"
