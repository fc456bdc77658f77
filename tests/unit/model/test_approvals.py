"""What people ask for, hold and approve: the closed words and who counts as one particular person."""

from __future__ import annotations

import pytest

from wiped.model.approvals import ASKED, ERASING, FENCING, GROUNDS, UNDISCLOSED, HoldGround, Person, RequestKind


def test_every_kind_of_request_has_its_grounds() -> None:
    """No kind without a ground; a leak fences and never erases; a drain and a manual wipe are not asked for by `requests add`."""
    assert set(GROUNDS) == set(RequestKind)
    assert all(GROUNDS.values())
    assert set(RequestKind) - ERASING == {RequestKind.LEAK}
    assert RequestKind.LEAK in FENCING
    assert set(RequestKind) - set(ASKED) == {RequestKind.MANUAL, RequestKind.DRAIN}


def test_what_is_not_told_are_grounds_of_security_and_crime() -> None:
    """The others may be named to the data subject."""
    assert {HoldGround.NATIONAL_SECURITY, HoldGround.PUBLIC_SECURITY, HoldGround.CRIMINAL_INVESTIGATION} == UNDISCLOSED


@pytest.mark.parametrize(
    ("name", "uid", "somebody"), [("alice", 1000, True), ("token", -1, True), ("root", 0, False), ("sudo", 0, False), ("daemon", 1, False), ("", 7, False)]
)
def test_a_shared_account_is_nobody_in_particular(name: str, uid: int, somebody: bool) -> None:
    """uid 0 and the names that several people bear."""
    assert Person(name, uid).somebody is somebody
