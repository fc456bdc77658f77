"""Wipes and their steps. Functions that take a connection run within its transaction.

The invariants that a memory can keep are kept here too: nothing but `last_word` writes ERASING (I7), and it needs an intent (I1). What is recorded of each
artefact is in `artefacts`, how a wipe ends in `verdicts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, text, update

from wiped.errors import InvariantError, NotFoundError
from wiped.model.canonical import digest
from wiped.model.plan import Plan
from wiped.model.records import COMMITTED_STEPS, FINAL_STEPS, ArtefactRecord, Trigger, WipeRecord, WipeStep
from wiped.model.subscription import Action, Decision, LifecycleFacts, State
from wiped.record import audit
from wiped.record.decisions import facts
from wiped.record.phones import known, set_state
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow, artefact_of, evidence_value, plan_value, result_value, trigger_value, wipe_of

_UNFINISHED = text("step NOT IN ('released', 'cancelled', 'disposed')")
#: Steps within a committed attempt, which `advance` may write.
_AFTER_LAST_WORD = frozenset({WipeStep.VERIFYING, WipeStep.REMOVING})
_BEFORE_LAST_WORD = frozenset({WipeStep.QUEUED, WipeStep.INTENT, WipeStep.FENCED, WipeStep.STOPPED, WipeStep.LOCKED, WipeStep.REOBSERVED})
#: Steps of an attempt that is under way past its last word.
HANDS = frozenset({WipeStep.ERASING, *_AFTER_LAST_WORD})


def row_of(connection: Connection, wipe_id: str) -> AnyRow:
    """The row of one wipe; raises NotFoundError."""
    row = connection.execute(select(tables.wipes).where(tables.wipes.c.id == wipe_id)).first()
    if row is None:
        raise NotFoundError(f"no wipe {wipe_id} is recorded", where="wipe")
    return row


def _with_artefacts(connection: Connection, rows: Sequence[AnyRow]) -> tuple[WipeRecord, ...]:
    if not rows:
        return ()
    found: dict[str, list[ArtefactRecord]] = {row.id: [] for row in rows}
    query = select(tables.artefacts).order_by(tables.artefacts.c.wipe_id, tables.artefacts.c.place)
    if len(rows) <= 500:  # beyond that one pass over the table is cheaper than so many bound names
        query = query.where(tables.artefacts.c.wipe_id.in_(found))
    for row in connection.execute(query):
        if row.wipe_id in found:
            found[row.wipe_id].append(artefact_of(row))
    return tuple(wipe_of(row, tuple(found[row.id])) for row in rows)


def wipe(connection: Connection, wipe_id: str) -> WipeRecord | None:
    """One wipe with its artefacts."""
    found = _with_artefacts(connection, connection.execute(select(tables.wipes).where(tables.wipes.c.id == wipe_id)).all())
    return found[0] if found else None


def all_wipes(connection: Connection, uuid: str, *, unfinished: bool) -> tuple[WipeRecord, ...]:
    """`WipeStore.find`."""
    query = select(tables.wipes)
    if uuid:
        query = query.where(tables.wipes.c.uuid == uuid)
    query = (
        query.where(_UNFINISHED).order_by(tables.wipes.c.started_at, tables.wipes.c.id)
        if unfinished
        else query.order_by(tables.wipes.c.started_at.desc(), tables.wipes.c.id.desc())
    )
    return _with_artefacts(connection, connection.execute(query).all())


def begin(connection: Connection, uuid: str, wipe_id: str, trigger: Trigger, now: datetime) -> WipeRecord:
    """`WipeStore.begin`."""
    unfinished = connection.execute(select(tables.wipes).where(tables.wipes.c.uuid == uuid, _UNFINISHED)).first()
    existing = None if unfinished is None else unfinished.id
    if unfinished is not None and unfinished.step not in COMMITTED_STEPS and unfinished.trigger != trigger_value(trigger):
        connection.execute(update(tables.wipes).where(tables.wipes.c.id == existing).values(trigger=trigger_value(trigger)))
        told = {"wipe_id": existing, "uuid": uuid, "trigger": trigger.kind, "ground": trigger.ground}
        audit.append(connection, "wipe-retriggered", {**told, "operator": trigger.operator, "approver": trigger.approver}, now)
    if existing is None:
        phone = known(connection, uuid)
        connection.execute(
            tables.wipes.insert().values(
                id=wipe_id,
                uuid=uuid,
                name=phone.name,
                generation=phone.generation,
                step=str(WipeStep.QUEUED),
                trigger=trigger_value(trigger),
                started_at=now,
                snapshot_digest="",
                attempt=1,
                outcome="",
                reasons=[],
                residuals=[],
                certificate_id="",
                was_running=False,
                was_autostart=False,
            )
        )
        body = {"wipe_id": wipe_id, "uuid": uuid, "generation": phone.generation, "trigger": trigger.kind, "ground": trigger.ground}
        audit.append(connection, "wipe-begun", {**body, "operator": trigger.operator, "approver": trigger.approver}, now)
        existing = wipe_id
    found = wipe(connection, existing)
    assert found is not None
    return found


def record_intent(
    connection: Connection,
    wipe_id: str,
    plan: Plan,
    snapshot: dict[str, Any],
    records: Sequence[ArtefactRecord],
    *,
    was_running: bool,
    was_autostart: bool,
    now: datetime,
) -> None:
    """`WipeStore.record_intent` (I1)."""
    row = row_of(connection, wipe_id)
    if row.step in COMMITTED_STEPS or row.step in FINAL_STEPS:
        raise InvariantError("I1", f"the intent of a wipe at {row.step} is frozen")
    if plan.refusals:
        raise InvariantError("I5", "a plan with refusals is never an intent")
    if plan.uuid != row.uuid or plan.generation != row.generation:
        raise InvariantError("I1", "the plan is another phone's or another generation's")
    if {record.artefact_id for record in records} != {step.artefact_id for step in plan.steps}:
        raise InvariantError("I1", "the intent is not about exactly the plan's artefacts")
    connection.execute(delete(tables.ranges).where(tables.ranges.c.wipe_id == wipe_id))
    connection.execute(delete(tables.artefacts).where(tables.artefacts.c.wipe_id == wipe_id))
    if records:
        connection.execute(tables.artefacts.insert(), [_artefact_values(wipe_id, place, record) for place, record in enumerate(records)])
    snapshot_digest = digest(snapshot)
    connection.execute(
        update(tables.wipes)
        .where(tables.wipes.c.id == wipe_id)
        .values(
            step=str(WipeStep.INTENT),
            plan=plan_value(plan),
            snapshot=snapshot,
            snapshot_digest=snapshot_digest,
            was_running=was_running,
            was_autostart=was_autostart,
        )
    )
    body = {"wipe_id": wipe_id, "uuid": row.uuid, "plan_fingerprint": plan.fingerprint, "snapshot_sha256": snapshot_digest, "artefacts": len(records)}
    audit.append(connection, "intent", body, now)


def _artefact_values(wipe_id: str, place: int, record: ArtefactRecord) -> dict[str, Any]:
    return {
        "wipe_id": wipe_id,
        "artefact_id": record.artefact_id,
        "place": place,
        "kind": str(record.kind),
        "location": record.location,
        "rename_to": record.rename_to,
        "seed": record.seed.value,
        "state": str(record.state),
        "map_digest": record.map_digest,
        "result": result_value(record.result) if record.result else None,
        "evidence": evidence_value(record.evidence) if record.evidence else None,
    }


def note_standing(connection: Connection, wipe_id: str, *, was_running: bool, was_autostart: bool) -> None:
    """`WipeStore.note_standing`."""
    row = row_of(connection, wipe_id)
    if row.step in COMMITTED_STEPS or row.step in FINAL_STEPS:
        raise InvariantError("I7", f"a wipe at {row.step} gives nothing back")
    values = {"was_running": row.was_running or was_running, "was_autostart": row.was_autostart or was_autostart}
    connection.execute(update(tables.wipes).where(tables.wipes.c.id == wipe_id).values(**values))


def advance(connection: Connection, wipe_id: str, step: WipeStep, now: datetime, detail: dict[str, Any]) -> None:
    """`WipeStore.advance`. A step before the last word, told again by a resumed attempt, is audited and changes nothing."""
    row = row_of(connection, wipe_id)
    if step not in _BEFORE_LAST_WORD and step not in _AFTER_LAST_WORD:
        raise InvariantError("I7", f"{step} is not written by advance")
    if row.step in FINAL_STEPS:
        raise InvariantError("I8", f"the wipe ended at {row.step}")
    if step in _AFTER_LAST_WORD:
        if row.step not in HANDS:
            raise InvariantError("I7", f"{step} at {row.step}: the last word was not spoken")
        set_state(connection, row.uuid, State.VERIFYING, now)
    if step in _AFTER_LAST_WORD or row.step not in COMMITTED_STEPS:
        connection.execute(update(tables.wipes).where(tables.wipes.c.id == wipe_id).values(step=str(step)))
    audit.append(connection, "step", {**detail, "wipe_id": wipe_id, "uuid": row.uuid, "step": str(step), "attempt": row.attempt}, now)


def last_word(connection: Connection, wipe_id: str, now: datetime, decide: Callable[[LifecycleFacts], Decision]) -> Decision:
    """`WipeStore.last_word` (I7): whatever was recorded before this transaction is in the facts."""
    row = row_of(connection, wipe_id)
    if row.plan is None or not row.snapshot_digest:
        raise InvariantError("I1", "the last word without an intent")
    if row.step in FINAL_STEPS or row.step == WipeStep.JUDGED:
        raise InvariantError("I7", f"the last word of a wipe at {row.step}")
    found = facts(connection, row.uuid, now)
    if found is None or found[0].generation != row.generation:
        raise InvariantError("I7", "the phone is not in this wipe's generation any more")
    decision = decide(found[0])
    spoken = decision.action is Action.WIPE
    if spoken:
        again = row.step == WipeStep.QUARANTINED
        connection.execute(
            update(tables.wipes)
            .where(tables.wipes.c.id == wipe_id)
            .values(step=str(WipeStep.ERASING), attempt=row.attempt + 1 if again else row.attempt, retry_at=None, finished_at=None)
        )
        set_state(connection, row.uuid, State.ERASING, now)
    codes = [reason.code for reason in decision.reasons]
    audit.append(connection, "last-word", {"wipe_id": wipe_id, "uuid": row.uuid, "erase": spoken, "state": str(decision.state), "codes": codes}, now)
    return decision


class SqlWipes:
    """`ports.ledger.WipeStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def begin(self, uuid: str, wipe_id: str, trigger: Trigger, now: datetime) -> WipeRecord:
        """See the port."""
        return await self._db.write(lambda c: begin(c, uuid, wipe_id, trigger, now))

    async def record_intent(self, wipe_id: str, plan: Plan, snapshot: dict[str, Any], artefacts: Sequence[ArtefactRecord], *,
                            was_running: bool, was_autostart: bool, now: datetime) -> None:  # fmt: skip
        """See the port. Raises InvariantError (I1) once the last word is spoken."""
        flags = {"was_running": was_running, "was_autostart": was_autostart}
        await self._db.write(lambda c: record_intent(c, wipe_id, plan, snapshot, artefacts, now=now, **flags))

    async def note_standing(self, wipe_id: str, *, was_running: bool, was_autostart: bool) -> None:
        """See the port."""
        await self._db.write(lambda c: note_standing(c, wipe_id, was_running=was_running, was_autostart=was_autostart))

    async def advance(self, wipe_id: str, step: WipeStep, now: datetime, **detail: Any) -> None:
        """See the port."""
        await self._db.write(lambda c: advance(c, wipe_id, step, now, detail))

    async def last_word(self, wipe_id: str, now: datetime, decide: Callable[[LifecycleFacts], Decision]) -> Decision:
        """See the port."""
        return await self._db.write(lambda c: last_word(c, wipe_id, now, decide))

    async def get(self, wipe_id: str) -> WipeRecord | None:
        """See the port."""
        return await self._db.read(lambda c: wipe(c, wipe_id))

    async def find(self, uuid: str = "", *, unfinished: bool = False) -> tuple[WipeRecord, ...]:
        """See the port."""
        return await self._db.read(lambda c: all_wipes(c, uuid, unfinished=unfinished))
