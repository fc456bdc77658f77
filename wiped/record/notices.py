"""Notices to the provider's systems (R8): written in the very transaction of what they report, delivered from here at least once and in order per subject.

Functions that take a connection run within its transaction. Whether anybody receives a kind of notice is a condition of the host (`receive`): one that
nobody receives is `kept`, for reports. What `data` may hold is `decide.notices`' list: anything else is dropped here, before it is written.
"""

from __future__ import annotations

import os
import uuid as uuids
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, or_, select, text, update

from wiped.decide import notices as rules
from wiped.decide.notices import Before, Last
from wiped.model.approvals import Approval, Drain
from wiped.model.instants import instant_text
from wiped.model.notices import Backlog, Notice, NoticeKind, NoticeState
from wiped.model.subscription import Decision, State
from wiped.record import audit, conditions
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow

_RECEIVED = "notices"
_PENDING = text("state = 'pending'")
#: An instant of the next attempt that lies farther ahead than any back-off was set by a clock that has been put back since.
_TOO_FAR = timedelta(hours=12)


def identifier(now: datetime) -> str:
    """A UUIDv7 of `now` (RFC 9562 5.7)."""
    value = (int(now.timestamp() * 1000) & (2**48 - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 7 << 76
    return str(uuids.UUID(int=value & ~(3 << 62) | 2 << 62))


def put(  # noqa: PLR0917 - the order of a notice's own fields
    connection: Connection, kind: NoticeKind, subject: str, generation: int, account: str, data: Mapping[str, Any], now: datetime
) -> None:
    """One notice about `subject` (a phone's UUID, "" for the host), in the caller's transaction. `account`: the pseudonym, "" for nobody's.

    Never raises for what stands in `data`: what is not admitted is dropped (R19)."""
    received = kind in (conditions.value_of(connection, _RECEIVED) or ())
    connection.execute(
        tables.notices.insert().values(
            id=identifier(now),
            kind=str(kind),
            subject=subject,
            generation=generation,
            account=account,
            at=now,
            data=rules.admitted(data),
            state=str(NoticeState.PENDING if received else NoticeState.KEPT),
            attempts=0,
            next_at=now if received else None,
            last_fault="",
        )
    )


def tell(connection: Connection, uuid: str, kind: NoticeKind, data: Mapping[str, Any], now: datetime) -> None:
    """One notice about a phone in its present generation."""
    generation, account = _who(connection, uuid)
    put(connection, kind, uuid, generation, account, data, now)


def _who(connection: Connection, uuid: str) -> tuple[int, str]:
    """(generation, pseudonym) of a phone; (0, "") where it is not known."""
    generation = connection.execute(select(tables.phones.c.generation).where(tables.phones.c.uuid == uuid)).scalar()
    if generation is None:
        return 0, ""
    own = (tables.subscriptions.c.uuid == uuid, tables.subscriptions.c.generation == generation)
    return generation, connection.execute(select(tables.subscriptions.c.account).where(*own)).scalar() or ""


# -- what happens in the ledger
def concluded(connection: Connection, phone: AnyRow, decision: Decision, now: datetime) -> None:
    """What a decision means for the outside; `phone` is its row as it was before."""
    own = (tables.subscriptions.c.uuid == phone.uuid, tables.subscriptions.c.generation == phone.generation, tables.subscriptions.c.ended_at.is_(None))
    term = connection.execute(select(tables.subscriptions.c.account, tables.subscriptions.c.expires_at).where(*own)).first()
    before = Before(
        state=State(phone.state),
        flags=tuple(phone.flags),
        due_at=phone.due_at,
        reached=tuple(phone.notices_sent),
        expires_at=None if term is None else term.expires_at,
        codes=tuple(phone.refusals),
        occupied=phone.occupied,
    )
    account = "" if term is None else term.account
    for told in rules.of_decision(before, decision, now):
        if rules.is_news(told, _last(connection, told.kind, phone.uuid, phone.generation, account), now):
            put(connection, told.kind, phone.uuid, phone.generation, account, told.data, now)


def _last(connection: Connection, kind: NoticeKind, subject: str, generation: int, account: str) -> Last | None:
    """The newest notice of a kind about one phone's generation."""
    same = (
        tables.notices.c.account == account,
        tables.notices.c.kind == str(kind),
        tables.notices.c.subject == subject,
        tables.notices.c.generation == generation,
    )
    row = connection.execute(select(tables.notices.c.data, tables.notices.c.at).where(*same).order_by(tables.notices.c.seq.desc()).limit(1)).first()
    return None if row is None else Last(row.data, row.at)


def fenced(connection: Connection, uuid: str, cause: str, now: datetime) -> None:
    """A phone was fenced; `cause` is a code of the daemon's."""
    tell(connection, uuid, NoticeKind.FENCED, {"cause": cause}, now)


def judged(connection: Connection, wipe: AnyRow, *, certificate_id: str, outcome: str, reasons: Sequence[str], residuals: Sequence[str], good: bool,
           attempt: int, now: datetime, retry_at: datetime | None) -> None:  # fmt: skip
    """A wipe was judged. `wipe` is its row."""
    trigger = wipe.trigger or {}
    data: dict[str, Any] = {
        "wipe_id": wipe.id,
        "certificate_id": certificate_id,
        "outcome": str(outcome),
        "trigger": trigger.get("kind", ""),
        "ground": trigger.get("ground", ""),
        "started_at": wipe.started_at,
        "residuals": [str(code) for code in residuals],
    }
    if not good:
        data |= {"reasons": [str(reason) for reason in reasons], "retry_at": retry_at, "attempt": attempt}
    tell(connection, wipe.uuid, NoticeKind.WIPED if good else NoticeKind.NOT_SANITIZED, data, now)


def renewed_too_late(connection: Connection, uuid: str, now: datetime) -> None:
    """A renewal came after the last word: told once per generation, however often a feed repeats it."""
    generation, account = _who(connection, uuid)
    if _last(connection, NoticeKind.RENEWED_TOO_LATE, uuid, generation, account) is None:
        state = connection.execute(select(tables.phones.c.state).where(tables.phones.c.uuid == uuid)).scalar() or ""
        put(connection, NoticeKind.RENEWED_TOO_LATE, uuid, generation, account, {"state": state}, now)


def breaker_opened(connection: Connection, told: Mapping[str, Any], now: datetime) -> None:
    """The breaker opened; `told` as in the audit log."""
    data = {key: told[key] for key in ("newly_due", "bound", "window", "limit", "fingerprint") if key in told}
    put(connection, NoticeKind.BREAKER_OPENED, "", 0, "", {**data, "breaker_id": told.get("id")}, now)


def approval_asked(connection: Connection, approval: Approval, now: datetime) -> None:
    """Something waits for another person: about its phone if it is about one, else about the host. Nobody of the staff is named."""
    data = {"approval_id": approval.id, "kind": str(approval.kind), "uuids": list(approval.uuids), "expires_at": approval.expires_at, "needed": approval.needed}
    if len(approval.uuids) == 1:
        tell(connection, approval.uuids[0], NoticeKind.APPROVAL_ASKED, data, now)
    else:
        put(connection, NoticeKind.APPROVAL_ASKED, "", 0, "", data, now)


def drain_told(connection: Connection, drain: Drain, now: datetime) -> None:
    """A drain was announced, or cancelled (`cancelled_at` is set)."""
    kind = NoticeKind.DRAIN_CANCELLED if drain.cancelled_at is not None else NoticeKind.DRAIN_ANNOUNCED
    data = {"drain_id": drain.id, "at": drain.at, "product": drain.product, "scope": "product" if drain.product else "host"}
    put(connection, kind, "", 0, "", data, now)


def holds_ending(connection: Connection, now: datetime, warning: timedelta) -> tuple[AnyRow, ...]:
    """Holds in force that lift within `warning` and were not told of for this end."""
    soon = (
        select(tables.holds)
        .where(text("released_at IS NULL"), tables.holds.c.until > now, tables.holds.c.until <= now + warning)
        .order_by(tables.holds.c.until, tables.holds.c.id)
    )
    rows = connection.execute(soon).all()
    if not rows:
        return ()
    since = min(row.until for row in rows) - warning  # it cannot have been told before
    told = select(tables.notices.c.data).where(tables.notices.c.at >= since, tables.notices.c.kind == str(NoticeKind.HOLD_ENDING))
    known = {(data.get("hold_id"), data.get("until")) for data in connection.execute(told).scalars()}
    return tuple(row for row in rows if (row.id, instant_text(row.until)) not in known)


def ending_holds(connection: Connection, now: datetime, warning: timedelta) -> tuple[str, ...]:
    """`NoticeStore.tell_ending_holds`."""
    rows = holds_ending(connection, now, warning)
    for row in rows:
        data = {"hold_id": row.id, "until": row.until}
        if row.uuid:
            tell(connection, row.uuid, NoticeKind.HOLD_ENDING, data, now)
        else:
            put(connection, NoticeKind.HOLD_ENDING, "", 0, row.account, data, now)
    return tuple(row.id for row in rows)


# -- delivery
def receive(connection: Connection, kinds: Sequence[str]) -> None:
    """From now on notices of these kinds are delivered (() for none). What waits and is not received any more is kept."""
    wanted = sorted({str(kind) for kind in kinds})
    conditions.keep(connection, _RECEIVED, wanted)
    connection.execute(update(tables.notices).where(_PENDING, tables.notices.c.kind.not_in(wanted)).values(state=str(NoticeState.KEPT), next_at=None))


def notice_of(row: AnyRow) -> Notice:
    """A row of `notices`."""
    return Notice(
        id=row.id,
        seq=row.seq,
        kind=NoticeKind(row.kind),
        subject=row.subject,
        generation=row.generation,
        account=row.account,
        at=row.at,
        data=dict(row.data),
        state=NoticeState(row.state),
        attempts=row.attempts,
        next_at=row.next_at,
        delivered_at=row.delivered_at,
        last_fault=row.last_fault,
    )


def find(connection: Connection, *, subject: str, account: str, state: str, limit: int) -> tuple[Notice, ...]:
    """`NoticeStore.find`: the newest `limit` of them, oldest first."""
    query = select(tables.notices)
    for column, wanted in ((tables.notices.c.subject, subject), (tables.notices.c.account, account), (tables.notices.c.state, state)):
        if wanted:
            query = query.where(column == wanted)
    rows = connection.execute(query.order_by(tables.notices.c.seq.desc()).limit(max(0, limit))).all()
    return tuple(notice_of(row) for row in reversed(rows))


def due(connection: Connection, now: datetime, limit: int) -> tuple[Notice, ...]:
    """`NoticeStore.due`. Of the host itself, notices of one noun (`breaker`, `drain`) are in order among themselves: one that a receiver refuses for what it
    is does not hold back that the breaker opened."""
    noun = case((tables.notices.c.subject == "", func.substr(tables.notices.c.kind, 1, func.instr(tables.notices.c.kind, "."))), else_="")
    first = select(func.min(tables.notices.c.seq)).where(_PENDING).group_by(tables.notices.c.subject, noun)
    come = or_(tables.notices.c.next_at <= now, tables.notices.c.next_at > now + _TOO_FAR)
    query = select(tables.notices).where(tables.notices.c.seq.in_(first), come).order_by(tables.notices.c.seq).limit(max(0, limit))
    return tuple(notice_of(row) for row in connection.execute(query))


def note_delivery(connection: Connection, notice_id: str, now: datetime, *, delivered: bool, fault: str, retry_at: datetime | None) -> None:
    """`NoticeStore.note_delivery`. One that is not pending any more stays as it is."""
    row = connection.execute(select(tables.notices).where(tables.notices.c.id == notice_id, _PENDING)).first()
    if row is None:
        return
    dead = not delivered and retry_at is None
    state = NoticeState.DELIVERED if delivered else NoticeState.DEAD if dead else NoticeState.PENDING
    values = {"state": str(state), "attempts": row.attempts + 1, "next_at": retry_at if state is NoticeState.PENDING else None}
    if delivered:
        values["delivered_at"] = now
    connection.execute(update(tables.notices).where(tables.notices.c.seq == row.seq).values(**values, last_fault=fault))
    if dead:
        body = {"id": notice_id, "notice": row.kind, "uuid": row.subject, "attempts": row.attempts + 1, "fault": fault}
        audit.append(connection, "notice-dead", body, now)


def revive(connection: Connection, now: datetime, operator: str) -> int:
    """Dead letters are pending again, from their first attempt on; how many."""
    found = connection.execute(update(tables.notices).where(text("state = 'dead'")).values(state=str(NoticeState.PENDING), attempts=0, next_at=now)).rowcount
    if found:
        audit.append(connection, "notices-revived", {"count": found, "operator": operator}, now)
    return int(found)


def backlog(connection: Connection) -> Backlog:
    """`NoticeStore.backlog`."""
    pending = connection.execute(select(func.count(), func.min(tables.notices.c.at, type_=tables.notices.c.at.type)).where(_PENDING)).one()
    dead = connection.execute(select(func.count()).select_from(tables.notices).where(text("state = 'dead'"))).scalar_one()
    return Backlog(pending=int(pending[0]), oldest_at=pending[1], dead=int(dead))


class SqlNotices:
    """`ports.ledger.NoticeStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def receive(self, kinds: Sequence[str]) -> None:
        """See the port."""
        await self._db.write(lambda c: receive(c, kinds))

    async def find(self, *, subject: str = "", account: str = "", state: str = "", limit: int = 1000) -> tuple[Notice, ...]:
        """See the port."""
        return await self._db.read(lambda c: find(c, subject=subject, account=account, state=state, limit=limit))

    async def due(self, now: datetime, limit: int) -> tuple[Notice, ...]:
        """See the port."""
        return await self._db.read(lambda c: due(c, now, limit))

    async def note_delivery(self, notice_id: str, now: datetime, *, delivered: bool, fault: str = "", retry_at: datetime | None = None) -> None:
        """See the port."""
        await self._db.write(lambda c: note_delivery(c, notice_id, now, delivered=delivered, fault=fault, retry_at=retry_at))

    async def revive(self, now: datetime, operator: str) -> int:
        """See the port."""
        return await self._db.write(lambda c: revive(c, now, operator))

    async def backlog(self) -> Backlog:
        """See the port."""
        return await self._db.read(backlog)

    async def tell_ending_holds(self, now: datetime, warning: int) -> tuple[str, ...]:
        """See the port. Costs no write where no hold ends soon."""
        holds = await self._db.read(lambda c: holds_ending(c, now, timedelta(seconds=warning)))
        if not holds:
            return ()
        return await self._db.write(lambda c: ending_holds(c, now, timedelta(seconds=warning)))
