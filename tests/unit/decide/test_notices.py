"""Which notices a changed decision means, and which of them were told already."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.clock import START
from wiped.decide.notices import REFUSED_AGAIN, SILENT, Before, Last, Told, fault, is_news, of_decision
from wiped.model.instants import instant_text
from wiped.model.notices import Backlog, NoticeKind
from wiped.model.subscription import Action, Decision, Flag, State

DAY = timedelta(days=1)
END, DUE_AT = START + 2 * DAY, START + 3 * DAY
BEFORE = Before(State.ACTIVE, (), DUE_AT, (), END)


def decision(state: State, *flags: Flag, notices: tuple[int, ...] = (), **more: Any) -> Decision:
    """One with a due instant."""
    return Decision(state, flags, Action.NONE, None, None, (), due_at=DUE_AT, notices=notices, **more)


def kinds(before: Before, made: Decision, hours: float = 0) -> list[str]:
    """What is told, in order, that many hours after START."""
    return [str(told.kind) for told in of_decision(before, made, START + timedelta(hours=hours))]


@pytest.mark.parametrize(
    ("before", "made", "hours", "told"),
    [
        (BEFORE, decision(State.ACTIVE), 0, []),
        (BEFORE, decision(State.NOTICE, notices=(86_400,)), 24, ["phone.expiring"]),
        (replace(BEFORE, state=State.NOTICE, reached=(86_400,)), decision(State.NOTICE, notices=(86_400,)), 25, []),
        (replace(BEFORE, state=State.NOTICE, reached=(86_400,)), decision(State.NOTICE, notices=(86_400, 3_600)), 47, ["phone.expiring"]),
        (replace(BEFORE, state=State.NOTICE, reached=(86_400,)), decision(State.GRACE), 48, ["phone.expired", "phone.wipe-scheduled"]),
        (replace(BEFORE, state=State.GRACE), decision(State.GRACE), 49, []),
        (replace(BEFORE, state=State.GRACE), decision(State.DUE), 72, ["phone.expired"]),
        (replace(BEFORE, state=State.DUE), decision(State.DUE), 73, []),
        (replace(BEFORE, state=State.DUE), decision(State.DUE, Flag.HELD), 73, ["phone.held"]),
        (replace(BEFORE, state=State.DUE, flags=("held",)), decision(State.DUE, Flag.HELD), 74, []),
        (BEFORE, decision(State.ACTIVE, Flag.HELD), 0, []),
        (replace(BEFORE, state=State.GRACE, flags=("held",)), decision(State.DUE, Flag.HELD), 72, ["phone.expired", "phone.held"]),
        (BEFORE, decision(State.GRACE, trigger="deletion", ground="no-consent"), 1, ["phone.wipe-scheduled"]),
        (replace(BEFORE, codes=("in-use",)), decision(State.DUE, Flag.REFUSED), 1, ["phone.wipe-scheduled", "phone.refused"]),
        (replace(BEFORE, expires_at=None, occupied=True), decision(State.UNBOUND, Flag.REFUSED), 1, ["phone.refused"]),
        (replace(BEFORE, expires_at=None), decision(State.UNBOUND), 1, []),
    ],
)
def test_what_a_decision_means(before: Before, made: Decision, hours: float, told: list[str]) -> None:
    """One row for each change that the outside hears of, and for those that it does not."""
    assert kinds(before, made, hours) == told


def test_of_several_instants_reached_at_once_the_nearest_is_told() -> None:
    """A host that was down for a week does not send the history of its silence."""
    (told,) = of_decision(BEFORE, decision(State.NOTICE, notices=(604_800, 86_400, 3_600)), END - timedelta(hours=1))
    assert told.data == {"expires_at": instant_text(END), "notice_seconds": 3_600}


def test_an_expiring_notice_is_news_once_per_instant_and_end() -> None:
    """Nearer instants and other ends are news; the same, or one farther away, are not."""
    told = Told(NoticeKind.EXPIRING, {"expires_at": instant_text(END), "notice_seconds": 3_600})
    last = Last(told.data, START)
    assert is_news(told, None, START)
    assert not is_news(told, last, START)
    assert is_news(told, replace(last, data={**told.data, "notice_seconds": 86_400}), START)
    assert not is_news(told, replace(last, data={**told.data, "notice_seconds": 60}), START)
    assert is_news(told, replace(last, data={**told.data, "expires_at": instant_text(END + DAY)}), START)


def test_a_refusal_is_news_when_it_is_another_or_came_back_after_a_day() -> None:
    """The plan is made again every few minutes; the outside is not told as often."""
    told = Told(NoticeKind.REFUSED, {"codes": ["in-use"]})
    last = Last({"codes": ["in-use"]}, START)
    assert not is_news(told, last, START + timedelta(minutes=5))
    assert is_news(told, last, START + REFUSED_AGAIN)
    assert not is_news(replace(told, fresh=False), last, START + REFUSED_AGAIN)
    assert is_news(told, replace(last, data={"codes": ["drift"]}), START)


def test_a_schedule_is_news_when_it_changes() -> None:
    """Another due instant, or another trigger for the same."""
    told = Told(NoticeKind.WIPE_SCHEDULED, {"due_at": instant_text(DUE_AT), "trigger": "expiry", "ground": "service-ended"})
    assert not is_news(told, Last(dict(told.data), START), START)
    assert is_news(told, Last({**told.data, "trigger": "deletion"}, START), START)


def test_what_waits_too_long_or_was_given_up_is_a_fault() -> None:
    """A short wait is none."""
    assert fault(Backlog(), START) == ""
    assert fault(Backlog(3, START), START + SILENT / 2) == ""
    assert "3 notices wait" in fault(Backlog(3, START), START + SILENT)
    assert "2 notices were given up" in fault(Backlog(3, START, 2), START)
