"""Terms: where phones stand before a batch of records, and the writing of what the records do. A batch may be a whole host park's: each statement is for
many rows, and the audit entries of a batch are in the order of its records.

Functions take a connection and run within its transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, bindparam, select, text, update

from wiped.model.records import COMMITTED_STEPS
from wiped.model.subscription import WIPE_STATES, State, Subscription
from wiped.record import audit, holds
from wiped.record.phones import blank
from wiped.record.sql import schema as tables
from wiped.record.sql.rows import AnyRow, subscription_of
from wiped.record.subscription_rules import Change, Move, Standing, begins

_T = TypeVar("_T")

#: Rows of one statement: below SQLite's bound on variables, and a few milliseconds of the event loop between two statements.
SLICE: Final = 250
#: Requests of an operator that a renewal answers; a customer's or a guardian's own are kept.
_ANSWERED_BY_RENEWAL: Final = ("manual",)
#: What the audit log tells of a term.
_TOLD: Final = ("uuid", "generation", "account", "starts_at", "expires_at", "first_recorded_at", "policy", "minor", "revision")


def drained(connection: Connection) -> frozenset[str]:
    """The products of the drains in force; "" stands for the whole host."""
    return frozenset(connection.execute(select(tables.drains.c.product).where(text("cancelled_at IS NULL"))).scalars())


def standings(connection: Connection, uuids: Sequence[str]) -> list[Standing]:
    """What is recorded of each phone, in the order asked."""
    products = drained(connection)
    found: dict[str, Standing] = {}
    for part in _slices(uuids):
        phones = {row.uuid: row for row in connection.execute(select(tables.phones).where(tables.phones.c.uuid.in_(part)))}
        terms = {(row.uuid, row.generation): row for row in connection.execute(select(tables.subscriptions).where(tables.subscriptions.c.uuid.in_(part)))}
        query = select(tables.wipes.c.uuid, tables.wipes.c.step).where(
            tables.wipes.c.uuid.in_(part), text("step NOT IN ('released', 'cancelled', 'disposed')")
        )  # fmt: skip
        steps = {row.uuid: row.step for row in connection.execute(query)}
        for uuid in part:
            phone = phones.get(uuid)
            if phone is None:
                found[uuid] = Standing(uuid, 0, None, ended=True, committed=False, occupied=False, drained=products)
            else:
                found[uuid] = _standing(phone, terms.get((uuid, phone.generation)), steps.get(uuid), products)
    return [found[uuid] for uuid in uuids]


def _standing(phone: AnyRow, row: AnyRow | None, step: str | None, products: frozenset[str]) -> Standing:
    ended = row is None or row.ended_at is not None
    committed = step in COMMITTED_STEPS or (not ended and phone.state in WIPE_STATES)
    ended_at = row.ended_at if row is not None else None
    return Standing(phone.uuid, phone.generation, subscription_of(row) if row else None, ended, committed, phone.occupied, products, ended_at)


def apply(connection: Connection, moves: Sequence[Move], now: datetime, *, source: str, operator: str) -> tuple[Subscription, ...]:
    """Write all of them; the caller has held the writer's turn since they were weighed."""
    return tuple(term for part in _slices(moves) for term in _apply(connection, part, now, source, operator))


def _apply(connection: Connection, moves: Sequence[Move], now: datetime, source: str, operator: str) -> Iterator[Subscription]:
    _settle(connection, moves)
    changing = [move for move in moves if move.change is not Change.NOTHING or move.before.last is None]
    values = {move.record.uuid: _values(move, now, source) for move in changing}
    begun = [values[move.record.uuid] for move in changing if begins(move.before, move.change)]
    _begin(connection, begun, now)
    _continue(connection, [values[move.record.uuid] for move in changing if not begins(move.before, move.change)])
    renewed = [move for move in changing if move.change is Change.RENEW and now < move.record.expires_at]
    answered = _answer_requests(connection, renewed, now)
    connection.execute(update(tables.phones).where(tables.phones.c.uuid.in_(list(values))).values(touches=tables.phones.c.touches + 1))
    entries: list[tuple[str, Mapping[str, Any]]] = []
    for move in moves:
        uuid = move.record.uuid
        who = {"source": source, "operator": operator}
        if move.before.occupied and not move.before.ended:
            entries.append(("occupied-settled", {"uuid": uuid, "generation": move.before.generation, **who}))
        if uuid in values:
            told = values[uuid]
            entries.extend(holds.link(connection, move.owner, told["account"], uuid))
            entries.append(("subscription", {**{key: told[key] for key in _TOLD}, "change": str(move.change), **who}))
            entries.extend(answered.get(uuid, ()))
    audit.append_all(connection, entries, now)
    rows = connection.execute(select(tables.subscriptions).where(tables.subscriptions.c.uuid.in_(list(values))))
    terms = {(row.uuid, row.generation): subscription_of(row) for row in rows}
    for move in moves:
        if (made := values.get(move.record.uuid)) is not None:
            yield terms[move.record.uuid, made["generation"]]
        elif move.before.last is not None:
            yield move.before.last


