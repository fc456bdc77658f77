"""Wipes that could not be proven: tried again, or disposed of by two people. Functions that take a connection run within its transaction."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import Connection, delete, update

from wiped.errors import InvariantError, NotFoundError
from wiped.model.records import CertificateRecord, WipeStep
from wiped.model.subscription import State
from wiped.record import audit, sightings
from wiped.record.phones import set_state
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.wipes import row_of


def retry_now(connection: Connection, wipe_id: str, now: datetime, operator: str) -> None:
    """`QuarantineStore.retry_now`."""
    row = row_of(connection, wipe_id)
    if row.step != WipeStep.QUARANTINED:
        raise NotFoundError(f"wipe {wipe_id} is not in quarantine", where="wipe")
    connection.execute(update(tables.wipes).where(tables.wipes.c.id == wipe_id).values(retry_at=now))
    audit.append(connection, "retry", {"wipe_id": wipe_id, "uuid": row.uuid, "operator": operator}, now)


def dispose(connection: Connection, wipe_id: str, certificate: CertificateRecord, now: datetime, *, operator: str, approver: str) -> None:
    """`QuarantineStore.dispose`. The generation's term is not ended: nobody is bound to this phone again."""
    row = row_of(connection, wipe_id)
    if row.step == WipeStep.DISPOSED:
        return
    if row.step != WipeStep.QUARANTINED or certificate.kind != "incident":
        raise InvariantError("I3", f"a wipe at {row.step} cannot be disposed of")
    if not operator or not approver or operator == approver:
        raise InvariantError("R14", "a disposal takes two different people")
    connection.execute(
        tables.certificates.insert().values(
            id=certificate.id, wipe_id=wipe_id, uuid=row.uuid, kind=certificate.kind, issued_at=certificate.issued_at, envelope=certificate.envelope
        )
    )
    values = {"step": str(WipeStep.DISPOSED), "finished_at": now, "retry_at": None, "certificate_id": certificate.id}
    connection.execute(update(tables.wipes).where(tables.wipes.c.id == wipe_id).values(**values))
    connection.execute(delete(tables.ranges).where(tables.ranges.c.wipe_id == wipe_id))
    sightings.forget(connection, row.uuid)
    set_state(connection, row.uuid, State.DISPOSED, now)
    body = {
        "wipe_id": wipe_id,
        "uuid": row.uuid,
        "generation": row.generation,
        "outcome": row.outcome,
        "reasons": row.reasons,
        "operator": operator,
        "approver": approver,
        "certificate_id": certificate.id,
        "certificate_sha256": hashlib.sha256(certificate.envelope).hexdigest(),
    }
    audit.append(connection, "disposed", body, now)


class SqlQuarantine:
    """`ports.ledger.QuarantineStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def retry_now(self, wipe_id: str, now: datetime, operator: str) -> None:
        """See the port. Raises NotFoundError for a wipe that is not in quarantine."""
        await self._db.write(lambda c: retry_now(c, wipe_id, now, operator))

    async def dispose(self, wipe_id: str, certificate: CertificateRecord, now: datetime, *, operator: str, approver: str) -> None:
        """See the port."""
        await self._db.write(lambda c: dispose(c, wipe_id, certificate, now, operator=operator, approver=approver))
