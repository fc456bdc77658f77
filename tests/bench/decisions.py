"""How long deciding takes: every one of many subscriptions decided once, some of them due."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from wiped.decide.lifecycle import decide
from wiped.model.policy import Policy, Safety
from wiped.model.subscription import Action, FeedStatus, LifecycleFacts, State, Subscription


def deciding_seconds(subscriptions: int, due: int) -> tuple[float, int]:
    """Seconds to decide for `subscriptions` phones of which `due` are due, and how many were decided to be wiped."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    policy, safety, feed = Policy(), Safety(), FeedStatus(complete_at=now, complete_answers=5)
    facts = []
    for index in range(subscriptions):
        end = now + timedelta(days=-3 if index < due else 20)
        term = Subscription(str(index), 1, "s", "acct-x", now - timedelta(days=60), end, now - timedelta(days=60))
        facts.append(LifecycleFacts(uuid=str(index), generation=1, subscription=term, recorded_state=State.ACTIVE, feed=feed))
    began = time.perf_counter()
    wipes = sum(decide(fact, policy, safety, now).action is Action.WIPE for fact in facts)
    return time.perf_counter() - began, wipes


if __name__ == "__main__":
    print("deciding for 100,000 subscriptions, {1} due: {0:.2f} s".format(*deciding_seconds(100_000, 1_000)))
