"""Subscriptions: who has which phone until when (docs/design.md, "The life of a phone").

What one record does to one phone (`weigh`, pure):

    nobody's, or its last generation ended      -> begin the next generation
    the same account, the phone not yet erased  -> unchanged, renewed or corrected: same generation
    the same account, past the last word        -> refused: subscription-renewed
    by hand, the end of a running term earlier  -> refused: needs-approval
    another account, the phone not yet wiped    -> refused: generation-occupied, and the phone is marked (and so fenced)
    a feed's record older than one taken before -> refused: revision-old
    a new term while host or product is drained -> refused: draining (R7)
    the very term that ended with its wipe      -> nothing: a feed that repeats itself does not bring a wiped phone's term back
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select, text, update

from wiped.errors import InputError, RefusedError
from wiped.model.plan import RefusalCode
from wiped.model.records import COMMITTED_STEPS
from wiped.model.subscription import State, Subscription, SubscriptionRecord
from wiped.record import asking, audit, outbox
from wiped.record.phones import WIPE_STATES, blank, row_of, touch
from wiped.record.sql.rows import AnyRow, subscription_of
from wiped.record.sql.schema import drains, phones, requests, subscriptions, wipes

#: Sources behind which one person stands: they cannot bring the end of a running term forward alone, unless billing signed the record.
BY_HAND = frozenset({"local", "cli", "import", "file"})
#: Requests of an operator that a renewal answers; a customer's or a guardian's own are kept.
_ANSWERED_BY_RENEWAL = ("manual",)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_SHOWN = 5


class Change(StrEnum):
    """What a record does."""

    NOTHING = "nothing"
    BEGIN = "begin"
    RENEW = "renew"
    CORRECT = "correct"


@dataclass(frozen=True, slots=True)
class Standing:
    """One phone before a record: `last` is its newest term, `ended` when that generation is over; `committed`: a wipe spoke its last word; `drained`:
    products of announced drains, "" for the whole host."""

    uuid: str
    generation: int
    last: Subscription | None
    ended: bool
    committed: bool
    occupied: bool
    drained: frozenset[str] = frozenset()


def check(records: Sequence[SubscriptionRecord]) -> None:
    """Raises InputError naming the record (from 1), never a value of a person."""
    seen: set[str] = set()
    for number, record in enumerate(records, start=1):
        where = f"record {number}"
        if not _UUID.fullmatch(record.uuid):
            raise InputError("the phone is not a UUID in lower case", where=where)
        if record.uuid in seen:
            raise InputError(f"phone {record.uuid} stands twice in one batch", where=where)
        seen.add(record.uuid)
        if record.starts_at.tzinfo is None or record.expires_at.tzinfo is None:
            raise InputError("an instant without a time zone", where=where)
        if record.expires_at <= record.starts_at:
            raise InputError("the term ends before it starts", where=where)
        if not record.account.value or not record.subscription_id or not record.policy:
            raise InputError("account, subscription and policy must not be empty", where=where)


def standing(connection: Connection, uuid: str) -> Standing:
    """What is recorded of one phone."""
    phone = row_of(connection, uuid)
    if phone is None:
        return Standing(uuid, 0, None, ended=True, committed=False, occupied=False, drained=drained(connection))
    row = connection.execute(select(subscriptions).where(subscriptions.c.uuid == uuid, subscriptions.c.generation == phone.generation)).first()
    step = connection.execute(select(wipes.c.step).where(wipes.c.uuid == uuid, text("step NOT IN ('released', 'cancelled', 'disposed')"))).scalar()
    ended = row is None or row.ended_at is not None
    committed = step in COMMITTED_STEPS or (not ended and phone.state in WIPE_STATES)
    return Standing(uuid, phone.generation, subscription_of(row) if row else None, ended, committed, phone.occupied, drained(connection))


def drained(connection: Connection) -> frozenset[str]:
    """The products of the drains in force; "" stands for the whole host."""
    return frozenset(connection.execute(select(drains.c.product).where(text("cancelled_at IS NULL"))).scalars())


def _same(term: Subscription, record: SubscriptionRecord) -> bool:
    return (term.subscription_id, term.starts_at, term.expires_at, term.policy, term.minor, term.product) == (
        record.subscription_id,
        record.starts_at,
        record.expires_at,
        record.policy,
        record.minor,
        record.product,
    )


def weigh(before: Standing, record: SubscriptionRecord, *, same_account: bool, source: str, now: datetime) -> Change | RefusalCode:
    """What `record` does to a phone that stands like `before`. Pure."""
    term = before.last
    begin: Change | RefusalCode = RefusalCode.DRAINING if before.drained & {"", record.product} else Change.BEGIN
    if term is None:
        return RefusalCode.GENERATION_OCCUPIED if before.committed else begin
    if before.ended:
        repeated = same_account and record.subscription_id == term.subscription_id and record.expires_at <= term.expires_at
        return Change.NOTHING if repeated else begin
    if not same_account:
        return RefusalCode.GENERATION_OCCUPIED
    newer = record.revision is not None and (term.feed_revision is None or record.revision > term.feed_revision)
    if _same(term, record):
        # Its revision is remembered all the same: what was taken before it may not come back.
        return Change.CORRECT if newer and not before.committed else Change.NOTHING
    if term.feed_revision is not None and record.revision is not None and not newer:
        return RefusalCode.REVISION_OLD
    if before.committed:
        return RefusalCode.SUBSCRIPTION_RENEWED
    if record.expires_at < term.expires_at and now < term.expires_at and source in BY_HAND and not record.signed:
        return RefusalCode.NEEDS_APPROVAL
    return Change.CORRECT if record.expires_at <= term.expires_at and record.subscription_id == term.subscription_id else Change.RENEW


@dataclass(frozen=True, slots=True)
class Move:
    """A record, what it does, and under which pseudonym. `owner`: the account's own pseudonym (generation 0), where it has one."""

    before: Standing
    record: SubscriptionRecord
    change: Change
    account: str
    owner: str = ""


