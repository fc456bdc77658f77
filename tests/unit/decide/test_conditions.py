"""What is in force, or not as it should be, when a phone's time has come."""

from __future__ import annotations

from tests.unit.decide.nouns import DAY, HOUR, NOON, facts, subscription
from tests.unit.decide.situations import NIGHT, POLICY, SAFETY, hold
from wiped.decide.conditions import conditions, trusted
from wiped.decide.gate import Condition
from wiped.decide.triggers import binding
from wiped.model.policy import Policy
from wiped.model.subscription import FeedStatus

NOW = NOON + 2 * DAY


def found(policy: Policy = POLICY, **changes: object) -> list[Condition]:
    """The conditions of a due phone, in their order."""
    seen = facts(NOW, **changes)
    trigger = binding(seen, seen.subscription or subscription(), policy, SAFETY, NOW)
    return list(conditions(seen, trigger, seen.holds, policy=policy, safety=SAFETY, now=NOW))


def test_each_condition_is_seen_in_the_policys_order() -> None:
    """A hold before everything, the window last; each with a reason."""
    assert found() == []
    assert found(NIGHT, holds=(hold(),), protected=True, clock_suspect=True, feed=FeedStatus(None), breaker_open=True) == [
        Condition.LEGAL_HOLD,
        Condition.PROTECTED,
        Condition.CLOCK_SUSPECT,
        Condition.FEED_STALE,
        Condition.BREAKER_OPEN,
        Condition.OUTSIDE_WINDOW,
    ]


def test_a_feed_that_answers_in_the_future_makes_the_clock_suspect_once() -> None:
    """Whichever of the two said so."""
    assert found(feed=FeedStatus(NOW + HOUR, 9)) == [Condition.CLOCK_SUSPECT]
    assert found(feed=FeedStatus(NOW + HOUR, 9), clock_suspect=True) == [Condition.CLOCK_SUSPECT]


def test_a_feed_is_trusted_in_two_steps() -> None:
    """Its first whole answer, and the second for what has no grace."""
    assert [trusted(FeedStatus(at, number)) for at, number in ((None, 0), (NOW, 1), (NOW, 2))] == [(False, False), (True, False), (True, True)]
