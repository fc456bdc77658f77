"""Billing's feed and the provider's receivers of notices."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from wiped.model.notices import Delivery, Notice
from wiped.model.subscription import FeedStatus


class Feed(Protocol):
    """Where subscriptions come from."""

    async def poll(self) -> FeedStatus:
        """Ask for a complete answer and hand its records to the ledger; never raises for a bad answer: the status then keeps its old `complete_at`."""


class Courier(Protocol):
    """Carries one notice to its receiver. Never raises for what a receiver or the network does."""

    async def carry(self, notice: Notice, now: datetime) -> Delivery:
        """One attempt, bounded in time."""
