"""One wipe, from its trigger to its end, in the order of docs/design.md; after any crash, from what the ledger says alone (I8).

    QUEUED -> INTENT -> FENCED -> STOPPED -> LOCKED -> REOBSERVED -> ERASING -> VERIFYING -> REMOVING -> JUDGED -> RELEASED
      └──────────── called off, refused: nothing changed ─────────┘      └───── unproven: QUARANTINED, fenced, in place

Before the last word (ERASING) a run begins with a fresh decision and a fresh plan, whatever step an earlier one reached. From ERASING on it takes the
frozen plan, locks again, asks for the last word again, erases what is not proven, and removes what is.
"""

from __future__ import annotations

import contextlib

import structlog

from wiped.conduct import decisions
from wiped.conduct.results import CalledOffError, Ending, GoneError, Proof, RefusedPlanError
from wiped.conduct.wipe import agreement, fence, prepare, refused, stop, vanished, verdict
from wiped.conduct.wipe.attempt import Attempt
from wiped.conduct.world import World
from wiped.decide.verdict import reasons_of_refusal
from wiped.errors import InvariantError, RefusedError
from wiped.model.outcome import ReasonCode
from wiped.model.plan import RefusalCode
from wiped.model.records import COMMITTED_STEPS, FINAL_STEPS, WipeRecord, WipeStep

_log = structlog.get_logger(__name__)


