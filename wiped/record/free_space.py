"""What was done about the free space of filesystems after a wipe's removals (docs/physics.md 3).

Functions that take a connection run within its transaction.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from wiped.errors import InvariantError
from wiped.ports.machine import Clock
from wiped.record import audit
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.wipes import HANDS, row_of
from wiped.wire.messages import Trimmed


def record(connection: Connection, wipe_id: str, device: int, answer: Trimmed, now: datetime) -> None:
    """`FreeSpaceStore.record`."""
    row = row_of(connection, wipe_id)
    if row.step not in HANDS:
        raise InvariantError("I7", f"free space for a wipe at {row.step}")
    values = {"wipe_id": wipe_id, "device": device, "method": answer.method, "bytes": answer.bytes, "at": now}
    connection.execute(tables.trims.insert().prefix_with("OR REPLACE").values(**values, detail=answer.detail))
    told = {"wipe_id": wipe_id, "uuid": row.uuid, "device": device, "method": answer.method, "bytes": answer.bytes}
    audit.append(connection, "trimmed", told, now)


def methods(connection: Connection, wipe_id: str) -> dict[int, str]:
    """`FreeSpaceStore.methods`."""
    return {row.device: row.method for row in connection.execute(select(tables.trims.c.device, tables.trims.c.method).where(tables.trims.c.wipe_id == wipe_id))}


class SqlFreeSpace:
    """`ports.ledger.FreeSpaceStore` over SQLite."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    async def record(self, wipe_id: str, device: int, answer: Trimmed) -> None:
        """See the port."""
        now = self._clock.now()
        await self._db.write(lambda c: record(c, wipe_id, device, answer, now))

    async def methods(self, wipe_id: str) -> dict[int, str]:
        """See the port."""
        return await self._db.read(lambda c: methods(c, wipe_id))
