"""A term, and the operator who records it: what several test files tell stories about."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.conduct.rig import Rig
from wiped.model.approvals import Person
from wiped.model.subscription import AccountReference, SubscriptionRecord

ALICE = Person("alice", 1001)


def term(rig: Rig, uuid: str, *, seconds: float = 600, policy: str = "default", account: str = "acct-1") -> SubscriptionRecord:
    """A term that ends `seconds` from now."""
    now = rig.clock.now()
    return SubscriptionRecord(uuid, "s-1", AccountReference(account), now - timedelta(days=1), now + timedelta(seconds=seconds), policy=policy)
