"""Announced ends of this host, or of a product on it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from wiped.model.approvals import Drain


class DrainStore(Protocol):
    """Announced ends of this host, or of a product on it."""

    async def announce(self, drain: Drain, *, reason: str) -> Drain:
        """A drain (audited, told by a notice). InputError when one of the same host or product is in force."""

    async def in_force(self) -> tuple[Drain, ...]:
        """Those in force."""

    async def change(self, drain_id: str, now: datetime, *, approver: str = "", cancelled: bool = False, operator: str = "") -> Drain:
        """Approved by a second person, or cancelled before its date (audited). Raises InputError once it has begun."""