class Executor:
    """Runs wipes. Holds nothing of them: each run reads the ledger. The caller sees to it that a phone has one run at a time."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self, wipe_id: str) -> Ending:
        """One run of one wipe; a quarantined one whose next attempt is not due is left as it is.

        Raises HypervisorError, HelperError, StorageError or LedgerError when the world failed: run it again later.
        """
        wipe = await self._wipe(wipe_id)
        if wipe.step in FINAL_STEPS:
            return Ending.RELEASED if wipe.step is WipeStep.RELEASED else Ending.CANCELLED
        if wipe.step is WipeStep.JUDGED:
            return await verdict.release(self._world, wipe_id)
        if wipe.step is WipeStep.QUARANTINED and (wipe.retry_at is None or self._world.clock.now() < wipe.retry_at):
            return Ending.QUARANTINED
        if wipe.step in COMMITTED_STEPS:
            return await self._finish_erasing(wipe)
        return await self._from_the_start(wipe)

    async def give_up(self, wipe_id: str, reason: str) -> Ending:
        """Judge a wipe whose erasing was interrupted again and again: not sanitized for `reason`, in quarantine, retried with back-off.

        Only for a wipe past its last word; before it there is nothing to judge.
        """
        wipe = await self._wipe(wipe_id)
        if wipe.step not in COMMITTED_STEPS or wipe.step in FINAL_STEPS or wipe.step is WipeStep.JUDGED or wipe.plan is None:
            raise InvariantError("I4", f"a wipe at {wipe.step} cannot be judged as interrupted")
        return await verdict.give_verdict(self._world, wipe_id, self._no_proof(wipe), extra=(reason,))

    async def _from_the_start(self, wipe: WipeRecord) -> Ending:
        world = self._world
        try:
            await decisions.still_due(world, wipe.uuid)
            try:
                return await self._before_and_under_the_locks(wipe)
            except RefusedError as error:
                return await self._refused(await self._wipe(wipe.id), error)
        except CalledOffError as signal:
            return await self._called_off(wipe, signal)
        except GoneError:
            _log.warning("domain vanished during its wipe", wipe_id=wipe.id, uuid=wipe.uuid)
            await world.ledger.audit.note("vanished-during-wipe", {"wipe_id": wipe.id, "uuid": wipe.uuid}, world.clock.now())
            await prepare.cancel(world, wipe)
            return Ending.CANCELLED

    async def call_off(self, wipe_id: str) -> Ending | None:
        """End a wipe before its last word whose phone is not due any more, and give the phone back; None where it is due, or where nothing turns back."""
        wipe = await self._wipe(wipe_id)
        if wipe.step in FINAL_STEPS or wipe.step in COMMITTED_STEPS:
            return None
        try:
            await decisions.still_due(self._world, wipe.uuid)
        except CalledOffError as signal:
            return await self._called_off(wipe, signal)
        return None

    async def _called_off(self, wipe: WipeRecord, signal: CalledOffError) -> Ending:
        ending = await prepare.call_off(self._world, await self._wipe(wipe.id), signal.decision)
        _log.info("wipe called off", wipe_id=wipe.id, uuid=wipe.uuid, ending=str(ending), reasons=[r.code for r in signal.decision.reasons])
        return ending

    async def _before_and_under_the_locks(self, wipe: WipeRecord) -> Ending:
        world = self._world
        if await vanished.is_gone(world, wipe.uuid):
            plan = await vanished.freeze(world, wipe)
            await self._tell(wipe.id, WipeStep.INTENT)
            await vanished.put_fence(world, wipe, plan)
            await self._reached(wipe.id, WipeStep.FENCED)
        else:
            domain, plan = await prepare.freeze(world, wipe)
            await agreement.same_plan(world, wipe, plan)
            await self._tell(wipe.id, WipeStep.INTENT)
            await prepare.put_fence(world, wipe, domain, plan)
            await self._reached(wipe.id, WipeStep.FENCED)
            await prepare.stop_phone(world, wipe)
        await self._reached(wipe.id, WipeStep.STOPPED)
        attempt = Attempt(world, await self._wipe(wipe.id), plan, resumed=False)
        async with world.eraser.session() as session:
            proof = await attempt.run(session)
        return await verdict.give_verdict(world, wipe.id, proof)

    async def _finish_erasing(self, wipe: WipeRecord) -> Ending:
        """From ERASING on nothing is called off: a hold or locks that cannot be had end this attempt in quarantine; a clock that cannot tell whether a hold
        has ended only makes it wait."""
        world = self._world
        if wipe.plan is None:
            raise InvariantError("I1", "erasing had begun without a recorded plan")
        try:
            await fence.put(world, wipe.uuid, wipe.plan, None)
            await self.stop_again(wipe.uuid)
            undefined = not wipe.plan.vanished and await world.hypervisor.domain(wipe.uuid) is None
            attempt = Attempt(world, wipe, wipe.plan, resumed=True, undefined=undefined)
            async with world.eraser.session() as session:
                proof = await attempt.run(session)
        except CalledOffError as signal:
            held = any(reason.code in {RefusalCode.LEGAL_HOLD, "protected"} for reason in signal.decision.reasons)
            _log.warning("retry stopped by its last word", wipe_id=wipe.id, uuid=wipe.uuid, reasons=[r.code for r in signal.decision.reasons])
            if not held:
                return Ending.WAITING
            return await verdict.give_verdict(world, wipe.id, self._no_proof(wipe), extra=(ReasonCode.LEGAL_HOLD,))
        except RefusedError as error:
            _log.warning("retry refused", wipe_id=wipe.id, uuid=wipe.uuid, codes=list(error.codes), detail=str(error))
            world.announcer.refused(error.codes)
            return await verdict.give_verdict(world, wipe.id, self._no_proof(wipe), extra=reasons_of_refusal(error.codes))
        return await verdict.give_verdict(world, wipe.id, proof)

    async def stop_again(self, uuid: str) -> None:
        """A phone that was started in spite of its fence (no hook loaded) is stopped hard: its image is half gone. A vanished one is off.

        Only for a phone whose wipe is past its last word. Raises HypervisorError, RefusedError (a libvirt job runs on it).
        """
        if not any(wipe.step in COMMITTED_STEPS for wipe in await self._world.ledger.wipes.find(uuid, unfinished=True)):
            raise InvariantError("I7", "a phone is stopped for good only after the last word")

        async def no_way_back() -> None:
            _log.error("a fenced phone was running", uuid=uuid)

        with contextlib.suppress(GoneError):
            await stop.stop(self._world, uuid, patience=0, recall=no_way_back)

    async def _refused(self, wipe: WipeRecord, error: RefusedError) -> Ending:
        """Refused before the last word: reported, and where a plan was refused, fenced and stopped (`refused`)."""
        await refused.record(self._world, wipe, error)
        if isinstance(error, RefusedPlanError) and refused.fences(error.codes):
            await refused.fence_and_stop(self._world, wipe, error)
        return Ending.REFUSED

    def _no_proof(self, wipe: WipeRecord) -> Proof:
        if wipe.plan is None:
            raise InvariantError("I1", "no plan")
        return Proof(plan=wipe.plan, vanished=frozenset(), spoken_at=self._world.clock.now())

    async def _wipe(self, wipe_id: str) -> WipeRecord:
        wipe = await self._world.ledger.wipes.get(wipe_id)
        if wipe is None:
            raise InvariantError("I8", "a wipe that the ledger does not know")
        return wipe

    async def _reached(self, wipe_id: str, step: WipeStep) -> None:
        await self._world.ledger.wipes.advance(wipe_id, step, self._world.clock.now())
        await self._tell(wipe_id, step)

    async def _tell(self, wipe_id: str, step: WipeStep) -> None:
        self._world.announcer.step(wipe_id, step)
        await self._world.milestones.reached(step, wipe_id)
