"""Which phones exist, and what is recorded of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from wiped.model.inventory import DomainFacts
from wiped.model.records import PhoneRecord


class PhoneStore(Protocol):
    """Which phones exist, and what is recorded of each."""

    async def see(self, domains: Sequence[DomainFacts], now: datetime) -> None:
        """Record which domains exist: new ones `unbound`, renamed ones renamed, missing ones not present (audited `vanished` once)."""

    async def find(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        """All phones, or those in `states`, by name."""

    async def get(self, uuid: str) -> PhoneRecord | None:
        """One phone by UUID."""

    async def named(self, name: str) -> tuple[PhoneRecord, ...]:
        """Phones of that exact name (present ones first)."""

    async def mark(self, uuid: str, *, fenced: bool | None = None, suspended: bool | None = None, protected: bool | None = None, stopped: bool | None = None,
                   refusals: Sequence[str] | None = None, reason: str = "", operator: str = "daemon") -> None:  # fmt: skip
        """Set facts about a phone (audited when they change)."""

    async def counts(self) -> dict[str, int]:
        """Phones by state (all states present)."""
