"""Legal holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from wiped.model.subscription import AccountReference, Hold


class HoldStore(Protocol):
    """Legal holds."""

    async def add(self, hold: Hold, now: datetime, operator: str, *, reason: str = "") -> None:
        """A legal hold, its words sealed; honoured from the moment of return (I7)."""

    async def add_for_account(self, hold: Hold, account: AccountReference, now: datetime, operator: str, *, reason: str) -> Hold:
        """A legal hold on an account: on every phone that it has, and on each that it gets while the hold is in force (R9). Authority,
        reference and reason are sealed."""

    async def release(self, hold_id: str, now: datetime, operator: str) -> None:
        """Lift a hold."""

    async def in_force(self) -> tuple[Hold, ...]:
        """All holds in force."""

    async def on(self, account: AccountReference, uuids: Sequence[str]) -> tuple[Hold, ...]:
        """Holds in force on the account or on these phones."""
