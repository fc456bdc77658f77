"""Notices to the provider's systems (R8)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from wiped.model.notices import Backlog, Notice


class NoticeStore(Protocol):
    """Notices to the provider's systems (R8).

    They are written by the other stores, in the transaction of what they report.
    """

    async def receive(self, kinds: Sequence[str]) -> None:
        """From now on these kinds have a receiver (() for none): the others are kept, and told in reports only."""

    async def find(self, *, subject: str = "", account: str = "", state: str = "", limit: int = 1000) -> tuple[Notice, ...]:
        """The newest `limit` notices, oldest first."""

    async def due(self, now: datetime, limit: int) -> tuple[Notice, ...]:
        """The first pending notice of each subject whose `next_at` has come: order per subject is kept by never handing out the second before the first."""

    async def note_delivery(self, notice_id: str, now: datetime, *, delivered: bool, fault: str = "", retry_at: datetime | None = None) -> None:
        """How an attempt ended; not delivered and no `retry_at`: dead (audited). Idempotent: one that is not pending stays as it is."""

    async def revive(self, now: datetime, operator: str) -> int:
        """Dead letters are tried again from the first attempt on (audited); how many."""

    async def backlog(self) -> Backlog:
        """How many wait, since when, and how many were given up."""

    async def tell_ending_holds(self, now: datetime, warning: int) -> tuple[str, ...]:
        """A notice for each hold that lifts within `warning` seconds, once per end; the ids of those."""
