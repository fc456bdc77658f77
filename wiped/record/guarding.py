"""The part of the ledger that keeps the guards against mass mistakes: breaker and clock. The rules of the tables are in `massmistakes`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from wiped.errors import InputError
from wiped.model.breaker_and_clock import BreakerRecord, ClockMemory, DueCount
from wiped.model.policy import Safety
from wiped.record import asks, massmistakes
from wiped.record.sql.database import Database

#: Words about the host itself are sealed under a slot of its own.
_ABOUT_HOST = "host"


class GuardingLedger:
    """Mixed into `SqlLedger`, which owns the database and the vault."""

    _db: Database

    async def _seal_words(self, about: str, generation: int, words: str) -> asks.Sealed:
        raise NotImplementedError

    async def breaker(self) -> BreakerRecord:
        """See `ports.Ledger`."""
        return await self._db.read(massmistakes.breaker)

    async def count_due(self, found: Sequence[tuple[str, int]], now: datetime, safety: Safety) -> DueCount:
        """See `ports.Ledger`. Costs no write where every phone is counted already."""
        fresh = await self._db.read(lambda c: massmistakes.uncounted(c, found))
        if not fresh:
            return DueCount((), opened=False, breaker=await self.breaker())
        return await self._db.write(lambda c: massmistakes.count_due(c, fresh, now, safety))

    async def release_breaker(self, now: datetime, *, fingerprint: str, reason: str, operator: str, approver: str) -> BreakerRecord:
        """See `ports.Ledger`."""
        sealed = await self._seal_for_host(reason)
        return await self._db.write(lambda c: massmistakes.release(c, now, fingerprint=fingerprint, sealed=sealed, operator=operator, approver=approver))

    async def clock_memory(self) -> ClockMemory | None:
        """See `ports.Ledger`."""
        return await self._db.read(massmistakes.clock)

    async def keep_clock(self, memory: ClockMemory, now: datetime, told: dict[str, Any] | None = None) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: massmistakes.keep_clock(c, memory, now, told))

    async def trust_clock(self, memory: ClockMemory, now: datetime, *, reason: str, operator: str) -> None:
        """See `ports.Ledger`."""
        sealed = await self._seal_for_host(reason)
        await self._db.write(lambda c: massmistakes.trust_clock(c, memory, now, sealed=sealed, operator=operator))

    async def _seal_for_host(self, words: str) -> massmistakes.Sealed:
        sealed = await self._seal_words(_ABOUT_HOST, 0, words)
        if sealed is None:
            raise InputError("must not be empty", where="reason")
        return sealed
