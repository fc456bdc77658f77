"""What a lifecycle decision reads, and its conclusion. Functions that take a connection run within its transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, func, select, text, union, update

from wiped.model.approvals import GROUNDS, RequestKind
from wiped.model.subscription import ENDED_STATES, WIPE_STATES, Decision, FeedStatus, LifecycleFacts, State, Subscription, WipeRequest
from wiped.record import audit, breaker, notices, phones, subscriptions
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import hold_of, reasons_value, request_of

_NEVER_ANSWERED = FeedStatus(complete_at=None)


def due(connection: Connection, now: datetime) -> tuple[str, ...]:
    """`DecisionStore.due`: two indexed look-ups, whose cost grows with what they find and with nothing else."""
    time_has_come = select(tables.phones.c.uuid, tables.phones.c.next_at).where(tables.phones.c.next_at <= now)
    waiting = select(tables.phones.c.uuid, tables.phones.c.next_at).where(text("touches <> decided"))
    both = union(time_has_come, waiting).subquery()
    return tuple(connection.execute(select(both.c.uuid).order_by(both.c.next_at, both.c.uuid)).scalars())


def next_instant(connection: Connection) -> datetime | None:
    """The earliest `next_at`."""
    found: datetime | None = connection.execute(select(func.min(tables.phones.c.next_at, type_=tables.phones.c.next_at.type))).scalar()
    return found


def facts(connection: Connection, uuid: str, now: datetime) -> tuple[LifecycleFacts, int] | None:
    """`DecisionStore.facts`, and how often the phone had been touched when they were true."""
    phone = phones.row_of(connection, uuid)
    if phone is None:
        return None
    term = subscriptions.current_term(connection, phone)
    accounts = [term.account] if term else []
    of_account = select(tables.hold_accounts.c.hold_id).where(tables.hold_accounts.c.account.in_(accounts))
    own = (tables.holds.c.uuid == uuid) | tables.holds.c.account.in_(accounts) | tables.holds.c.id.in_(of_account)
    in_force = select(tables.holds).where(text("released_at IS NULL"), own).order_by(tables.holds.c.added_at, tables.holds.c.id)
    asked = (
        select(tables.requests)
        .where(tables.requests.c.uuid == uuid, tables.requests.c.generation == phone.generation, tables.requests.c.closed_at.is_(None))
        .order_by(tables.requests.c.requested_at, tables.requests.c.id)
    )
    draining = _drains(connection, term)
    memory = connection.execute(select(tables.memories.c.migrated, tables.memories.c.digest).where(tables.memories.c.uuid == uuid)).first()
    found = LifecycleFacts(
        uuid=uuid,
        generation=phone.generation,
        subscription=term,
        recorded_state=State(phone.state),
        feed=_NEVER_ANSWERED,
        holds=tuple(hold for hold in map(hold_of, connection.execute(in_force)) if hold.until is None or now < hold.until),
        requests=(*(request_of(row) for row in connection.execute(asked)), *draining),
        present=phone.present,
        protected=phone.protected,
        suspended=phone.suspended,
        fenced=phone.fenced,
        breaker_open=breaker.holds_back(connection, uuid, phone.generation),
        occupied_by_other=phone.occupied,
        refusals=tuple(phone.refusals),
        migrated=memory is not None and memory.migrated,
        draining=bool(draining),
        remembered=memory is not None and memory.digest != "",
        stopped=phone.stopped,
        recorded_due_at=phone.due_at,
    )
    return found, phone.touches


def _drains(connection: Connection, term: Subscription | None) -> tuple[WipeRequest, ...]:
    """The drains that a phone with this term falls under, as triggers (R7)."""
    if term is None:
        return ()
    query = select(tables.drains).where(text("cancelled_at IS NULL"), tables.drains.c.product.in_(["", term.product])).order_by(tables.drains.c.at)
    return tuple(
        WipeRequest(
            id=row.id,
            kind=RequestKind.DRAIN,
            ground=GROUNDS[RequestKind.DRAIN][0],
            requested_at=row.announced_at,
            effective_at=row.at,
            approved=row.approved,
            approved_at=row.announced_at if row.approved else None,
            reference=row.id,
            operator=row.operator,
            approver=row.approver,
        )
        for row in connection.execute(query)
    )


def conclude(connection: Connection, uuid: str, decision: Decision, now: datetime, *, touches: int | None) -> None:
    """`DecisionStore.conclude`. `touches`: as of the facts that the decision was made from; what was recorded since makes the phone wait again."""
    phone = phones.known(connection, uuid)
    overtaken = phone.state in WIPE_STATES and decision.state != phone.state
    if overtaken:
        return
    notices.concluded(connection, phone, decision, now)
    flags = [str(flag) for flag in decision.flags]
    changed = (phone.state, phone.flags, phone.action) != (decision.state, flags, decision.action)
    if decision.state != State.DUE and decision.state not in WIPE_STATES - ENDED_STATES and not phone.occupied:
        breaker.not_due_any_more(connection, uuid, now)
    connection.execute(
        update(tables.phones)
        .where(tables.phones.c.uuid == uuid)
        .values(
            state=str(decision.state),
            since=phone.since if decision.state == phone.state else now,
            action=str(decision.action),
            flags=flags,
            reasons=reasons_value(decision.reasons),
            next_at=decision.next_at,
            next_state=str(decision.next_state) if decision.next_state else None,
            due_at=decision.due_at,
            notices_sent=phone.notices_sent if decision.quiet else list(decision.notices),
            decided=phone.touches if touches is None else touches,
        )
    )
    if changed:
        body = {
            "uuid": uuid,
            "generation": phone.generation,
            "state": str(decision.state),
            "was": phone.state,
            "flags": flags,
            "action": str(decision.action),
            "codes": [reason.code for reason in decision.reasons],
        }
        audit.append(connection, "decision", body, now)


class SqlDecisions:
    """`ports.ledger.DecisionStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database
        # How often a phone had been touched when the oldest facts that no decision has concluded yet were read.
        self._read_at: dict[str, int] = {}

    async def due(self, now: datetime) -> tuple[str, ...]:
        """See the port."""
        return await self._db.read(lambda c: due(c, now))

    async def next_instant(self) -> datetime | None:
        """See the port."""
        return await self._db.read(next_instant)

    async def facts(self, uuid: str, now: datetime) -> LifecycleFacts | None:
        """See the port."""
        found = await self._db.read(lambda c: facts(c, uuid, now))
        if found is None:
            return None
        self._read_at.setdefault(uuid, found[1])
        return found[0]

    async def conclude(self, uuid: str, decision: Decision, now: datetime) -> None:
        """See the port. What was recorded since the facts were read makes the phone wait for another decision; a state that a wipe has set since
        stays."""
        touches = self._read_at.pop(uuid, None)
        await self._db.write(lambda c: conclude(c, uuid, decision, now, touches=touches))

    async def touch_all(self) -> None:
        """See the port."""
        await self._db.write(phones.touch_all)

    async def touch(self, uuid: str) -> None:
        """See the port."""
        await self._db.write(lambda c: phones.touch(c, uuid))
