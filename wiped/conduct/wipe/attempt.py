"""The part of a wipe under its locks: lock, re-observe, last word, erase, read back, remove (docs/design.md, steps 3 to 8).

One `Attempt` is one connection to one eraser. Nothing is taken over from an earlier attempt but what the ledger says (I8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from wiped.conduct import decisions, survey
from wiped.conduct.results import CalledOffError, Proof
from wiped.conduct.wipe import agreement, invariants, trim
from wiped.conduct.world import LOCK_PATIENCE, LOCK_PAUSE, World
from wiped.decide.plan import drift
from wiped.decide.vanished import files_of
from wiped.decide.verdict import artefact_proven, expected_reasons, reasons_of_refusal
from wiped.errors import HypervisorError, InvariantError, RefusedError, StorageError
from wiped.model.inventory import Inventory
from wiped.model.outcome import EraseResult, Evidence, ReasonCode
from wiped.model.plan import Plan, Refusal, RefusalCode, Step
from wiped.model.records import ArtefactRecord, ArtefactState, WipeRecord, WipeStep
from wiped.model.sightings import NEVER_BY_MEMORY, Memory
from wiped.model.subscription import Action
from wiped.ports.helpers import EraserSession
from wiped.wire.messages import Lock, LockStep, ReadBack

_T = TypeVar("_T")
_WHOLE = 1_000_000


def fraction_millionths(verify: str) -> int:
    """`full` or `sample:0.1` as millionths of the mapped bytes to be read back."""
    if verify.startswith("sample:"):
        return max(1, min(_WHOLE, round(float(verify.removeprefix("sample:")) * _WHOLE)))
    return _WHOLE


@dataclass(slots=True)
class Attempt:
    """One attempt of one wipe, from the locks to the last removal. `resumed`: an earlier attempt had spoken the last word; `undefined`: since then somebody
    undefined the phone, so that its record tells the eraser what libvirt's files told it then."""

    world: World
    wipe: WipeRecord
    plan: Plan
    resumed: bool
    undefined: bool = False
    locked: dict[str, str] = field(default_factory=dict)
    vanished: set[str] = field(default_factory=set)

    async def run(self, session: EraserSession) -> Proof:
        """Everything under the locks of `session`. Before the last word raises RefusedError and CalledOffError with nothing changed;
        after it, HelperError, StorageError (removal), HypervisorError or LedgerError: the wipe is then resumed from the ledger."""
        await self._lock(session)
        if self.resumed:
            await self._refresh()
        else:
            await self._reobserve()
            await self._note_files()
        spoken_at = await self._last_word()
        for step in self.plan.steps:
            await self._erase(session, step)
        await self._reached(WipeStep.VERIFYING)
        for step in self.plan.steps:
            await self._read_back(session, step)
        await self._reached(WipeStep.REMOVING)
        for step in self.plan.steps:
            await self._remove(session, step)
        await trim.make_unreadable(self.world, self.wipe.id, self.plan, session)
        return Proof(plan=self.plan, vanished=frozenset(self.vanished), spoken_at=spoken_at)

    # -- step 3
    async def _lock(self, session: EraserSession) -> None:
        steps = []
        for step in self.plan.steps:
            record = self._of_start(step)
            if record.state is ArtefactState.REMOVED or step.gone or self._is_out_of_reach(step):
                continue
            digest = record.map_digest if self.resumed and step.artefact_id not in self._untouched() else ""
            steps.append(LockStep(step.artefact_id, step.kind, step.location, step.format, step.identity, record.rename_to, digest))
        if steps:
            retained = tuple(kept.identity for kept in self.plan.retained if kept.identity is not None)
            request = Lock(self.wipe.id, self.wipe.uuid, self.wipe.name, tuple(steps), retained, self.resumed, self.plan.vanished or self.undefined)
            answer = await self._patiently(lambda: session.lock(request))
            self.locked = {item.artefact_id: item.status for item in answer.steps}
        if not self.resumed:
            missing = [key for key, status in self.locked.items() if status != "locked"]
            if missing:
                raise RefusedError("an artefact is not where the plan saw it", codes=(RefusalCode.DRIFT,))
            await self.world.ledger.wipes.advance(self.wipe.id, WipeStep.LOCKED, self.world.clock.now())
        await self._tell(WipeStep.LOCKED, eraser_pid=session.pid)

    async def _patiently(self, ask: Callable[[], Coroutine[None, None, _T]]) -> _T:
        deadline = self.world.clock.boottime() + LOCK_PATIENCE
        while True:
            try:
                return await ask()
            except RefusedError as error:
                if set(error.codes) != {RefusalCode.IN_USE} or self.world.clock.boottime() >= deadline:
                    raise
            if not self.resumed:
                await decisions.still_due(self.world, self.wipe.uuid)
            await self.world.pause(LOCK_PAUSE)

    # -- step 4
    async def _reobserve(self) -> None:
        if self.plan.vanished:
            found = [*await survey.vanished_changes(self.world, self.wipe, self.plan)]
        else:
            _, _, seen = await survey.look(self.world, self.wipe.uuid, self.wipe.generation)
            found = [*drift(self.plan, seen), *_less_provable(self.plan, seen)]
        if found:
            raise RefusedError(
                "; ".join(f"{item.code}: {item.location} {item.detail}" for item in found), codes=tuple(dict.fromkeys(item.code for item in found))
            )
        for step in self.plan.steps:
            if not step.gone:
                await self._save_ranges(step)
        await self.world.ledger.wipes.advance(self.wipe.id, WipeStep.REOBSERVED, self.world.clock.now())
        await self._tell(WipeStep.REOBSERVED)

    async def _note_files(self) -> None:
        """What this phone has, while libvirt's files and the eraser's locks agree on it: enough to finish, should somebody undefine it from here on (I8)."""
        if not self.plan.vanished:
            memory = Memory(self.wipe.uuid, self.wipe.generation, self.world.clock.now(), digest="")
            await self.world.sheets.remember(memory, files_of(self.plan))
            await self._tell("files-noted")

    def _is_out_of_reach(self, step: Step) -> bool:
        """Whether nobody can say any more that it is this phone's: of an undefined phone, what is never erased by memory alone."""
        return self.undefined and (step.kind in NEVER_BY_MEMORY or not step.filesystem.local)

    async def _save_ranges(self, step: Step) -> None:
        blobs, digest = await self.world.observer.ranges(step.location, step.identity)
        await self.world.ledger.artefacts.save_ranges(self.wipe.id, step.artefact_id, blobs, digest)
        await self._tell("ranges-saved", artefact_id=step.artefact_id)

    def _untouched(self) -> frozenset[str]:
        """Artefacts that every attempt so far has skipped: there were reasons against them in the frozen plan, and nothing was ever written."""
        if self.wipe.plan is None:
            return frozenset()
        fresh = {record.artefact_id for record in self.wipe.artefacts if record.result is None and record.state in {ArtefactState.PENDING, ArtefactState.LEFT}}
        return frozenset(step.artefact_id for step in self.wipe.plan.steps if step.artefact_id in fresh and expected_reasons(step))

    async def _refresh(self) -> None:
        """Today's filesystem facts and ranges of untouched artefacts: a host that was changed may prove what it could not. Without libvirt the
        frozen facts stand, and with them the reasons."""
        untouched = self._untouched()
        if not untouched:
            return
        try:
            domain = await self.world.hypervisor.domain(self.wipe.uuid)
            if domain is None:
                return
            inventory = await self.world.observer.survey(domain, (), with_extents=True)
        except (HypervisorError, StorageError, RefusedError):
            return
        self.plan = refreshed(self.plan, inventory, untouched)
        for step in self.plan.steps:
            if step.artefact_id in untouched and self.locked.get(step.artefact_id) == "locked" and not expected_reasons(step):
                await self._save_ranges(step)

    # -- step 5
    async def _last_word(self) -> datetime:
        now = self.world.clock.now()
        decision = await self.world.ledger.wipes.last_word(self.wipe.id, now, lambda facts: agreement.last_word(self.world, self.wipe, self.plan, facts, now))
        if decision.action is not Action.WIPE:
            raise CalledOffError(decision)
        await self._tell(WipeStep.ERASING)
        return now

    # -- step 6
    async def _erase(self, session: EraserSession, step: Step) -> None:
        state, status = self._of_start(step).state, self.locked.get(step.artefact_id, "")
        if state in {ArtefactState.REMOVED, ArtefactState.PROVEN}:
            return
        if self._is_out_of_reach(step):
            detail = "the phone was undefined while it was wiped, and this is never erased by memory alone"
            result = EraseResult(step.artefact_id, 0, self.plan.passes, "", "", 0, (), (str(ReasonCode.COPY_NOT_REACHED),), detail)
            await self.world.ledger.artefacts.record_erased(self.wipe.id, result)
            return
        if status != "locked":
            self.vanished.add(step.artefact_id)
            return
        if expected_reasons(step):
            return
        record = invariants.intent_recorded(await self.world.ledger.wipes.get(self.wipe.id), step)
        invariants.lock_held(self.locked, step.artefact_id)
        invariants.alone(self.plan, step)
        invariants.fence_stands(await self.world.fences.standing(), self.wipe.uuid)
        try:
            result = await self._watched(
                "erase",
                step,
                lambda progress: session.erase(step.artefact_id, record.seed.value, record.map_digest, self.plan.passes, progress),
                eraser_pid=session.pid,
            )
        except (StorageError, RefusedError) as error:
            await self._not_undefined(error)
            result = EraseResult(step.artefact_id, 0, self.plan.passes, record.map_digest, "", 0, (), _reasons(error), str(error))
        await self._tell("overwritten", artefact_id=step.artefact_id)
        await self.world.ledger.artefacts.record_erased(self.wipe.id, result)
        await self._tell("erased", artefact_id=step.artefact_id)

    # -- step 7
    async def _read_back(self, session: EraserSession, step: Step) -> None:
        record = await self._now(step)
        if record.state is not ArtefactState.ERASED or record.result is None or record.result.reasons or step.artefact_id in self.vanished:
            return
        request = ReadBack(
            step.artefact_id,
            step.location,
            step.identity,
            record.seed.value.hex(),
            record.map_digest,
            self.plan.passes,
            fraction_millionths(self.plan.verify),
        )
        try:
            evidence = await self._watched("read-back", step, lambda progress: self.world.observer.read_back(request, progress), eraser_pid=session.pid)
        except (StorageError, RefusedError) as error:
            evidence = Evidence(step.artefact_id, "", 0, 0, "", reasons=_reasons(error), detail=str(error))
        await self._tell("looked-at", artefact_id=step.artefact_id)
        sampled_unasked = evidence.sampled and self.plan.verify == "full"
        proven = not artefact_proven(step, record.result, evidence) and not sampled_unasked
        await self.world.ledger.artefacts.record_evidence(self.wipe.id, evidence, proven=proven)
        await self._tell("read-back", artefact_id=step.artefact_id)

    # -- step 8
    async def _remove(self, session: EraserSession, step: Step) -> None:
        record = await self._now(step)
        status = self.locked.get(step.artefact_id, "")
        if record.state is ArtefactState.REMOVED or self._is_out_of_reach(step):
            return
        if record.state is not ArtefactState.PROVEN:
            if status == "locked":
                await session.leave(step.artefact_id)
            return
        invariants.proven_before_removal(record, step)
        invariants.alone(self.plan, step)
        if status != "missing":
            if record.evidence is None:
                raise InvariantError("I3", f"{step.artefact_id} has no evidence")
            try:
                await session.remove(step.artefact_id, record.evidence)
            except RefusedError as error:
                # After the last word nothing is called off: it is tried again, and judged as it is when that does not help.
                raise StorageError(f"the eraser refused to remove a proven artefact: {error}") from error
        await self._tell("unlinked", artefact_id=step.artefact_id)
        await self.world.ledger.artefacts.record_removed(self.wipe.id, step.artefact_id)
        await self._tell("removed", artefact_id=step.artefact_id)

    # -- small parts
    async def _not_undefined(self, error: StorageError | RefusedError) -> None:
        """A guard that refused because the phone was undefined this minute: not judged, but begun again by its record. Raises StorageError, HypervisorError."""
        if isinstance(error, RefusedError) and not self.undefined and not self.plan.vanished and await self.world.hypervisor.domain(self.wipe.uuid) is None:
            raise StorageError("the phone was undefined while it was wiped: its locks are taken again") from error

    def _of_start(self, step: Step) -> ArtefactRecord:
        for record in self.wipe.artefacts:
            if record.artefact_id == step.artefact_id:
                return record
        raise InvariantError("I1", f"{step.artefact_id} has no intent")

    async def _now(self, step: Step) -> ArtefactRecord:
        wipe = await self.world.ledger.wipes.get(self.wipe.id)
        return invariants.intent_recorded(wipe, step) if step.artefact_id in self.locked else self._of_start(step)

    async def _reached(self, step: WipeStep) -> None:
        await self.world.ledger.wipes.advance(self.wipe.id, step, self.world.clock.now())
        await self._tell(step)

    async def _tell(self, step: str, artefact_id: str = "", eraser_pid: int = 0) -> None:
        if step in WipeStep.__members__.values():
            self.world.announcer.step(self.wipe.id, step)
        facts = {key: value for key, value in (("artefact_id", artefact_id), ("eraser_pid", eraser_pid)) if value}
        await self.world.milestones.reached(step, self.wipe.id, **facts)

    async def _watched(self, phase: str, step: Step, begin: Callable[[Callable[[int, int], None]], Coroutine[None, None, _T]], *, eraser_pid: int) -> _T:
        """Runs one long call of a helper; its progress reaches the announcer at once and the milestones in order."""
        marks: asyncio.Queue[int | None] = asyncio.Queue()

        def progress(done: int, total: int) -> None:
            self.world.announcer.progress(self.wipe.id, step.artefact_id, phase, done, total)
            marks.put_nowait(done)

        task = asyncio.create_task(begin(progress), name=f"{phase}-{step.artefact_id}")
        task.add_done_callback(lambda _: marks.put_nowait(None))
        try:
            while (done := await marks.get()) is not None:
                await self.world.milestones.reached(f"{phase}-progress", self.wipe.id, artefact_id=step.artefact_id, done=done, eraser_pid=eraser_pid)
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])


