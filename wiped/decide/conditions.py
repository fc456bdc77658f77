"""What is in force, or not as it should be, when a phone's time has come, with its reasons. Pure. Which acts each of these stops: `decide.gate`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from wiped.decide import window
from wiped.decide.gate import Condition
from wiped.decide.triggers import Trigger
from wiped.model.instants import second_text
from wiped.model.policy import Policy, Safety
from wiped.model.subscription import FeedStatus, Hold, LifecycleFacts, Reason

#: A trigger without grace waits for this many complete answers of the feed (docs/design.md).
ANSWERS_WITHOUT_GRACE = 2

SUSPECT: Final = Reason("clock-suspect", "this host's clock cannot be trusted: nothing is concluded from time; see wipectl clock status")
BREAKER: Final = Reason("breaker-open", "too many phones fell due or would be stopped at once, which may be a mistake; see wipectl breaker status")


def trusted(feed: FeedStatus) -> tuple[bool, bool]:
    """Whether the feed has answered, and often enough for a trigger without grace: what waited for either is decided again when it comes."""
    return feed.complete_at is not None, feed.complete_answers >= ANSWERS_WITHOUT_GRACE


def _unconfirmed(facts: LifecycleFacts, trigger: Trigger, safety: Safety, now: datetime) -> Reason | None:
    """Why the feed does not confirm that this phone is due; None if it does. A stale feed confirms what it last answered after the due instant."""
    complete_at = facts.feed.complete_at
    if complete_at is None:
        return Reason("feed-stale", "the feed has not given a complete answer yet: absent is not expired")
    fresh = now - complete_at <= timedelta(seconds=safety.feed_max_age)
    if complete_at > now + timedelta(seconds=safety.max_clock_step):
        return Reason("clock-suspect", "the feed's last complete answer lies in the future")
    if not fresh and complete_at < trigger.due_at:
        return Reason("feed-stale", f"no complete answer since {second_text(complete_at)}: a renewal may have been missed", complete_at)
    if trigger.without_grace and not trusted(facts.feed)[1]:
        return Reason("not-settled", "a trigger without grace waits for two complete answers of the feed")
    return None


def conditions(
    facts: LifecycleFacts, trigger: Trigger, holds: tuple[Hold, ...], *, policy: Policy, safety: Safety, now: datetime
) -> dict[Condition, tuple[Reason, ...]]:
    """What is in force, or not as it should be, when a phone's time has come, each with its reasons, in the policy's order."""
    found: dict[Condition, tuple[Reason, ...]] = {}
    if holds:
        found[Condition.LEGAL_HOLD] = tuple(Reason("legal-hold", f"hold {hold.id} on ground {hold.ground}: kept, never erased", hold.until) for hold in holds)
    if facts.protected:
        found[Condition.PROTECTED] = (Reason("protected", "an operator protects this phone: stopped, fenced and kept"),)
    if facts.clock_suspect:
        found[Condition.CLOCK_SUSPECT] = (SUSPECT,)
    unconfirmed = _unconfirmed(facts, trigger, safety, now)
    if unconfirmed is not None:
        found.setdefault(Condition(unconfirmed.code), (unconfirmed,))
    if facts.breaker_open:
        found[Condition.BREAKER_OPEN] = (BREAKER,)
    if not (trigger.urgent or trigger.one_by_one or now >= trigger.overdue_at or window.is_open(policy.window, now)):
        opens = window.opens_at(policy.window, now) if policy.window else None
        told = "it waits for the maintenance window" + (f", which opens at {second_text(opens)}" if opens else "")
        found[Condition.OUTSIDE_WINDOW] = (Reason("outside-window", told, opens),)
    return found