def apply(connection: Connection, moves: Sequence[Move], now: datetime, *, source: str, operator: str) -> tuple[Subscription, ...]:
    """Write all of them; the caller has held the writer's turn since they were weighed."""
    return tuple(_apply(connection, move, now, source=source, operator=operator) for move in moves)


def _apply(connection: Connection, move: Move, now: datetime, *, source: str, operator: str) -> Subscription:
    before, record, uuid = move.before, move.record, move.record.uuid
    if before.occupied and not before.ended:
        connection.execute(update(phones).where(phones.c.uuid == uuid).values(occupied=False, touches=phones.c.touches + 1))
        audit.append(connection, "occupied-settled", {"uuid": uuid, "generation": before.generation, "source": source, "operator": operator}, now)
    if move.change is Change.NOTHING and before.last is not None:
        return before.last
    if move.change is Change.BEGIN or before.last is None:
        values = _begin(connection, move, now, source)
    else:
        values = _continue(connection, before.last, move, now, source)
    asking.link_holds(connection, move.owner, values["account"], uuid, now)
    touch(connection, uuid)
    told = {key: values[key] for key in ("uuid", "generation", "account", "starts_at", "expires_at", "first_recorded_at", "policy", "minor", "revision")}
    audit.append(connection, "subscription", {**told, "change": str(move.change), "source": source, "operator": operator}, now)
    if move.change is Change.RENEW and now < record.expires_at:
        _answer_requests(connection, uuid, before.generation, now)
    row = connection.execute(
        select(subscriptions).where(subscriptions.c.uuid == uuid, subscriptions.c.generation == values["generation"]),
    ).one()
    return subscription_of(row)


