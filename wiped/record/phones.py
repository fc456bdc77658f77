"""What the ledger knows of phones, and the decisions about them. Functions run within a transaction and take its connection."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text, union, update

from wiped.errors import NotFoundError
from wiped.model.approvals import GROUNDS, RequestKind
from wiped.model.inventory import DomainFacts
from wiped.model.records import PhoneRecord
from wiped.model.subscription import Action, Decision, FeedStatus, LifecycleFacts, State, Subscription, WipeRequest
from wiped.record import audit, massmistakes, outbox
from wiped.record.sql.rows import AnyRow, hold_of, phone_of, reasons_value, request_of, subscription_of
from wiped.record.sql.schema import drains, hold_accounts, holds, memories, phones, requests, subscriptions

#: The generation has ended: nothing of it is wiped any more.
ENDED_STATES = frozenset({State.RELEASED, State.RECYCLED, State.DISPOSED})
#: States that a wipe sets; a decision made from facts of before cannot take them back.
WIPE_STATES = frozenset({State.ERASING, State.VERIFYING, State.WIPED, State.QUARANTINED, *ENDED_STATES})

_NEVER_ANSWERED = FeedStatus(complete_at=None)


def row_of(connection: Connection, uuid: str) -> AnyRow | None:
    """The row of one phone."""
    return connection.execute(select(phones).where(phones.c.uuid == uuid)).first()


def known(connection: Connection, uuid: str) -> AnyRow:
    """The row of one phone; raises NotFoundError."""
    row = row_of(connection, uuid)
    if row is None:
        raise NotFoundError(f"no phone {uuid} is recorded", where="phone")
    return row


def all_phones(connection: Connection, states: Sequence[str]) -> tuple[PhoneRecord, ...]:
    """Phones in `states` (all when empty), by name."""
    query = select(phones).order_by(phones.c.name, phones.c.uuid)
    if states:
        query = query.where(phones.c.state.in_([str(state) for state in states]))
    return tuple(phone_of(row) for row in connection.execute(query))


def named(connection: Connection, name: str) -> tuple[PhoneRecord, ...]:
    """Phones of exactly that name, present ones first."""
    return tuple(phone_of(row) for row in connection.execute(select(phones).where(phones.c.name == name).order_by(phones.c.present.desc(), phones.c.uuid)))


def blank(uuid: str, name: str, now: datetime, *, present: bool) -> dict[str, Any]:
    """The values of a phone of which nothing is known yet; it waits for its first decision."""
    return {
        "uuid": uuid,
        "name": name,
        "present": present,
        "generation": 0,
        "state": str(State.UNBOUND),
        "since": now,
        "action": str(Action.NONE),
        "flags": [],
        "protected": False,
        "suspended": False,
        "fenced": False,
        "occupied": False,
        "refusals": [],
        "reasons": [],
        "next_at": None,
        "next_state": None,
        "due_at": None,
        "notices_sent": [],
        "touches": 1,
        "decided": 0,
    }


def touch(connection: Connection, uuid: str) -> None:
    """Let the next sweep decide this phone."""
    connection.execute(update(phones).where(phones.c.uuid == uuid).values(touches=phones.c.touches + 1))


def see_domains(connection: Connection, domains: Sequence[DomainFacts], now: datetime) -> None:
    """`Ledger.see_domains`. A host on which nothing changed costs one query and no write."""
    seen = {domain.uuid: domain.name for domain in domains}
    rows = {row.uuid: row for row in connection.execute(select(phones.c.uuid, phones.c.name, phones.c.present, phones.c.state, phones.c.since))}
    new = [uuid for uuid in seen if uuid not in rows]
    if new:
        connection.execute(phones.insert(), [blank(uuid, seen[uuid], now, present=True) for uuid in new])
        for uuid in new:
            audit.append(connection, "phone-seen", {"uuid": uuid}, now)
    changed: list[dict[str, Any]] = []
    for uuid, row in rows.items():
        here = uuid in seen
        if here == row.present and (not here or seen[uuid] == row.name):
            continue
        state = row.state
        if here and not row.present:
            # A domain defined anew under the UUID of one that was released starts as nobody's: its old term does not bind it.
            # One that was disposed of stays so: what could not be proven may come back with it.
            state = str(State.UNBOUND) if row.state in ENDED_STATES and row.state != State.DISPOSED else row.state
            audit.append(connection, "phone-back", {"uuid": uuid, "state": state}, now)
        elif not here and row.state != State.WIPED and row.state not in ENDED_STATES:  # a wiped phone's domain was undefined by us
            audit.append(connection, "vanished", {"uuid": uuid, "state": row.state}, now)
        if here and seen[uuid] != row.name:
            audit.append(connection, "phone-renamed", {"uuid": uuid}, now)
        changed.append({"key": uuid, "new_present": here, "new_name": seen.get(uuid, row.name), "new_state": state,
                        "new_since": row.since if state == row.state else now})  # fmt: skip
    if changed:
        connection.execute(
            update(phones)
            .where(phones.c.uuid == bindparam("key"))
            .values(
                present=bindparam("new_present"),
                name=bindparam("new_name"),
                state=bindparam("new_state"),
                since=bindparam("new_since"),
                touches=phones.c.touches + 1,
            ),
            changed,
        )


def current_term(connection: Connection, phone: AnyRow) -> Subscription | None:
    """The term of a phone's generation; an ended one only as long as the phone stands at its end."""
    row = connection.execute(select(subscriptions).where(subscriptions.c.uuid == phone.uuid, subscriptions.c.generation == phone.generation)).first()
    if row is None or (row.ended_at is not None and phone.state not in ENDED_STATES):
        return None
    return subscription_of(row)


