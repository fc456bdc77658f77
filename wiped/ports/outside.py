"""Billing's feed and the provider's receivers of notices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from wiped.model.notices import Backlog, Delivery, Notice
from wiped.model.subscription import (
    FeedStatus,
    FeedTaken,
    SubscriptionRecord,
)


class Feed(Protocol):
    """Where subscriptions come from."""

    async def poll(self) -> FeedStatus:
        """Ask for a complete answer and hand its records to the ledger; never raises for a bad answer: the status then keeps its old `complete_at`."""


class Outbox(Protocol):
    """The part of the memory that tells the provider's systems (R8). As `Ledger`, which includes it.

    Notices are written by the ledger's own calls, in the transaction of what they tell."""

    async def receive_notices(self, kinds: Sequence[str]) -> None:
        """From now on these kinds have a receiver (() for none): the others are kept, and told in reports only."""

    async def notices(self, *, subject: str = "", account: str = "", state: str = "", limit: int = 1000) -> tuple[Notice, ...]:
        """The newest `limit` notices, oldest first."""

    async def due_notices(self, now: datetime, limit: int) -> tuple[Notice, ...]:
        """The first pending notice of each subject whose `next_at` has come: order per subject is kept by never handing out the second before the first."""

    async def note_delivery(self, notice_id: str, now: datetime, *, delivered: bool, fault: str = "", retry_at: datetime | None = None) -> None:
        """How an attempt ended; not delivered and no `retry_at`: dead (audited). Idempotent: one that is not pending stays as it is."""

    async def revive_notices(self, now: datetime, operator: str) -> int:
        """Dead letters are tried again from the first attempt on (audited); how many."""

    async def notice_backlog(self) -> Backlog:
        """How many wait, since when, and how many were given up."""

    async def tell_ending_holds(self, now: datetime, warning: int) -> tuple[str, ...]:
        """A notice for each hold that lifts within `warning` seconds, once per end; the ids of those."""


class Courier(Protocol):
    """Carries one notice to its receiver. Never raises for what a receiver or the network does."""

    async def carry(self, notice: Notice, now: datetime) -> Delivery:
        """One attempt, bounded in time."""


class FeedLedger(Protocol):
    """The part of the memory that a feed needs; the same ledger. Synced, audited, LedgerError and then nothing, as `Ledger`."""

    async def record_answer(self, records: Sequence[SubscriptionRecord], now: datetime, *, source: str) -> FeedTaken:
        """A feed's records, each for itself: what is refused is told (once) and counted, the rest is taken. Revisions never go back."""

    async def bound_phones(self) -> int:
        """How many phones have a generation that has not ended."""

    async def host_condition(self, key: str) -> Any:
        """A JSON value that is kept for the whole host; None where there is none."""

    async def keep_host_condition(self, key: str, value: Any) -> None:
        """Keep it."""
