"""How a wipe ends in the ledger: judged, released, cancelled, or in quarantine. Functions run within a transaction and take its connection."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from wiped.errors import InvariantError, NotFoundError
from wiped.model.outcome import Outcome
from wiped.model.records import COMMITTED_STEPS, FINAL_STEPS, ArtefactState, CertificateRecord, WipeStep
from wiped.model.subscription import State
from wiped.record import audit, outbox
from wiped.record.phones import set_state
from wiped.record.sql.rows import AnyRow
from wiped.record.sql.schema import artefacts, certificates, memories, phones, ranges, remembered, requests, subscriptions, wipes
from wiped.record.wipes import DONE, HANDS, row_of


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
    """`Ledger.judge` (I4)."""
    row = row_of(connection, wipe_id)
    if row.step not in HANDS and row.step != WipeStep.QUARANTINED:
        raise InvariantError("I4", f"a verdict on a wipe at {row.step}")
    good = outcome != Outcome.NOT_SANITIZED
    own = artefacts.c.wipe_id == wipe_id
    if good:
        if outcome not in set(Outcome) or reasons or certificate is None or certificate.kind != "certificate":
            raise InvariantError("I4", "a good outcome needs a certificate and no reasons")
        states = connection.execute(select(artefacts.c.state).where(own)).scalars().all()
        if not states or any(state not in DONE for state in states):
            raise InvariantError("I4", f"an artefact is not proven, the phone cannot be {outcome}")
    else:
        connection.execute(update(artefacts).where(own, artefacts.c.state.not_in([str(state) for state in DONE])).values(state=str(ArtefactState.LEFT)))
    if certificate is not None:
        connection.execute(
            certificates.insert().values(
                id=certificate.id,
                wipe_id=wipe_id,
                uuid=row.uuid,
                kind=certificate.kind,
                issued_at=certificate.issued_at,
                envelope=certificate.envelope,
            )
        )
    connection.execute(
        update(wipes)
        .where(wipes.c.id == wipe_id)
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
    outbox.judged(connection, row, **told, good=good, attempt=row.attempt, now=now, retry_at=retry_at)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def finish(connection: Connection, wipe_id: str, step: WipeStep, now: datetime) -> None:
    """`Ledger.finish`."""
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
    connection.execute(update(wipes).where(wipes.c.id == wipe_id).values(step=str(step), finished_at=finished_at, retry_at=None))
    connection.execute(delete(ranges).where(ranges.c.wipe_id == wipe_id))
    if step is WipeStep.RELEASED:
        _end_generation(connection, row, now)
    connection.execute(update(phones).where(phones.c.uuid == row.uuid).values(touches=phones.c.touches + 1))
    audit.append(connection, "finished", {"wipe_id": wipe_id, "uuid": row.uuid, "generation": row.generation, "step": str(step)}, now)


def _end_generation(connection: Connection, row: AnyRow, now: datetime) -> None:
    own = (subscriptions.c.uuid == row.uuid, subscriptions.c.generation == row.generation)
    connection.execute(update(subscriptions).where(*own).values(ended_at=now))
    connection.execute(
        update(requests).where(requests.c.uuid == row.uuid, requests.c.generation == row.generation, requests.c.closed_at.is_(None)).values(closed_at=now)
    )
    connection.execute(update(phones).where(phones.c.uuid == row.uuid).values(fenced=False, suspended=False, refusals=[]))
    connection.execute(delete(remembered).where(remembered.c.uuid == row.uuid))
    connection.execute(delete(memories).where(memories.c.uuid == row.uuid))
    set_state(connection, row.uuid, State.RELEASED, now)


def retry_now(connection: Connection, wipe_id: str, now: datetime, operator: str) -> None:
    """`Ledger.retry_now`."""
    row = row_of(connection, wipe_id)
    if row.step != WipeStep.QUARANTINED:
        raise NotFoundError(f"wipe {wipe_id} is not in quarantine", where="wipe")
    connection.execute(update(wipes).where(wipes.c.id == wipe_id).values(retry_at=now))
    audit.append(connection, "retry", {"wipe_id": wipe_id, "uuid": row.uuid, "operator": operator}, now)
