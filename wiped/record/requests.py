"""Requests to wipe a phone. Functions that take a connection run within its transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from wiped.errors import InputError, NotFoundError
from wiped.model.subscription import AccountReference, WipeRequest
from wiped.ports.machine import Clock
from wiped.record import audit
from wiped.record.phones import known, touch
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow, request_of
from wiped.record.words import Sealer, Words, keep_words


def add(connection: Connection, uuid: str, request: WipeRequest, words: Sequence[Words], now: datetime, *, operator: str) -> None:
    """`RequestStore.add`; the request goes by its own id, what the requester wrote is sealed."""
    phone = known(connection, uuid)
    values = {"id": request.id, "uuid": uuid, "generation": phone.generation, "kind": request.kind, "ground": request.ground, "operator": operator}
    connection.execute(
        tables.requests.insert().values(
            **values,
            requested_at=request.requested_at,
            approved=request.approved,
            reference=request.id,
            account=request.account,
            effective_at=request.effective_at,
            signed=request.signed,
            approver=request.approver,
            approved_at=request.approved_at,
            approved_until=request.approved_until,
            fingerprint=request.fingerprint,
        )
    )
    keep_words(connection, request.id, words)
    touch(connection, uuid)
    audit.append(connection, "request", values, now)


def find(connection: Connection, uuid: str, *, unfinished: bool) -> tuple[tuple[str, WipeRequest], ...]:
    """`RequestStore.find`."""
    query = select(tables.requests).order_by(tables.requests.c.requested_at, tables.requests.c.id)
    if uuid:
        query = query.where(tables.requests.c.uuid == uuid)
    if unfinished:
        query = query.where(tables.requests.c.closed_at.is_(None))
    return tuple((row.uuid, request_of(row)) for row in connection.execute(query))


def _request(connection: Connection, request_id: str) -> AnyRow:
    row = connection.execute(select(tables.requests).where(tables.requests.c.id == request_id)).first()
    if row is None:
        raise NotFoundError(f"no request {request_id} is recorded", where="request")
    return row


def close(connection: Connection, request_id: str, now: datetime, *, code: str, operator: str) -> None:
    """`RequestStore.close`."""
    row = _request(connection, request_id)
    if row.closed_at is not None:
        return
    connection.execute(update(tables.requests).where(tables.requests.c.id == request_id).values(closed_at=now))
    touch(connection, row.uuid)
    audit.append(connection, "request-closed", {"id": request_id, "uuid": row.uuid, "code": code, "operator": operator}, now)


def approve(connection: Connection, request_id: str, now: datetime, *, approver: str, until: datetime, fingerprint: str) -> None:
    """`RequestStore.approve`; an empty `approver` takes an agreement back (its plan changed)."""
    row = _request(connection, request_id)
    if row.closed_at is not None:
        raise InputError("the request is closed", where="request")
    given = bool(approver)
    values = {
        "approved": given,
        "approver": approver,
        "approved_at": now if given else None,
        "approved_until": until if given else None,
        "fingerprint": fingerprint,
    }
    connection.execute(update(tables.requests).where(tables.requests.c.id == request_id).values(**values))
    touch(connection, row.uuid)
    told = {"id": request_id, "uuid": row.uuid, "approved": given, "approver": approver, "fingerprint": fingerprint, "operator": row.operator}
    audit.append(connection, "request-approved" if given else "request-unapproved", told, now)


def lengthen_approvals(connection: Connection, uuids: Sequence[str], now: datetime) -> None:
    """Let what was approved before a hold was released be used for as long again as when it was approved: the hold kept it from being used."""
    rows = connection.execute(
        select(tables.requests).where(
            tables.requests.c.uuid.in_(uuids), tables.requests.c.closed_at.is_(None), tables.requests.c.approved, tables.requests.c.approved_until.is_not(None)
        )
    ).all()
    for row in rows:
        if row.approved_until > row.approved_at:
            until = max(row.approved_until, now + (row.approved_until - row.approved_at))
            connection.execute(update(tables.requests).where(tables.requests.c.id == row.id).values(approved_until=until))


class SqlRequests:
    """`ports.ledger.RequestStore` over SQLite."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._db = database
        self._sealer = sealer
        self._clock = clock

    async def add(self, uuid: str, request: WipeRequest, *, reference: str, reason: str, operator: str) -> None:
        """See the port. What the requester wrote is sealed; the request goes by its own id (docs/decisions/0011)."""
        now = self._clock.now()
        await self._db.read(lambda c: known(c, uuid))
        words = await self._sealer.sealed(await self._sealer.slot(uuid), {"reference": reference, "reason": reason}) if reference or reason else []
        await self._db.write(lambda c: add(c, uuid, request, words, now, operator=operator))

    async def add_for_account(self, account: AccountReference, requests: Sequence[tuple[str, WipeRequest]], *, reference: str, reason: str,
                              operator: str) -> None:  # fmt: skip
        """See the port."""
        now = self._clock.now()
        sealed = [await self._sealer.sealed(request.account, {"reference": reference, "reason": reason}) for _, request in requests]

        def write(connection: Connection) -> None:
            for (uuid, request), words in zip(requests, sealed, strict=True):
                add(connection, uuid, request, words, now, operator=operator)

        await self._db.write(write)

    async def find(self, *, uuid: str = "", unfinished: bool = True) -> tuple[tuple[str, WipeRequest], ...]:
        """See the port."""
        return await self._db.read(lambda c: find(c, uuid, unfinished=unfinished))

    async def close(self, request_id: str, now: datetime, *, code: str, operator: str) -> None:
        """See the port."""
        await self._db.write(lambda c: close(c, request_id, now, code=code, operator=operator))

    async def approve(self, request_id: str, now: datetime, *, approver: str, until: datetime, fingerprint: str) -> None:
        """See the port."""
        await self._db.write(lambda c: approve(c, request_id, now, approver=approver, until=until, fingerprint=fingerprint))

    async def generation_of(self, request_id: str) -> int:
        """See the port."""
        return await self._db.read(lambda c: int(_request(c, request_id).generation))
