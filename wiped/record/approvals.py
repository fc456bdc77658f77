"""What takes two people (R14): who asked for it, who agreed, and how it was settled. Functions that take a connection run within its transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text, update

from wiped.decide import approval as rules
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.approvals import Approval, ApprovalState, is_kind
from wiped.model.plan import RefusalCode
from wiped.record import audit, notices
from wiped.record.phones import touch
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow
from wiped.record.words import Sealer, Words, keep_words


def approval_of(row: AnyRow) -> Approval:
    """A row of `approvals`."""
    return Approval(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        uuids=tuple(row.uuids),
        fingerprint=row.fingerprint,
        asked_by=row.asked_by,
        asked_uid=row.asked_uid,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        state=ApprovalState(row.state),
        approvals=tuple(row.agreed),
        needed=row.needed,
        decided_at=row.decided_at,
        terms=row.terms,
    )


def known(connection: Connection, approval_id: str) -> Approval:
    """One approval. Raises NotFoundError."""
    row = connection.execute(select(tables.approvals).where(tables.approvals.c.id == approval_id)).first()
    if row is None:
        raise NotFoundError("no such approval", where="approval")
    return approval_of(row)


def find(connection: Connection, *, unfinished: bool) -> tuple[Approval, ...]:
    """`ApprovalStore.find`."""
    query = select(tables.approvals).order_by(tables.approvals.c.asked_at, tables.approvals.c.id)
    if unfinished:
        query = query.where(text("state = 'pending'"))
    return tuple(map(approval_of, connection.execute(query)))


def ask(connection: Connection, asked: Approval, words: Sequence[Words], now: datetime) -> Approval:
    """`ApprovalStore.ask`. Raises InputError for a kind that has not the form of one."""
    if not is_kind(asked.kind):
        raise InputError(f"{asked.kind!r} is no kind of approval", where="kind")
    same = (tables.approvals.c.kind == str(asked.kind), tables.approvals.c.subject == asked.subject, text("state = 'pending'"))
    standing = connection.execute(select(tables.approvals).where(*same)).first()
    if standing is not None:
        return approval_of(standing)
    connection.execute(
        tables.approvals.insert().values(
            id=asked.id,
            kind=str(asked.kind),
            subject=asked.subject,
            uuids=list(asked.uuids),
            fingerprint=asked.fingerprint,
            asked_by=asked.asked_by,
            asked_uid=asked.asked_uid,
            asked_at=asked.asked_at,
            expires_at=asked.expires_at,
            state=str(asked.state),
            agreed=list(asked.approvals),
            needed=asked.needed,
            terms=None if asked.terms is None else dict(asked.terms),
        )
    )
    keep_words(connection, asked.id, words)
    audit.append(connection, "approval-asked", _told(asked), now)
    notices.approval_asked(connection, asked, now)
    return asked


def _told(asked: Approval) -> dict[str, Any]:
    return {"id": asked.id, "kind": str(asked.kind), "subject": asked.public_subject, "phones": list(asked.uuids), "fingerprint": asked.fingerprint,
            "operator": asked.asked_by, "needed": asked.needed}  # fmt: skip


def agree(connection: Connection, approval_id: str, name: str, now: datetime, *, fingerprint: str) -> Approval:
    """`ApprovalStore.agree`."""
    found = known(connection, approval_id)
    if found.state is ApprovalState.APPROVED and name in found.approvals:
        return found
    if found.state is not ApprovalState.PENDING:
        raise InputError(f"it is {found.state} already", where="approval")
    if now >= found.expires_at:
        raise RefusedError("nobody approved in time: ask again", codes=(RefusalCode.EXPIRED_APPROVAL,))
    if name == found.asked_by:
        raise RefusedError("whoever asked cannot approve it", codes=(RefusalCode.NEEDS_APPROVAL,))
    if fingerprint != found.fingerprint:
        raise RefusedError("another plan is waiting for approval by now: look again", codes=(RefusalCode.DRIFT,))
    if name in found.approvals:
        return found
    after = replace(found, approvals=(*found.approvals, name))
    enough = rules.enough(after)
    after = replace(after, state=ApprovalState.APPROVED if enough else ApprovalState.PENDING, decided_at=now if enough else None)
    values = {"agreed": list(after.approvals), "state": str(after.state), "decided_at": after.decided_at}
    connection.execute(update(tables.approvals).where(tables.approvals.c.id == approval_id).values(**values))
    audit.append(connection, "approval-given", {**_told(found), "approver": name, "enough": enough}, now)
    for uuid in after.uuids:
        touch(connection, uuid)
    return after


def settle(connection: Connection, approval_id: str, state: ApprovalState, now: datetime, *, operator: str, fingerprint: str) -> Approval:
    """`ApprovalStore.settle`."""
    found = known(connection, approval_id)
    if state is ApprovalState.PENDING:
        if found.state is not ApprovalState.PENDING or found.fingerprint == fingerprint:
            return found
        connection.execute(update(tables.approvals).where(tables.approvals.c.id == approval_id).values(fingerprint=fingerprint, agreed=[]))
        audit.append(connection, "approval-changed", {**_told(found), "fingerprint": fingerprint, "was": found.fingerprint}, now)
        return replace(found, fingerprint=fingerprint, approvals=())
    if found.state is not ApprovalState.PENDING:
        return found
    connection.execute(update(tables.approvals).where(tables.approvals.c.id == approval_id).values(state=str(state), decided_at=now))
    audit.append(connection, "approval-settled", {**_told(found), "state": str(state), "approver": operator}, now)
    for uuid in found.uuids:
        touch(connection, uuid)
    return replace(found, state=state, decided_at=now)


class SqlApprovals:
    """`ports.ledger.ApprovalStore` over SQLite."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._db = database
        self._sealer = sealer

    async def ask(self, approval: Approval, *, reason: str) -> Approval:
        """See the port."""
        slot = await self._sealer.slot(approval.uuids[0]) if len(approval.uuids) == 1 else await self._sealer.own_slot("host")
        words = await self._sealer.sealed(slot, {"reason": reason})
        return await self._db.write(lambda c: ask(c, approval, words, approval.asked_at))

    async def find(self, *, unfinished: bool = True) -> tuple[Approval, ...]:
        """See the port."""
        return await self._db.read(lambda c: find(c, unfinished=unfinished))

    async def get(self, approval_id: str) -> Approval | None:
        """See the port."""
        try:
            return await self._db.read(lambda c: known(c, approval_id))
        except NotFoundError:
            return None

    async def agree(self, approval_id: str, name: str, now: datetime, *, fingerprint: str) -> Approval:
        """See the port."""
        return await self._db.write(lambda c: agree(c, approval_id, name, now, fingerprint=fingerprint))

    async def settle(self, approval_id: str, state: ApprovalState, now: datetime, *, operator: str, fingerprint: str = "") -> Approval:
        """See the port."""
        return await self._db.write(lambda c: settle(c, approval_id, state, now, operator=operator, fingerprint=fingerprint))
