"""What is remembered of the host's clock, and an operator's word that it is right. Functions that take a connection run within its transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection

from wiped.model.clock import ClockMemory
from wiped.record import audit, conditions
from wiped.record.phones import touch_all
from wiped.record.sql.database import Database
from wiped.record.words import Sealed, Sealer, keep_words

_CLOCK = "clock"
_MEMORY = TypeAdapter(ClockMemory)


def memory_of(connection: Connection) -> ClockMemory | None:
    """`ClockStore.memory`."""
    value = conditions.value_of(connection, _CLOCK)
    return None if value is None else _MEMORY.validate_python(value)


def keep(connection: Connection, memory: ClockMemory, now: datetime, told: Mapping[str, Any] | None) -> None:
    """`ClockStore.keep`. A changed suspicion lets every phone be decided again: none changes by time while it lasts."""
    conditions.keep(connection, _CLOCK, _MEMORY.dump_python(memory, mode="json"))
    if told is not None:
        touch_all(connection)
        audit.append(connection, "clock", told, now)


def trust(connection: Connection, memory: ClockMemory, now: datetime, *, sealed: Sealed, operator: str) -> None:
    """`ClockStore.trust`."""
    before = memory_of(connection)
    keep(connection, memory, now, {"suspect": "", "was": before.suspect if before else "", "operator": operator})
    keep_words(connection, "clock", [("clock", *sealed)])


class SqlClock:
    """`ports.ledger.ClockStore` over SQLite."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._db = database
        self._sealer = sealer

    async def memory(self) -> ClockMemory | None:
        """See the port."""
        return await self._db.read(memory_of)

    async def keep(self, memory: ClockMemory, now: datetime, told: dict[str, Any] | None = None) -> None:
        """See the port."""
        await self._db.write(lambda c: keep(c, memory, now, told))

    async def trust(self, memory: ClockMemory, now: datetime, *, reason: str, operator: str) -> None:
        """See the port."""
        sealed = await self._sealer.host_note(reason)
        await self._db.write(lambda c: trust(c, memory, now, sealed=sealed, operator=operator))
