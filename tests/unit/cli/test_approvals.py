"""`wipectl approvals`."""

from __future__ import annotations

from tests.fakes.service import APPROVAL, APPROVAL_ID
from tests.unit.cli.conftest import Operator


def test_approvals_are_looked_at_and_rejected(operator: Operator) -> None:
    """The list, one whole with its command, and a no with a reason."""
    assert APPROVAL_ID in operator.run("approvals", "list", "--all").out
    ran = operator.run("approvals", "show", APPROVAL_ID)
    assert (ran.code, APPROVAL.fingerprint in ran.out, f"wipectl approvals approve {APPROVAL_ID}" in ran.out) == (0, True, True)
    ran = operator.run("approvals", "reject", APPROVAL_ID, "--reason", "no")
    assert (ran.code, "rejected" in ran.out) == (0, True)


def test_an_operator_alone_cannot_approve(operator: Operator) -> None:
    """Exit code 77; the service is not even asked."""
    ran = operator.run("approvals", "approve", APPROVAL_ID)
    assert (ran.code, [name for name, _ in operator.service.asked if name == "approve"]) == (77, [])