def _values(record: SubscriptionRecord, source: str) -> dict[str, Any]:
    return {
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


def _begin(connection: Connection, move: Move, now: datetime, source: str) -> dict[str, Any]:
    uuid, generation = move.record.uuid, move.before.generation + 1
    phone: AnyRow | None = row_of(connection, uuid)
    if phone is None:
        connection.execute(phones.insert().values(**blank(uuid, "", now, present=False)))
    values = {**_values(move.record, source), "generation": generation, "account": move.account, "first_recorded_at": now, "revision": 1}
    connection.execute(subscriptions.insert().values(**values))
    # Nothing of the last customer's generation is carried over (R20) but protection, which is the operator's, and a fence, which only its owner lifts.
    connection.execute(
        update(phones)
        .where(phones.c.uuid == uuid)
        .values(
            generation=generation,
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
    return values


def _continue(connection: Connection, term: Subscription, move: Move, now: datetime, source: str) -> dict[str, Any]:
    record = move.record
    values = {
        **_values(record, source),
        "feed_revision": record.revision if record.revision is not None else term.feed_revision,
        "first_recorded_at": term.first_recorded_at if record.expires_at == term.expires_at else now,
        "revision": term.revision + 1,
    }
    connection.execute(
        update(subscriptions).where(subscriptions.c.uuid == record.uuid, subscriptions.c.generation == term.generation).values(**values),
    )
    return {**values, "generation": term.generation, "account": term.account}


def _answer_requests(connection: Connection, uuid: str, generation: int, now: datetime) -> None:
    """An operator's manual request was for the term that has been renewed: kept, it would take the grace of the next end away."""
    open_ones = (requests.c.uuid == uuid, requests.c.generation == generation, requests.c.closed_at.is_(None), requests.c.kind.in_(_ANSWERED_BY_RENEWAL))
    for request_id in connection.execute(select(requests.c.id).where(*open_ones)).scalars().all():
        audit.append(connection, "request-closed", {"id": request_id, "uuid": uuid, "code": "subscription-renewed"}, now)
    connection.execute(update(requests).where(*open_ones).values(closed_at=now))


def note_refused(connection: Connection, refused: Sequence[tuple[str, RefusalCode]], now: datetime, *, source: str, operator: str) -> None:
    """What is recorded of a refused batch: occupied phones are marked (the conductor fences them), once; and what a person tried is told (R14).

    A feed that repeats itself every minute is not told again and again.
    """
    for uuid, code in refused:
        phone = row_of(connection, uuid)
        if code is RefusalCode.SUBSCRIPTION_RENEWED:
            outbox.renewed_too_late(connection, uuid, now)
        if code is RefusalCode.GENERATION_OCCUPIED and phone is not None and not phone.occupied:
            connection.execute(update(phones).where(phones.c.uuid == uuid).values(occupied=True, touches=phones.c.touches + 1))
            body = {"uuid": uuid, "generation": phone.generation, "source": source, "operator": operator}
            audit.append(connection, "generation-occupied", body, now)
    if source in BY_HAND:
        told = {"codes": sorted({str(code) for _, code in refused}), "phones": [uuid for uuid, _ in refused[:_SHOWN]], "of": len(refused)}
        audit.append(connection, "refused", {**told, "source": source, "operator": operator}, now)


_WORDS = {
    RefusalCode.GENERATION_OCCUPIED: "belongs to another account until it is wiped",
    RefusalCode.SUBSCRIPTION_RENEWED: "is past the last word of its wipe: nothing turns back",
    RefusalCode.NEEDS_APPROVAL: "has a running term, and bringing its end forward takes a second person",
    RefusalCode.REVISION_OLD: "has a newer record already",
    RefusalCode.DRAINING: "takes no new subscription: the host, or its product, stops operating",
}


def refusal(refused: Sequence[tuple[str, RefusalCode]]) -> RefusedError:
    """The error for a refused batch, naming at most five phones by UUID."""
    ordered = sorted(refused, key=lambda item: list(_WORDS).index(item[1]))
    told = "; ".join(f"phone {uuid} {_WORDS[code]}" for uuid, code in ordered[:_SHOWN])
    more = f"; and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return RefusedError(f"nothing was recorded: {told}{more}", codes=tuple(dict.fromkeys(str(code) for _, code in ordered)))
