"""`wipectl holds`."""

from __future__ import annotations

from tests.fakes.service import APPROVAL_ID, HOLD_ID
from tests.unit.cli.conftest import Operator


def test_a_hold_is_added_and_its_release_asks_for_another(operator: Operator) -> None:
    """Exit code 3 and the approval's id."""
    typed = ("holds", "add", "phone-one", "--authority", "Court", "--reference", "AZ", "--ground")
    assert operator.run(*typed, "others-rights", "--no-disclose").code == 0
    assert operator.service.asked[-1][1][4:7] == ("others-rights", None, False)
    assert operator.run(*typed, "because").code == 2
    ran = operator.run("holds", "release", HOLD_ID, "--reason", "lifted")
    assert (ran.code, f"wipectl approvals approve {APPROVAL_ID}" in ran.err) == (3, True)


def test_holds_are_listed(operator: Operator) -> None:
    """A line each, identifiers whole."""
    ran = operator.run("holds", "list")
    assert (HOLD_ID in ran.out, "District Court" in ran.out, "litigation" in ran.out) == (True, True, True)
