"""What the ledger knows of the breaker and of the clock. Functions run within a transaction and take its connection.

A phone is counted once for as long as it stays due: one open row of (uuid, generation), which ends when a decision finds it not due any more. A released
row is let go, whatever opens the breaker after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, and_, delete, func, select, text, update

from wiped.decide import breaker as rules
from wiped.errors import InputError, InvariantError, RefusedError
from wiped.model.breaker_and_clock import BreakerRecord, ClockMemory, CountedPhone, DueCount
from wiped.model.plan import RefusalCode
from wiped.model.policy import Safety
from wiped.model.subscription import State
from wiped.record import audit, outbox
from wiped.record.sql.schema import breakers, due_phones, host_conditions, host_notes, phones, subscriptions

#: A phone in one of these is beyond the breaker: its wipe spoke its last word, or is over.
_BEYOND = (State.ERASING, State.VERIFYING, State.WIPED, State.QUARANTINED, State.RELEASED, State.RECYCLED, State.DISPOSED)
#: How long counted phones that are not due any more are remembered.
_REMEMBERED = timedelta(days=30)
_CLOCK = "clock"
_MEMORY = TypeAdapter(ClockMemory)
#: A slot of the salt file and the words sealed under its key.
Sealed = tuple[str, bytes]


def _newest(connection: Connection) -> Any:
    return connection.execute(select(breakers).order_by(breakers.c.id.desc()).limit(1)).first()


def is_open(connection: Connection) -> bool:
    """Whether the breaker is open."""
    return connection.execute(select(breakers.c.id).where(text("released_at IS NULL")).limit(1)).first() is not None


def holds_back(connection: Connection, uuid: str, generation: int) -> bool:
    """Whether the breaker is open for this phone: it is open, and the phone was not let go since it fell due."""
    if not is_open(connection):
        return False
    row = connection.execute(_row(uuid, generation)).first()
    return row is None or row.released_at is None


def _row(uuid: str, generation: int) -> Any:
    return select(due_phones).where(due_phones.c.uuid == uuid, due_phones.c.generation == generation, text("ended_at IS NULL"))


def _waiting(connection: Connection) -> tuple[CountedPhone, ...]:
    same = and_(phones.c.uuid == due_phones.c.uuid, phones.c.generation == due_phones.c.generation)
    query = (
        select(due_phones.c.uuid, phones.c.name, due_phones.c.generation, due_phones.c.counted_at, phones.c.due_at)
        .join(phones, same)
        .where(due_phones.c.ended_at.is_(None), due_phones.c.released_at.is_(None), phones.c.state.not_in([str(state) for state in _BEYOND]))
        .order_by(due_phones.c.counted_at, due_phones.c.uuid)
    )
    return tuple(CountedPhone(row.uuid, row.name, row.generation, row.counted_at, row.due_at) for row in connection.execute(query))


def breaker(connection: Connection) -> BreakerRecord:
    """`Ledger.breaker`."""
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
    same = and_(phones.c.uuid == subscriptions.c.uuid, phones.c.generation == subscriptions.c.generation)
    query = select(func.count()).select_from(subscriptions).join(phones, same).where(subscriptions.c.ended_at.is_(None), phones.c.present)
    return int(connection.execute(query).scalar_one())


def count_due(connection: Connection, found: Sequence[tuple[str, int]], now: datetime, safety: Safety) -> DueCount:
    """`Ledger.count_due`."""
    fresh = uncounted(connection, found)
    if not fresh:
        return DueCount((), opened=False, breaker=breaker(connection))
    connection.execute(delete(due_phones).where(due_phones.c.ended_at < now - _REMEMBERED))
    connection.execute(due_phones.insert(), [{"uuid": uuid, "generation": generation, "counted_at": now} for uuid, generation in fresh])
    uuids = [uuid for uuid, _ in fresh]
    if is_open(connection):
        audit.append(connection, "breaker-joined", {"phones": uuids}, now)
        return DueCount(fresh, opened=False, breaker=breaker(connection))
    since = now - timedelta(seconds=safety.breaker_window)
    counted = int(connection.execute(select(func.count()).where(due_phones.c.counted_at > since, due_phones.c.breaker_id.is_(None))).scalar_one())
    bound = _bound(connection)
    if not rules.opens(counted, bound, safety):
        return DueCount(fresh, opened=False, breaker=breaker(connection))
    told = {"newly_due": counted, "bound": bound, "window": safety.breaker_window}
    limit = rules.limit(bound, safety)
    connection.execute(breakers.insert().values(**told, due_limit=limit, opened_at=now, operator=""))
    after = breaker(connection)
    held = [phone.uuid for phone in after.waiting]
    _touch(connection, held)
    body = {**told, "id": after.id, "limit": limit, "phones": held, "fingerprint": after.fingerprint}
    audit.append(connection, "breaker-opened", body, now)
    outbox.breaker_opened(connection, body, now)
    return DueCount(fresh, opened=True, breaker=after)


def not_due_any_more(connection: Connection, uuid: str, now: datetime) -> None:
    """End the count of a phone: should it fall due again, it is newly due."""
    connection.execute(update(due_phones).where(due_phones.c.uuid == uuid, text("ended_at IS NULL")).values(ended_at=now))


def release(connection: Connection, now: datetime, *, fingerprint: str, sealed: Sealed, operator: str, approver: str) -> BreakerRecord:
    """`Ledger.release_breaker`: the breaker as it was, with exactly the phones that were let go."""
    before = breaker(connection)
    if not before.open:
        raise InputError("the breaker is not open: there is nothing to release", where="breaker")
    if not approver or approver == operator:
        raise InvariantError("R14", "releasing the breaker takes two people")
    if fingerprint != before.fingerprint:
        raise RefusedError("other phones wait behind the breaker than those that were looked at: look again", codes=(RefusalCode.DRIFT,))
    for phone in before.waiting:
        connection.execute(
            update(due_phones)
            .where(due_phones.c.uuid == phone.uuid, due_phones.c.generation == phone.generation, text("ended_at IS NULL"))
            .values(released_at=now, breaker_id=before.id)
        )
    # Counted by this opening already: what is begun or gone again does not count for the next one.
    connection.execute(update(due_phones).where(due_phones.c.released_at.is_(None), due_phones.c.breaker_id.is_(None)).values(breaker_id=before.id))
    connection.execute(update(breakers).where(breakers.c.id == before.id).values(released_at=now, operator=operator))
    _touch_due(connection)
    _keep(connection, "breaker", f"breaker:{before.id}", sealed)
    told = {"id": before.id, "phones": [phone.uuid for phone in before.waiting], "fingerprint": before.fingerprint, "operator": operator, "approver": approver}
    audit.append(connection, "breaker-released", told, now)
    return before


def _touch(connection: Connection, uuids: Sequence[str]) -> None:
    if uuids:
        connection.execute(update(phones).where(phones.c.uuid.in_(uuids)).values(touches=phones.c.touches + 1))


def _touch_due(connection: Connection) -> None:
    connection.execute(update(phones).where(phones.c.state == str(State.DUE)).values(touches=phones.c.touches + 1))


def _keep(connection: Connection, kind: str, about: str, sealed: Sealed) -> None:
    connection.execute(host_notes.insert().values(kind=kind, about=about, pseudonym=sealed[0], sealed=sealed[1]))


def note_about(connection: Connection, about: str) -> Sealed | None:
    """The newest sealed words about a condition of the host."""
    row = connection.execute(select(host_notes).where(host_notes.c.about == about).order_by(host_notes.c.id.desc()).limit(1)).first()
    return None if row is None else (row.pseudonym, row.sealed)


# -- the clock
def clock(connection: Connection) -> ClockMemory | None:
    """`Ledger.clock`."""
    value = connection.execute(select(host_conditions.c.value).where(host_conditions.c.key == _CLOCK)).scalar()
    return None if value is None else _MEMORY.validate_python(value)


def keep_clock(connection: Connection, memory: ClockMemory, now: datetime, told: Mapping[str, Any] | None) -> None:
    """`Ledger.keep_clock`. A changed suspicion lets every due phone be decided again."""
    value = _MEMORY.dump_python(memory, mode="json")
    connection.execute(host_conditions.insert().prefix_with("OR REPLACE").values(key=_CLOCK, value=value))
    if told is not None:
        _touch_due(connection)
        audit.append(connection, "clock", told, now)


def trust_clock(connection: Connection, memory: ClockMemory, now: datetime, *, sealed: Sealed, operator: str) -> None:
    """`Ledger.trust_clock`."""
    before = clock(connection)
    keep_clock(connection, memory, now, {"suspect": "", "was": before.suspect if before else "", "operator": operator})
    _keep(connection, "clock", "clock", sealed)