def _reasons(error: StorageError | RefusedError) -> tuple[str, ...]:
    """The reason codes for what an artefact met after the last word."""
    if isinstance(error, StorageError):
        return (error.reason or str(ReasonCode.IO_ERROR),)
    return reasons_of_refusal(error.codes)


def _less_provable(planned: Plan, seen: Plan) -> list[Refusal]:
    """Under the locks an artefact has a reason against it that the plan did not know: the plan is made again, so that what was shown is what is done."""
    before = {step.artefact_id: expected_reasons(step) for step in planned.steps}
    return [
        Refusal(RefusalCode.DRIFT, step.location, "what can be proven of it changed since the plan was made")
        for step in seen.steps
        if step.artefact_id in before and before[step.artefact_id] != expected_reasons(step)
    ]


def refreshed(plan: Plan, inventory: Inventory, untouched: frozenset[str]) -> Plan:
    """The plan with today's filesystem facts for artefacts that no attempt has overwritten: a host that was changed (another mount option) may prove
    today what it could not before. Device and inode must be the same; all else stays frozen."""
    seen = {found.layer.identity: found.layer for found in inventory.artefacts if found.layer.identity is not None}
    steps = []
    for step in plan.steps:
        layer = seen.get(step.identity)
        if step.artefact_id in untouched and layer is not None and layer.filesystem is not None and layer.extents is not None:
            steps.append(replace(step, filesystem=layer.filesystem, extents=layer.extents))
        else:
            steps.append(step)
    return replace(plan, steps=tuple(steps))
