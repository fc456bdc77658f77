"""How a wipe ends: judged, released or cancelled. Functions that take a connection run within its transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from wiped.errors import InvariantError
from wiped.model.outcome import Outcome
from wiped.model.records import COMMITTED_STEPS, FINAL_STEPS, ArtefactState, CertificateRecord, WipeStep
from wiped.model.subscription import State
from wiped.record import audit, notices, sightings
from wiped.record.artefacts import DONE
from wiped.record.phones import set_state
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow
from wiped.record.wipes import HANDS, row_of


def judge(
    connection: Connection,
    wipe_id: str,
    *,
    outcome: str,
    reasons: Sequence[str],
    residuals: Sequence[str],
    certificate: CertificateRecord | None,
    now: datetime,
    retry_at: datetime | None,
) -> None:
    """`VerdictStore.judge` (I4)."""
    row = row_of(connection, wipe_id)
    if row.step not in HANDS and row.step != WipeStep.QUARANTINED:
        raise InvariantError("I4", f"a verdict on a wipe at {row.step}")
    good = outcome != Outcome.NOT_SANITIZED
    own = tables.artefacts.c.wipe_id == wipe_id
    if good:
        if outcome not in set(Outcome) or reasons or certificate is None or certificate.kind != "certificate":
            raise InvariantError("I4", "a good outcome needs a certificate and no reasons")
        states = connection.execute(select(tables.artefacts.c.state).where(own)).scalars().all()
        if not states or any(state not in DONE for state in states):
            raise InvariantError("I4", f"an artefact is not proven, the phone cannot be {outcome}")
    else:
        connection.execute(
            update(tables.artefacts).where(own, tables.artefacts.c.state.not_in([str(state) for state in DONE])).values(state=str(ArtefactState.LEFT))
        )
    if certificate is not None:
        connection.execute(
            tables.certificates.insert().values(
                id=certificate.id,
                wipe_id=wipe_id,
                uuid=row.uuid,
                kind=certificate.kind,
                issued_at=certificate.issued_at,
                envelope=certificate.envelope,
            )
        )
    connection.execute(
        update(tables.wipes)
        .where(tables.wipes.c.id == wipe_id)
        .values(
            step=str(WipeStep.JUDGED if good else WipeStep.QUARANTINED),
            outcome=str(outcome),
            reasons=[str(reason) for reason in reasons],
            residuals=[str(residual) for residual in residuals],
            certificate_id=certificate.id if certificate else row.certificate_id,
            finished_at=now,
            retry_at=None if good else retry_at,
            # An attempt that ended before its own last word is one more attempt.
            attempt=row.attempt + 1 if row.step == WipeStep.QUARANTINED else row.attempt,
        )
    )
    set_state(connection, row.uuid, State.WIPED if good else State.QUARANTINED, now)
    body = {
        "wipe_id": wipe_id,
        "uuid": row.uuid,
        "generation": row.generation,
        "outcome": str(outcome),
        "reasons": list(reasons),
        "residuals": list(residuals),
        "certificate_id": certificate.id if certificate else "",
        "certificate_sha256": _sha256(certificate.envelope) if certificate else "",
    }
    audit.append(connection, "judged", body, now)
    told = {"certificate_id": body["certificate_id"], "outcome": outcome, "reasons": reasons, "residuals": residuals}
    notices.judged(connection, row, **told, good=good, attempt=row.attempt, now=now, retry_at=retry_at)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def finish(connection: Connection, wipe_id: str, step: WipeStep, now: datetime) -> None:
    """`VerdictStore.finish`."""
    row = row_of(connection, wipe_id)
    if step not in FINAL_STEPS:
        raise InvariantError("I8", f"{step} is no end")
    if row.step == step:
        return
    if step is WipeStep.RELEASED and row.step != WipeStep.JUDGED:
        raise InvariantError("I3", f"a wipe at {row.step} cannot be released")
    if step is WipeStep.CANCELLED and (row.step in COMMITTED_STEPS or row.step in FINAL_STEPS):
        raise InvariantError("I7", f"a wipe at {row.step} cannot be cancelled")
    finished_at = now if row.finished_at is None else row.finished_at
    connection.execute(update(tables.wipes).where(tables.wipes.c.id == wipe_id).values(step=str(step), finished_at=finished_at, retry_at=None))
    connection.execute(delete(tables.ranges).where(tables.ranges.c.wipe_id == wipe_id))
    if step is WipeStep.RELEASED:
        _end_generation(connection, row, now)
    connection.execute(update(tables.phones).where(tables.phones.c.uuid == row.uuid).values(touches=tables.phones.c.touches + 1))
    audit.append(connection, "finished", {"wipe_id": wipe_id, "uuid": row.uuid, "generation": row.generation, "step": str(step)}, now)


def _end_generation(connection: Connection, row: AnyRow, now: datetime) -> None:
    own = (tables.subscriptions.c.uuid == row.uuid, tables.subscriptions.c.generation == row.generation)
    connection.execute(update(tables.subscriptions).where(*own).values(ended_at=now))
    connection.execute(
        update(tables.requests)
        .where(tables.requests.c.uuid == row.uuid, tables.requests.c.generation == row.generation, tables.requests.c.closed_at.is_(None))
        .values(closed_at=now)
    )
    connection.execute(update(tables.phones).where(tables.phones.c.uuid == row.uuid).values(fenced=False, suspended=False, stopped=False, refusals=[]))
    sightings.forget(connection, row.uuid)
    set_state(connection, row.uuid, State.RELEASED, now)


class SqlVerdicts:
    """`ports.ledger.VerdictStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def judge(self, wipe_id: str, *, outcome: str, reasons: Sequence[str], residuals: Sequence[str],
                    certificate: CertificateRecord | None, now: datetime, retry_at: datetime | None) -> None:  # fmt: skip
        """See the port."""
        told = {"reasons": tuple(reasons), "residuals": tuple(residuals)}
        await self._db.write(lambda c: judge(c, wipe_id, outcome=outcome, certificate=certificate, now=now, retry_at=retry_at, **told))

    async def finish(self, wipe_id: str, step: WipeStep, now: datetime) -> None:
        """See the port."""
        await self._db.write(lambda c: finish(c, wipe_id, step, now))