def _values(move: Move, now: datetime, source: str) -> dict[str, Any]:
    """The whole row of the term."""
    record, last = move.record, move.before.last
    common = {
        "uuid": record.uuid,
        "subscription_id": record.subscription_id,
        "starts_at": record.starts_at,
        "expires_at": record.expires_at,
        "policy": record.policy,
        "minor": record.minor,
        "source": source,
        "product": record.product,
        "feed_revision": record.revision,
    }
    if last is None or begins(move.before, move.change):
        return {**common, "generation": move.before.generation + 1, "account": move.account, "first_recorded_at": now, "revision": 1}
    return {
        **common,
        "generation": last.generation,
        "account": last.account,
        "feed_revision": record.revision if record.revision is not None else last.feed_revision,
        "first_recorded_at": last.first_recorded_at if record.expires_at == last.expires_at else now,
        "revision": last.revision + 1,
    }


def _settle(connection: Connection, moves: Sequence[Move]) -> None:
    """Phones that were marked as another customer's, and are their own account's again."""
    settled = [move.record.uuid for move in moves if move.before.occupied and not move.before.ended]
    if settled:
        connection.execute(update(tables.phones).where(tables.phones.c.uuid.in_(settled)).values(occupied=False, touches=tables.phones.c.touches + 1))


def _begin(connection: Connection, begun: Sequence[Mapping[str, Any]], now: datetime) -> None:
    if not begun:
        return
    uuids = [values["uuid"] for values in begun]
    there = set(connection.execute(select(tables.phones.c.uuid).where(tables.phones.c.uuid.in_(uuids))).scalars())
    new = [blank(uuid, "", now, present=False) for uuid in uuids if uuid not in there]
    if new:
        connection.execute(tables.phones.insert(), new)
    connection.execute(tables.subscriptions.insert(), list(begun))
    # Nothing of the last customer's generation is carried over (R20) but protection, which is the operator's, and a fence, which only its owner lifts.
    anew = (
        update(tables.phones)
        .where(tables.phones.c.uuid == bindparam("which"))
        .values(
            generation=bindparam("next_generation"),
            state=str(State.UNBOUND),
            since=now,
            action="none",
            flags=[],
            occupied=False,
            refusals=[],
            reasons=[],
            next_at=None,
            next_state=None,
            due_at=None,
            notices_sent=[],
        )
    )
    connection.execute(anew, [{"which": values["uuid"], "next_generation": values["generation"]} for values in begun])


def _continue(connection: Connection, continued: Sequence[Mapping[str, Any]]) -> None:
    if not continued:
        return
    columns = tables.subscriptions.c
    changed = [name for name in continued[0] if name not in ("uuid", "generation", "account")]
    statement = (
        update(tables.subscriptions)
        .where(columns.uuid == bindparam("which"), columns.generation == bindparam("of_generation"))
        .values({name: bindparam(f"new_{name}", type_=columns[name].type) for name in changed})
    )
    rows = [{"which": row["uuid"], "of_generation": row["generation"], **{f"new_{name}": row[name] for name in changed}} for row in continued]
    connection.execute(statement, rows)


def _answer_requests(connection: Connection, renewed: Sequence[Move], now: datetime) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
    """An operator's manual request was for the term that has been renewed: kept, it would take the grace of the next end away. The entries, by phone."""
    generations = {move.record.uuid: move.before.generation for move in renewed}
    if not generations:
        return {}
    columns = tables.requests.c
    query = select(columns.id, columns.uuid, columns.generation).where(
        columns.uuid.in_(list(generations)), columns.closed_at.is_(None), columns.kind.in_(_ANSWERED_BY_RENEWAL)
    )
    rows = [row for row in connection.execute(query) if row.generation == generations[row.uuid]]
    if rows:
        connection.execute(update(tables.requests).where(columns.id.in_([row.id for row in rows])).values(closed_at=now))
    told: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for row in rows:
        told.setdefault(row.uuid, []).append(("request-closed", {"id": row.id, "uuid": row.uuid, "code": "subscription-renewed"}))
    return told


def _slices(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (items[at : at + SLICE] for at in range(0, len(items), SLICE))
