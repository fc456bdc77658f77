"""`wipectl` for suspension, requests, holds, approvals, drains and reports: as they are typed, and what they leave behind."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

import pytest

from tests.fakes.service import APPROVAL, APPROVAL_ID, DRAIN, DRAIN_ID, HOLD_ID, REQUEST_ID, UUID_ONE
from tests.unit.cli.conftest import Operator
from wiped.errors import RefusedError

ACCOUNT = "customer-4711@example.org"


@pytest.mark.parametrize("verb", ["suspend", "resume", "protect", "unprotect"])
def test_a_phone_is_marked_by_its_name(operator: Operator, verb: str) -> None:
    """With a reason, without which nothing is asked."""
    ran = operator.run(verb, "phone-one", "--reason", "why not")
    assert (ran.code, operator.service.asked[-1][0], UUID_ONE in ran.out) == (0, verb, True)
    assert operator.run(verb, "phone-one").code == 2


def test_a_request_says_what_the_other_person_types(operator: Operator) -> None:
    """On standard error; the document on standard output is one."""
    typed = ("requests", "add", "phone-one", "--kind", "deletion", "--ground", "no-consent", "--reference", "CASE-7", "--confirm", "phone-one")
    ran = operator.run("--output", "json", *typed)
    assert (ran.code, ran.json["id"]) == (0, REQUEST_ID)
    assert f"another person; each types: wipectl approvals approve {APPROVAL_ID}" in ran.err
    operator.service.alone = True
    assert operator.run(*typed).err == ""


def test_an_account_is_read_from_standard_input(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """It and its confirmation, a line each: neither stands in a process list."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{ACCOUNT}\n{ACCOUNT}\n"))
    ran = operator.run("requests", "add", "--account", "-", "--confirm", "-", "--kind", "cancellation", "--reference", "R")
    assert ran.code == 0
    asked = operator.service.asked[-1][1]
    assert (asked[0], asked[2], asked[3], asked[6]) == ("cancellation", "", ACCOUNT, ACCOUNT)
    assert ACCOUNT not in ran.out + ran.err


@pytest.mark.parametrize("what", [(), ("phone-one", "--account", "x")])
def test_a_request_is_on_a_phone_or_an_account(operator: Operator, what: tuple[str, ...]) -> None:
    """Exactly one of them: usage."""
    ran = operator.run("requests", "add", *what, "--kind", "leak", "--reference", "R", "--confirm", "x")
    assert (ran.code, [name for name, _ in operator.service.asked if name == "add_request"]) == (2, [])


def test_requests_and_holds_are_listed(operator: Operator) -> None:
    """A line each, identifiers whole."""
    assert REQUEST_ID in operator.run("requests", "list", "--phone", "phone-one").out
    ran = operator.run("holds", "list")
    assert (HOLD_ID in ran.out, "District Court" in ran.out, "litigation" in ran.out) == (True, True, True)


def test_a_hold_is_added_and_its_release_asks_for_another(operator: Operator) -> None:
    """Exit code 3 and the approval's id."""
    typed = ("holds", "add", "phone-one", "--authority", "Court", "--reference", "AZ", "--ground")
    assert operator.run(*typed, "others-rights", "--no-disclose").code == 0
    assert operator.service.asked[-1][1][4:7] == ("others-rights", None, False)
    assert operator.run(*typed, "because").code == 2
    ran = operator.run("holds", "release", HOLD_ID, "--reason", "lifted")
    assert (ran.code, f"wipectl approvals approve {APPROVAL_ID}" in ran.err) == (3, True)


def test_a_wipe_that_takes_two_says_so(operator: Operator) -> None:
    """Exit code 3, the codes, and what the second person types; said once."""
    line = f"takes two: wipectl approvals approve {APPROVAL_ID}"
    operator.service.fails["request_wipe"] = RefusedError(line, codes=("subscription-active", "needs-approval"), approval=APPROVAL_ID)
    ran = operator.run("wipe", "phone-one", "--reason", "r", "--confirm", "phone-one")
    assert (ran.code, ran.err.count(f"approve {APPROVAL_ID}"), "needs-approval" in ran.err) == (3, 1, True)


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


def test_a_drain_is_started_shown_and_cancelled(operator: Operator) -> None:
    """The one in force needs no id; without one there is nothing to cancel."""
    ran = operator.run("drain", "start", "--at", "2026-12-31T00:00:00Z", "--reason", "closing")
    assert (ran.code, DRAIN_ID in ran.out, "cancelled" in ran.err) == (0, True, True)
    assert "product basic" in operator.run("drain", "status").out
    assert (operator.run("drain", "cancel", "--reason", "stays").code, operator.service.asked[-1][1][0]) == (0, DRAIN_ID)
    operator.service.draining = [DRAIN, DRAIN]
    assert operator.run("drain", "cancel", "--reason", "stays").code == 2
    operator.service.draining = []
    assert operator.run("drain", "cancel", "--reason", "stays").code == 2


def test_reports_are_files_of_their_owner(operator: Operator, tmp_path: Path) -> None:
    """JSON or a page by the file's ending, mode 0600 even over an open one; standard output else."""
    page = tmp_path / "report.html"
    page.touch(0o644)
    assert operator.run("reports", "subject", "--account", ACCOUNT, "-o", str(page)).code == 0
    assert (page.read_text().startswith("<!doctype html>"), stat.S_IMODE(os.stat(page).st_mode)) == (True, 0o600)
    ran = operator.run("reports", "period", "--from", "2026-01-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z")
    assert (ran.code, ran.json["kind"]) == (0, "period")
    assert operator.run("reports", "period", "--from", "2026-01-01", "--to", "2026-02-01T00:00:00Z").code == 2


def test_explain_tells_the_story_first(operator: Operator) -> None:
    """Sentences before the facts."""
    ran = operator.run("explain", "phone-one")
    assert (ran.code, ran.out.splitlines()[0].startswith("The phone is grace since"), "Next: it becomes due at" in ran.out) == (0, True, True)
