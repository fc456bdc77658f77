"""`wipectl quarantine`."""

from __future__ import annotations

from tests.fakes.service import APPROVAL_ID, QUARANTINED, UUID_ONE
from tests.unit.cli.conftest import Operator


def test_quarantined_phones_are_listed_and_retried(operator: Operator) -> None:
    """By the phone's name; where nothing waits it says so."""
    assert operator.run("quarantine", "retry", "phone-one").code == 2
    operator.service.made = [QUARANTINED]
    listed = operator.run("quarantine", "list").out
    assert "not-sanitized" in listed
    assert "io-error" in listed
    assert operator.run("--output", "json", "quarantine", "retry", "phone-one").json["state"] == "queued"
    assert operator.service.asked[-1][0] == "retry"


def test_the_first_person_is_told_that_a_second_is_needed(operator: Operator) -> None:
    """Exit code 3 with the code, and the command that another person types."""
    words = ("quarantine", "dispose", "phone-one", "--reason", "burnt", "--reference", "CASE-1", "--confirm", "phone-one")
    operator.service.made = [QUARANTINED]
    ran = operator.run(*words)
    assert (ran.code, "needs-approval" in ran.err, f"wipectl approvals approve {APPROVAL_ID}" in ran.err) == (3, True, True)
    assert operator.service.asked[-1][1][:4] == (UUID_ONE, "burnt", "CASE-1", "phone-one")
