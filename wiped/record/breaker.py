"""The circuit breaker: which phones were counted as newly due, and which wait behind it. Functions that take a connection run within its transaction.

A phone is counted once for as long as it stays due: one open row of (uuid, generation), which ends when a decision finds it not due any more. A released
row may be wiped, whatever opens the breaker after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, func, select, text, update

from wiped.decide import breaker as rules
from wiped.errors import InputError, InvariantError, RefusedError
from wiped.model.breaker import BreakerRecord, CountedPhone, DueCount
from wiped.model.plan import RefusalCode
from wiped.model.policy import Safety
from wiped.model.subscription import State
from wiped.record import audit, notices
from wiped.record.phones import touch_due
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.words import Sealed, Sealer, keep_words

#: A phone in one of these is beyond the breaker: its wipe spoke its last word, or is over.
_BEYOND = (State.ERASING, State.VERIFYING, State.WIPED, State.QUARANTINED, State.RELEASED, State.RECYCLED, State.DISPOSED)
#: How long counted phones that are not due any more are remembered.
_REMEMBERED = timedelta(days=30)


def _newest(connection: Connection) -> Any:
    return connection.execute(select(tables.breakers).order_by(tables.breakers.c.id.desc()).limit(1)).first()


def is_open(connection: Connection) -> bool:
    """Whether the breaker is open."""
    return connection.execute(select(tables.breakers.c.id).where(text("released_at IS NULL")).limit(1)).first() is not None


def holds_back(connection: Connection, uuid: str, generation: int) -> bool:
    """Whether the breaker is open for this phone: it is open, and the phone was not let go since it fell due."""
    if not is_open(connection):
        return False
    row = connection.execute(_row(uuid, generation)).first()
    return row is None or row.released_at is None


def _row(uuid: str, generation: int) -> Any:
    return select(tables.due_phones).where(tables.due_phones.c.uuid == uuid, tables.due_phones.c.generation == generation, text("ended_at IS NULL"))


def _waiting(connection: Connection) -> tuple[CountedPhone, ...]:
    same = and_(tables.phones.c.uuid == tables.due_phones.c.uuid, tables.phones.c.generation == tables.due_phones.c.generation)
    query = (
        select(tables.due_phones.c.uuid, tables.phones.c.name, tables.due_phones.c.generation, tables.due_phones.c.counted_at, tables.phones.c.due_at)
        .join(tables.phones, same)
        .where(
            tables.due_phones.c.ended_at.is_(None), tables.due_phones.c.released_at.is_(None), tables.phones.c.state.not_in([str(state) for state in _BEYOND])
        )
        .order_by(tables.due_phones.c.counted_at, tables.due_phones.c.uuid)
    )
    return tuple(CountedPhone(row.uuid, row.name, row.generation, row.counted_at, row.due_at) for row in connection.execute(query))


def record_of(connection: Connection) -> BreakerRecord:
    """`BreakerStore.get`."""
    row = _newest(connection)
    if row is None:
        return BreakerRecord()
    waiting = _waiting(connection) if row.released_at is None else ()
    return BreakerRecord(
        open=row.released_at is None,
        id=row.id,
        opened_at=row.opened_at,
        newly_due=row.newly_due,
        limit=row.due_limit,
        bound=row.bound,
        window=row.window,
        waiting=waiting,
        fingerprint=rules.fingerprint((phone.uuid, phone.generation) for phone in waiting) if row.released_at is None else "",
        released_at=row.released_at,
        released_by=row.operator,
    )


def uncounted(connection: Connection, found: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Those of `found` that no open row counts."""
    return tuple(key for key in dict.fromkeys(found) if connection.execute(_row(*key)).first() is None)


def _bound(connection: Connection) -> int:
    same = and_(tables.phones.c.uuid == tables.subscriptions.c.uuid, tables.phones.c.generation == tables.subscriptions.c.generation)
    query = (
        select(func.count())
        .select_from(tables.subscriptions)
        .join(tables.phones, same)
        .where(tables.subscriptions.c.ended_at.is_(None), tables.phones.c.present)
    )
    return int(connection.execute(query).scalar_one())


