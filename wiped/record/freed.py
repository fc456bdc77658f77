"""What was done about the free space of filesystems after a wipe's removals (docs/physics.md 3). Functions run within a transaction and take its connection."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from wiped.errors import InvariantError
from wiped.ports.machine import Clock
from wiped.record import audit
from wiped.record.sql.database import Database
from wiped.record.sql.schema import trims
from wiped.record.wipes import HANDS, row_of
from wiped.wire.messages import Trimmed


def record(connection: Connection, wipe_id: str, device: int, answer: Trimmed, now: datetime) -> None:
    """`Ledger.record_trimmed`."""
    row = row_of(connection, wipe_id)
    if row.step not in HANDS:
        raise InvariantError("I7", f"free space for a wipe at {row.step}")
    values = {"wipe_id": wipe_id, "device": device, "method": answer.method, "bytes": answer.bytes, "at": now}
    connection.execute(trims.insert().prefix_with("OR REPLACE").values(**values, detail=answer.detail))
    told = {"wipe_id": wipe_id, "uuid": row.uuid, "device": device, "method": answer.method, "bytes": answer.bytes}
    audit.append(connection, "trimmed", told, now)


def methods(connection: Connection, wipe_id: str) -> dict[int, str]:
    """`Ledger.trimmed`."""
    return {row.device: row.method for row in connection.execute(select(trims.c.device, trims.c.method).where(trims.c.wipe_id == wipe_id))}


class FreedLedger:
    """Mixed into `SqlLedger`, which owns the database and the clock."""

    _db: Database
    _clock: Clock

    async def record_trimmed(self, wipe_id: str, device: int, answer: Trimmed) -> None:
        """See `ports.Ledger`."""
        now = self._clock.now()
        await self._db.write(lambda c: record(c, wipe_id, device, answer, now))

    async def trimmed(self, wipe_id: str) -> dict[int, str]:
        """See `ports.Ledger`."""
        return await self._db.read(lambda c: methods(c, wipe_id))
