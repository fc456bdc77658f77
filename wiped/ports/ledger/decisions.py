"""What a lifecycle decision reads, and its conclusion."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from wiped.model.subscription import Decision, LifecycleFacts


class DecisionStore(Protocol):
    """What a lifecycle decision reads, and its conclusion."""

    async def due(self, now: datetime) -> tuple[str, ...]:
        """UUIDs whose `next_at` has come (indexed: does not grow with the phones whose time has not come), or that were touched since."""

    async def next_instant(self) -> datetime | None:
        """The earliest `next_at` of all."""

    async def facts(self, uuid: str, now: datetime) -> LifecycleFacts | None:
        """Everything recorded that the lifecycle decision reads, whether the breaker holds the phone back included; feed and clock are filled in by the
        caller."""

    async def conclude(self, uuid: str, decision: Decision, now: datetime) -> None:
        """Record a decision; audited when state, flags or action differ from the last."""

    async def touch_all(self) -> None:
        """Let every phone be decided again."""

    async def touch(self, uuid: str) -> None:
        """Decide this phone again in the next sweep."""
