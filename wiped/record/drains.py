"""Announced ends of this host, or of a product on it (R7). Functions that take a connection run within its transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select, text, update

from wiped.errors import InputError, NotFoundError
from wiped.model.approvals import Drain
from wiped.model.instants import instant_text
from wiped.ports.machine import Clock
from wiped.record import audit, notices
from wiped.record.phones import touch_all
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow
from wiped.record.words import Sealer, Words, keep_words


def drain_of(row: AnyRow) -> Drain:
    """A row of `drains`."""
    return Drain(
        id=row.id,
        at=row.at,
        product=row.product,
        announced_at=row.announced_at,
        operator=row.operator,
        approved=row.approved,
        approver=row.approver,
        cancelled_at=row.cancelled_at,
    )


def in_force(connection: Connection) -> tuple[Drain, ...]:
    """`DrainStore.in_force`."""
    return tuple(
        drain_of(row) for row in connection.execute(select(tables.drains).where(text("cancelled_at IS NULL")).order_by(tables.drains.c.at, tables.drains.c.id))
    )


def announce(connection: Connection, drain: Drain, words: Sequence[Words], now: datetime) -> Drain:
    """`DrainStore.announce`."""
    if any(other.product == drain.product for other in in_force(connection)):
        raise InputError("one is in force already: wipectl drain status", where="drain")
    announced = replace(drain, announced_at=now)
    connection.execute(
        tables.drains.insert().values(id=drain.id, product=drain.product, at=drain.at, announced_at=now, operator=drain.operator, approved=False, approver="")
    )
    keep_words(connection, drain.id, words)
    told = {"id": drain.id, "product": drain.product, "at": instant_text(drain.at), "operator": drain.operator}
    audit.append(connection, "drain-announced", told, now)
    notices.drain_told(connection, announced, now)
    touch_all(connection)
    return announced


def change(connection: Connection, drain_id: str, now: datetime, *, approver: str, cancelled: bool, operator: str) -> Drain:
    """`DrainStore.change`."""
    row = connection.execute(select(tables.drains).where(tables.drains.c.id == drain_id)).first()
    if row is None:
        raise NotFoundError("no such drain", where="drain")
    if row.cancelled_at is not None:
        return drain_of(row)
    if cancelled:
        if now >= row.at:
            raise InputError("it has begun: it can be cancelled until its date only", where="drain")
        connection.execute(update(tables.drains).where(tables.drains.c.id == drain_id).values(cancelled_at=now))
        audit.append(connection, "drain-cancelled", {"id": drain_id, "operator": operator, "approver": approver}, now)
    elif approver and not row.approved:
        connection.execute(update(tables.drains).where(tables.drains.c.id == drain_id).values(approved=True, approver=approver))
        audit.append(connection, "drain-approved", {"id": drain_id, "operator": row.operator, "approver": approver}, now)
    found = drain_of(connection.execute(select(tables.drains).where(tables.drains.c.id == drain_id)).one())
    if cancelled:
        notices.drain_told(connection, found, now)
    touch_all(connection)
    return found


class SqlDrains:
    """`ports.ledger.DrainStore` over SQLite."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._db = database
        self._sealer = sealer
        self._clock = clock

    async def announce(self, drain: Drain, *, reason: str) -> Drain:
        """See the port."""
        now = self._clock.now()
        words = await self._sealer.sealed(await self._sealer.own_slot("host"), {"reason": reason})
        return await self._db.write(lambda c: announce(c, drain, words, now))

    async def in_force(self) -> tuple[Drain, ...]:
        """See the port."""
        return await self._db.read(in_force)

    async def change(self, drain_id: str, now: datetime, *, approver: str = "", cancelled: bool = False, operator: str = "") -> Drain:
        """See the port."""
        return await self._db.write(lambda c: change(c, drain_id, now, approver=approver, cancelled=cancelled, operator=operator))
