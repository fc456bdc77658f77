"""What a wipe destroys, one artefact at a time: results need the last word (I1, I7), a removal needs PROVEN (I3).

Functions that take a connection run within its transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from wiped.errors import InvariantError
from wiped.model.outcome import EraseResult, Evidence
from wiped.model.records import ArtefactState
from wiped.ports.machine import Clock
from wiped.record import audit
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow, evidence_value, result_value
from wiped.record.wipes import HANDS, row_of

#: An artefact's bytes are proven gone.
DONE = frozenset({ArtefactState.PROVEN, ArtefactState.REMOVED})


def _artefact(connection: Connection, wipe_id: str, artefact_id: str) -> AnyRow:
    row = connection.execute(select(tables.artefacts).where(tables.artefacts.c.wipe_id == wipe_id, tables.artefacts.c.artefact_id == artefact_id)).first()
    if row is None:
        raise InvariantError("I1", f"artefact {artefact_id} is in no intent")
    return row


def _change_artefact(connection: Connection, wipe_id: str, artefact_id: str, **values: Any) -> None:
    connection.execute(update(tables.artefacts).where(tables.artefacts.c.wipe_id == wipe_id, tables.artefacts.c.artefact_id == artefact_id).values(**values))


def save_ranges(connection: Connection, wipe_id: str, artefact_id: str, blobs: Sequence[bytes], map_digest: str) -> None:
    """`ArtefactStore.save_ranges`; never again once the artefact was overwritten: its ranges are what the read-back must find."""
    if _artefact(connection, wipe_id, artefact_id).state not in {ArtefactState.PENDING, ArtefactState.LEFT}:
        raise InvariantError("I1", f"artefact {artefact_id} was overwritten: its ranges are frozen")
    connection.execute(delete(tables.ranges).where(tables.ranges.c.wipe_id == wipe_id, tables.ranges.c.artefact_id == artefact_id))
    if blobs:
        rows = [{"wipe_id": wipe_id, "artefact_id": artefact_id, "chunk": chunk, "blob": bytes(blob)} for chunk, blob in enumerate(blobs)]
        connection.execute(tables.ranges.insert(), rows)
    _change_artefact(connection, wipe_id, artefact_id, map_digest=map_digest)


def saved_ranges(connection: Connection, wipe_id: str, artefact_id: str) -> tuple[bytes, ...]:
    """The chunks that `save_ranges` wrote, in order; () when the wipe is over."""
    query = select(tables.ranges.c.blob).where(tables.ranges.c.wipe_id == wipe_id, tables.ranges.c.artefact_id == artefact_id).order_by(tables.ranges.c.chunk)
    return tuple(connection.execute(query).scalars())


def _in_hands(connection: Connection, wipe_id: str) -> AnyRow:
    row = row_of(connection, wipe_id)
    if row.step not in HANDS:
        raise InvariantError("I7", f"a result for a wipe at {row.step}: its last word was not spoken")
    return row


def record_erased(connection: Connection, wipe_id: str, result: EraseResult, now: datetime) -> None:
    """`ArtefactStore.record_erased`. A result with reasons leaves the artefact unproven, in place."""
    row = _in_hands(connection, wipe_id)
    if _artefact(connection, wipe_id, result.artefact_id).state in DONE:
        raise InvariantError("I3", f"artefact {result.artefact_id} was proven already")
    state = ArtefactState.LEFT if result.reasons else ArtefactState.ERASED
    _change_artefact(connection, wipe_id, result.artefact_id, state=str(state), result=result_value(result), evidence=None)
    body = {
        "wipe_id": wipe_id,
        "uuid": row.uuid,
        "artefact_id": result.artefact_id,
        "bytes": result.bytes_overwritten,
        "map_digest": result.digest_after,
        "reasons": list(result.reasons),
    }
    audit.append(connection, "erased", body, now)


def record_evidence(connection: Connection, wipe_id: str, evidence: Evidence, now: datetime, *, proven: bool) -> None:
    """`ArtefactStore.record_evidence`."""
    row = _in_hands(connection, wipe_id)
    if proven and (_artefact(connection, wipe_id, evidence.artefact_id).state != ArtefactState.ERASED or evidence.mismatches or evidence.reasons):
        raise InvariantError("I3", f"artefact {evidence.artefact_id} cannot be proven by this")
    state = ArtefactState.PROVEN if proven else ArtefactState.LEFT
    _change_artefact(connection, wipe_id, evidence.artefact_id, state=str(state), evidence=evidence_value(evidence))
    body = {
        "wipe_id": wipe_id,
        "uuid": row.uuid,
        "artefact_id": evidence.artefact_id,
        "via": evidence.via,
        "bytes": evidence.bytes_verified,
        "mismatches": evidence.mismatches,
        "proven": proven,
        "reasons": list(evidence.reasons),
    }
    audit.append(connection, "evidence", body, now)


def record_removed(connection: Connection, wipe_id: str, artefact_id: str, now: datetime) -> None:
    """`ArtefactStore.record_removed` (I3). Idempotent."""
    row = _in_hands(connection, wipe_id)
    state = _artefact(connection, wipe_id, artefact_id).state
    if state not in DONE:
        raise InvariantError("I3", f"artefact {artefact_id} was removed while {state}")
    if state != ArtefactState.REMOVED:
        _change_artefact(connection, wipe_id, artefact_id, state=str(ArtefactState.REMOVED))
        audit.append(connection, "removed", {"wipe_id": wipe_id, "uuid": row.uuid, "artefact_id": artefact_id}, now)


class SqlArtefacts:
    """`ports.ledger.ArtefactStore` over SQLite."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    async def save_ranges(self, wipe_id: str, artefact_id: str, blobs: Sequence[bytes], map_digest: str) -> None:
        """See the port."""
        await self._db.write(lambda c: save_ranges(c, wipe_id, artefact_id, blobs, map_digest))

    async def saved_ranges(self, wipe_id: str, artefact_id: str) -> tuple[bytes, ...]:
        """See the port."""
        return await self._db.read(lambda c: saved_ranges(c, wipe_id, artefact_id))

    async def record_erased(self, wipe_id: str, result: EraseResult) -> None:
        """See the port."""
        now = self._clock.now()
        await self._db.write(lambda c: record_erased(c, wipe_id, result, now))

    async def record_evidence(self, wipe_id: str, evidence: Evidence, *, proven: bool) -> None:
        """See the port."""
        now = self._clock.now()
        await self._db.write(lambda c: record_evidence(c, wipe_id, evidence, now, proven=proven))

    async def record_removed(self, wipe_id: str, artefact_id: str) -> None:
        """See the port."""
        now = self._clock.now()
        await self._db.write(lambda c: record_removed(c, wipe_id, artefact_id, now))
