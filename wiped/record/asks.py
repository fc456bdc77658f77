"""What people ask of the ledger about a phone: requests, holds, marks, and the sealed words that came with them. Functions run within a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text, update

from wiped.errors import NotFoundError
from wiped.model.subscription import Hold, WipeRequest
from wiped.record import audit, outbox
from wiped.record.phones import known, touch
from wiped.record.sql.rows import AnyRow, hold_of
from wiped.record.sql.schema import holds, phones, requests, sealed_notes, subscriptions

#: A pseudonym and the words sealed under its key; None where no words were given.
Sealed = tuple[str, bytes] | None


def keep_note(connection: Connection, uuid: str, kind: str, about: str, sealed: Sealed) -> None:
    """Sealed words about a thing."""
    if sealed is not None:
        connection.execute(sealed_notes.insert().values(uuid=uuid, kind=kind, about=about, pseudonym=sealed[0], sealed=sealed[1]))


def note_about(connection: Connection, about: str) -> Sealed:
    """The newest sealed words about a thing."""
    row = connection.execute(select(sealed_notes).where(sealed_notes.c.about == about).order_by(sealed_notes.c.id.desc()).limit(1)).first()
    return None if row is None else (row.pseudonym, row.sealed)


def mark(connection: Connection, uuid: str, values: Mapping[str, Any], now: datetime, *, sealed: Sealed, cause: str, operator: str) -> frozenset[str]:
    """`Ledger.mark`; `cause` is a code of the daemon's, "" for a person's. Returns the names of the values that changed."""
    phone = known(connection, uuid)
    news = {key: value for key, value in values.items() if getattr(phone, key) != value}
    if not news:
        return frozenset()
    connection.execute(update(phones).where(phones.c.uuid == uuid).values(**news, touches=phones.c.touches + 1))
    keep_note(connection, uuid, "marked", "", sealed)
    audit.append(connection, "marked", {"uuid": uuid, **news, "cause": cause, "operator": operator}, now)
    if news.get("fenced"):
        outbox.fenced(connection, uuid, cause, now)
    return frozenset(news)


def add_request(connection: Connection, uuid: str, request: WipeRequest, now: datetime, *, reference: str, sealed: Sealed, operator: str) -> None:
    """`Ledger.add_request`."""
    phone = known(connection, uuid)
    values = {"id": request.id, "uuid": uuid, "generation": phone.generation, "kind": request.kind, "ground": request.ground, "operator": operator}
    connection.execute(
        requests.insert().values(
            **values,
            requested_at=request.requested_at,
            approved=request.approved,
            reference=reference,
            account=request.account,
            effective_at=request.effective_at,
            signed=request.signed,
            approver=request.approver,
            approved_at=request.approved_at,
            approved_until=request.approved_until,
            fingerprint=request.fingerprint,
        )
    )
    keep_note(connection, uuid, "request", request.id, sealed)
    touch(connection, uuid)
    audit.append(connection, "request", values, now)


def add_hold(connection: Connection, hold: Hold, now: datetime, operator: str) -> None:
    """`Ledger.add_hold`."""
    values = {"id": hold.id, "uuid": hold.uuid, "account": hold.account, "ground": hold.ground, "until": hold.until, "operator": operator}
    connection.execute(holds.insert().values(**values, added_at=now, disclose=hold.disclose))
    _touch_held(connection, hold)
    audit.append(connection, "hold", values, now)


def release_hold(connection: Connection, hold_id: str, now: datetime, operator: str) -> AnyRow:
    """`Ledger.release_hold`; the hold as it was."""
    row = connection.execute(select(holds).where(holds.c.id == hold_id, holds.c.released_at.is_(None))).first()
    if row is None:
        raise NotFoundError(f"no hold {hold_id} is in force", where="hold")
    connection.execute(update(holds).where(holds.c.id == hold_id).values(released_at=now))
    _touch_held(connection, hold_of(row))
    audit.append(connection, "hold-released", {"id": hold_id, "uuid": row.uuid, "account": row.account, "operator": operator}, now)
    return row


def holds_in_force(connection: Connection, now: datetime) -> tuple[Hold, ...]:
    """`Ledger.holds`, oldest first."""
    query = select(holds).where(text("released_at IS NULL")).order_by(holds.c.added_at, holds.c.id)
    return tuple(hold for hold in map(hold_of, connection.execute(query)) if hold.until is None or now < hold.until)


def _touch_held(connection: Connection, hold: Hold) -> None:
    """Let every phone that a hold reaches be decided again."""
    uuids = {hold.uuid} - {""}
    if hold.account:
        uuids |= set(connection.execute(select(subscriptions.c.uuid).where(subscriptions.c.account == hold.account)).scalars())
    for uuid in uuids:
        touch(connection, uuid)