def due_for_decision(connection: Connection, now: datetime) -> tuple[str, ...]:
    """`Ledger.due_for_decision`: two indexed look-ups, whose cost grows with what they find and with nothing else."""
    time_has_come = select(phones.c.uuid, phones.c.next_at).where(phones.c.next_at <= now)
    waiting = select(phones.c.uuid, phones.c.next_at).where(text("touches <> decided"))
    both = union(time_has_come, waiting).subquery()
    return tuple(connection.execute(select(both.c.uuid).order_by(both.c.next_at, both.c.uuid)).scalars())


def next_instant(connection: Connection) -> datetime | None:
    """The earliest `next_at`."""
    found: datetime | None = connection.execute(select(func.min(phones.c.next_at, type_=phones.c.next_at.type))).scalar()
    return found


def facts(connection: Connection, uuid: str, now: datetime) -> tuple[LifecycleFacts, int] | None:
    """`Ledger.facts`, and how often the phone had been touched when they were true."""
    phone = row_of(connection, uuid)
    if phone is None:
        return None
    term = current_term(connection, phone)
    accounts = [term.account] if term else []
    of_account = select(hold_accounts.c.hold_id).where(hold_accounts.c.account.in_(accounts))
    own = (holds.c.uuid == uuid) | holds.c.account.in_(accounts) | holds.c.id.in_(of_account)
    in_force = select(holds).where(text("released_at IS NULL"), own).order_by(holds.c.added_at, holds.c.id)
    asked = (
        select(requests)
        .where(requests.c.uuid == uuid, requests.c.generation == phone.generation, requests.c.closed_at.is_(None))
        .order_by(requests.c.requested_at, requests.c.id)
    )
    draining = _drains(connection, term)
    memory = connection.execute(select(memories.c.migrated, memories.c.digest).where(memories.c.uuid == uuid)).first()
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
        breaker_open=massmistakes.holds_back(connection, uuid, phone.generation),
        occupied_by_other=phone.occupied,
        refusals=tuple(phone.refusals),
        migrated=memory is not None and memory.migrated,
        draining=bool(draining),
        remembered=memory is not None and memory.digest != "",
    )
    return found, phone.touches


def _drains(connection: Connection, term: Subscription | None) -> tuple[WipeRequest, ...]:
    """The drains that a phone with this term falls under, as triggers (R7)."""
    if term is None:
        return ()
    query = select(drains).where(text("cancelled_at IS NULL"), drains.c.product.in_(["", term.product])).order_by(drains.c.at)
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
    """`Ledger.conclude`. `touches`: as of the facts that the decision was made from; what was recorded since makes the phone wait again."""
    phone = known(connection, uuid)
    overtaken = phone.state in WIPE_STATES and decision.state != phone.state
    if overtaken:
        return
    outbox.concluded(connection, phone, decision, now)
    flags = [str(flag) for flag in decision.flags]
    changed = (phone.state, phone.flags, phone.action) != (decision.state, flags, decision.action)
    if decision.state != State.DUE and decision.state not in WIPE_STATES - ENDED_STATES:
        massmistakes.not_due_any_more(connection, uuid, now)
    connection.execute(
        update(phones)
        .where(phones.c.uuid == uuid)
        .values(
            state=str(decision.state),
            since=phone.since if decision.state == phone.state else now,
            action=str(decision.action),
            flags=flags,
            reasons=reasons_value(decision.reasons),
            next_at=decision.next_at,
            next_state=str(decision.next_state) if decision.next_state else None,
            due_at=decision.due_at,
            notices_sent=list(decision.notices),
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


def set_state(connection: Connection, uuid: str, state: State, now: datetime) -> None:
    """A state that a wipe's step determines."""
    phone = known(connection, uuid)
    if phone.state != state:
        connection.execute(update(phones).where(phones.c.uuid == uuid).values(state=str(state), since=now, touches=phones.c.touches + 1))


def counts(connection: Connection) -> dict[str, int]:
    """Phones by state, all states present."""
    found = {row.state: row.number for row in connection.execute(select(phones.c.state, func.count().label("number")).group_by(phones.c.state))}
    return {str(state): found.get(str(state), 0) for state in State}
