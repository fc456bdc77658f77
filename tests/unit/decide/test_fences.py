"""What stops a phone before its time."""

from __future__ import annotations

import pytest

from tests.unit.decide.nouns import NOON, facts
from tests.unit.decide.situations import asked
from wiped.decide.fences import fencing, other_requests
from wiped.model.subscription import Action, Flag


@pytest.mark.parametrize("breaker_open", [False, True])
@pytest.mark.parametrize("fenced", [False, True])
def test_another_account_stops_it_unless_the_breaker_says_that_it_is_a_mistake(*, breaker_open: bool, fenced: bool) -> None:
    """A fence that stands already is no new act."""
    reasons, action, flags = fencing(facts(NOON, occupied_by_other=True, breaker_open=breaker_open, fenced=fenced))
    stopped = fenced or not breaker_open
    assert action is (Action.FENCE if stopped else Action.NONE)
    assert [reason.code for reason in reasons] == ["generation-occupied", *([] if stopped else ["breaker-open"])]
    assert flags == (() if stopped else (Flag.BREAKER,))


def test_what_a_person_asked_for_is_done_whatever_else_holds_it_back() -> None:
    """And all of it is told."""
    requests = (asked("deletion", "end - 1d"), asked("manual", "end - 1d"), asked("leak", "end - 1d"))
    seen = facts(NOON, occupied_by_other=True, breaker_open=True, suspended=True, requests=requests, clock_suspect=True)
    reasons, action, _ = fencing(seen)
    assert action is Action.FENCE
    assert [reason.code for reason in reasons] == ["generation-occupied", "breaker-open", "suspended", "deletion-requested", "leak-requested"]
    assert [reason.code for reason in other_requests(seen)] == ["manual-requested"]
    assert fencing(facts(NOON)) == ((), Action.NONE, ())