def count_due(connection: Connection, found: Sequence[tuple[str, int]], now: datetime, safety: Safety) -> DueCount:
    """`BreakerStore.count_due`."""
    fresh = uncounted(connection, found)
    if not fresh:
        return DueCount((), opened=False, breaker=record_of(connection))
    connection.execute(delete(tables.due_phones).where(tables.due_phones.c.ended_at < now - _REMEMBERED))
    connection.execute(tables.due_phones.insert(), [{"uuid": uuid, "generation": generation, "counted_at": now} for uuid, generation in fresh])
    uuids = [uuid for uuid, _ in fresh]
    if is_open(connection):
        audit.append(connection, "breaker-joined", {"phones": uuids}, now)
        return DueCount(fresh, opened=False, breaker=record_of(connection))
    since = now - timedelta(seconds=safety.breaker_window)
    counted = int(connection.execute(select(func.count()).where(tables.due_phones.c.counted_at > since, tables.due_phones.c.breaker_id.is_(None))).scalar_one())
    bound = _bound(connection)
    if not rules.opens(counted, bound, safety):
        return DueCount(fresh, opened=False, breaker=record_of(connection))
    told = {"newly_due": counted, "bound": bound, "window": safety.breaker_window}
    limit = rules.limit(bound, safety)
    connection.execute(tables.breakers.insert().values(**told, due_limit=limit, opened_at=now, operator=""))
    after = record_of(connection)
    held = [phone.uuid for phone in after.waiting]
    _touch(connection, held)
    body = {**told, "id": after.id, "limit": limit, "phones": held, "fingerprint": after.fingerprint}
    audit.append(connection, "breaker-opened", body, now)
    notices.breaker_opened(connection, body, now)
    return DueCount(fresh, opened=True, breaker=after)


def not_due_any_more(connection: Connection, uuid: str, now: datetime) -> None:
    """End the count of a phone: should it fall due again, it is newly due."""
    connection.execute(update(tables.due_phones).where(tables.due_phones.c.uuid == uuid, text("ended_at IS NULL")).values(ended_at=now))


def release(connection: Connection, now: datetime, *, fingerprint: str, sealed: Sealed, operator: str, approver: str) -> BreakerRecord:
    """`BreakerStore.release`: the breaker as it was, with exactly the phones that may be wiped now."""
    before = record_of(connection)
    if not before.open:
        raise InputError("the breaker is not open: there is nothing to release", where="breaker")
    if not approver or approver == operator:
        raise InvariantError("R14", "releasing the breaker takes two people")
    if fingerprint != before.fingerprint:
        raise RefusedError("other phones wait behind the breaker than those that were looked at: look again", codes=(RefusalCode.DRIFT,))
    for phone in before.waiting:
        connection.execute(
            update(tables.due_phones)
            .where(tables.due_phones.c.uuid == phone.uuid, tables.due_phones.c.generation == phone.generation, text("ended_at IS NULL"))
            .values(released_at=now, breaker_id=before.id)
        )
    # Counted by this opening already: what is begun or gone again does not count for the next one.
    connection.execute(
        update(tables.due_phones).where(tables.due_phones.c.released_at.is_(None), tables.due_phones.c.breaker_id.is_(None)).values(breaker_id=before.id)
    )
    connection.execute(update(tables.breakers).where(tables.breakers.c.id == before.id).values(released_at=now, operator=operator))
    touch_due(connection)
    keep_words(connection, f"breaker:{before.id}", [("breaker", *sealed)])
    told = {"id": before.id, "phones": [phone.uuid for phone in before.waiting], "fingerprint": before.fingerprint, "operator": operator, "approver": approver}
    audit.append(connection, "breaker-released", told, now)
    return before


def _touch(connection: Connection, uuids: Sequence[str]) -> None:
    if uuids:
        connection.execute(update(tables.phones).where(tables.phones.c.uuid.in_(uuids)).values(touches=tables.phones.c.touches + 1))


class SqlBreaker:
    """`ports.ledger.BreakerStore` over SQLite."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._db = database
        self._sealer = sealer

    async def get(self) -> BreakerRecord:
        """See the port."""
        return await self._db.read(record_of)

    async def count_due(self, found: Sequence[tuple[str, int]], now: datetime, safety: Safety) -> DueCount:
        """See the port. Costs no write where every phone is counted already."""
        fresh = await self._db.read(lambda c: uncounted(c, found))
        if not fresh:
            return DueCount((), opened=False, breaker=await self.get())
        return await self._db.write(lambda c: count_due(c, fresh, now, safety))

    async def release(self, now: datetime, *, fingerprint: str, reason: str, operator: str, approver: str) -> BreakerRecord:
        """See the port."""
        sealed = await self._sealer.host_note(reason)
        return await self._db.write(lambda c: release(c, now, fingerprint=fingerprint, sealed=sealed, operator=operator, approver=approver))
