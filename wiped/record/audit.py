"""The audit log: append-only, hash-chained (attest.audit_chain), written in the very transaction of what it tells.

Kinds: `subscription` (begun, renewed, corrected), `refused`, `generation-occupied`, `occupied-settled`, `phone-seen`, `phone-renamed`, `phone-back`,
`vanished`, `decision`, `marked`, `request`, `request-closed`, `hold`, `hold-released`, `wipe-begun`, `intent`, `step`, `last-word`, `erased`,
`evidence`, `removed`, `judged`, `retry`, `finished`; and whatever `note` is given.

Bodies hold codes, ids, pseudonyms and digests. Keys that could hold a person's words or a customer's name are dropped, whoever hands them in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from wiped.attest.audit_chain import GENESIS, Head, entry_hash, follow
from wiped.errors import LedgerError
from wiped.model.canonical import canonical_bytes
from wiped.model.instants import instant_text
from wiped.model.records import AuditEntry
from wiped.record.sql import schema as tables
from wiped.record.sql.database import HEAD, Database

#: Never in a body: free text, references, names, and paths (they hold names).
WITHHELD = frozenset({"reference", "reason", "name", "account_reference", "location", "path", "detail", "ticket", "title", "description"})

_BATCH = 1_000


def _plain(value: Any) -> Any:
    """`value` without what is withheld; enums become their words."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items() if str(key) not in WITHHELD}
    if isinstance(value, tuple | list | set | frozenset):
        items = [_plain(item) for item in value]
        return sorted(items, key=str) if isinstance(value, set | frozenset) else items
    if isinstance(value, datetime):
        return instant_text(value)
    return value


def append(connection: Connection, kind: str, body: Mapping[str, Any], now: datetime) -> AuditEntry:
    """Append one entry within the caller's transaction. Raises InputError when the body has no canonical form (a float, bytes)."""
    return append_all(connection, [(kind, body)], now)[0]


def append_all(connection: Connection, told: Sequence[tuple[str, Mapping[str, Any]]], now: datetime) -> list[AuditEntry]:
    """`append` for many (kind, body), in their order."""
    if not told:
        return []
    last = connection.execute(select(tables.audit.c.seq, tables.audit.c.hash).order_by(tables.audit.c.seq.desc()).limit(1)).first()
    seq, previous = (last.seq, last.hash) if last else (0, GENESIS)
    at = instant_text(now)
    appended, rows = [], []
    for kind, body in told:
        seq += 1
        text = canonical_bytes(_plain(body)).decode("utf-8")
        plain = json.loads(text)
        digest = entry_hash(previous, seq, at, kind, plain)
        appended.append(AuditEntry(seq, at, kind, plain, previous, digest))
        rows.append({"seq": seq, "at": at, "kind": kind, "body": text, "previous": previous, "hash": digest})
        previous = digest
    connection.execute(tables.audit.insert(), rows)
    connection.info[HEAD] = (seq, previous)
    return appended


def entries(connection: Connection, *, after: int, limit: int) -> tuple[AuditEntry, ...]:
    """Entries with seq > `after`, in order, at most `limit`. Raises LedgerError for a body that is not JSON any more."""
    rows = connection.execute(select(tables.audit).where(tables.audit.c.seq > after).order_by(tables.audit.c.seq).limit(max(0, limit)))
    try:
        return tuple(AuditEntry(row.seq, row.at, row.kind, json.loads(row.body), row.previous, row.hash) for row in rows)
    except ValueError as error:
        raise LedgerError("an audit entry in the ledger is damaged") from error


def newest_at(connection: Connection) -> datetime | None:
    """The instant of the newest entry; None where there is none."""
    at = connection.execute(select(tables.audit.c.at).order_by(tables.audit.c.seq.desc()).limit(1)).scalar()
    return None if at is None else datetime.fromisoformat(at)


def verify(connection: Connection) -> Head:
    """Follow the whole chain in the ledger; its head. Raises VerificationError naming the first entry that does not fit."""
    head = Head()
    while batch := entries(connection, after=head.seq, limit=_BATCH):
        head = follow(head, batch)
    return head


class SqlAudit:
    """`ports.ledger.AuditStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def entries(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """See the port."""
        return await self._db.read(lambda c: entries(c, after=after, limit=limit))

    async def note(self, kind: str, body: dict[str, Any], now: datetime) -> AuditEntry:
        """See the port."""
        return await self._db.write(lambda c: append(c, kind, body, now))

    async def verify(self) -> Head:
        """See the port."""
        return await self._db.read_in_thread(verify)
