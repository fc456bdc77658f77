"""The sweep: what the host is, what the feed says, what each phone's decision is now, and what follows. Level-triggered: a missed event costs time, never
a phone. One phone's failure never stops another's turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog

from wiped.conduct import decisions, survey
from wiped.conduct.results import CalledOffError, Ending, GoneError
from wiped.conduct.sweep import approvals, breaker, clock, fences, orphans
from wiped.conduct.sweep.queue import Kind, Work, WorkQueue
from wiped.conduct.sweep.sightings import Remembering
from wiped.conduct.wipe import fence, intent, stop
from wiped.conduct.wipe.run import Executor
from wiped.conduct.world import World
from wiped.decide import conditions, gate
from wiped.decide.gate import Act
from wiped.errors import HelperError, HypervisorError, LedgerError, RefusedError, StorageError, TransientError, WipedError
from wiped.model.approvals import FIRST
from wiped.model.inventory import DomainFacts, DomainState
from wiped.model.outcome import ReasonCode
from wiped.model.plan import Plan, RefusalCode
from wiped.model.records import COMMITTED_STEPS, WipeRecord, WipeStep
from wiped.model.subscription import Action, Decision, Flag, LifecycleFacts, State

_log = structlog.get_logger(__name__)

_OFF = frozenset({DomainState.SHUTOFF, DomainState.UNKNOWN})
#: States of a phone whose time has not come: a fence that stands from an earlier time is lifted.
_LIFTABLE = frozenset({State.ACTIVE, State.NOTICE, State.GRACE})


class Reconciler:
    """Sweeps the host and fills the work queue. `sweep` may be called from anywhere at any time: sweeps run one after the other."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._executor = Executor(world)
        self._sweeping = asyncio.Lock()
        self._domains: dict[str, DomainFacts] = {}
        self._seen: dict[str, str] | None = None
        self._counted: float | None = None
        self._counted_due: frozenset[str] = frozenset()
        self.queue = WorkQueue(clock=world.clock, parallel=world.rules.parallel_wipes, do=self._do, give_up=self._give_up, devices=self._devices)
        self._remembering = Remembering(world, self.queue.busy_with)

    async def sweep(self) -> None:
        """One look at everything. Never raises for what the world does wrong: it is logged, and the next sweep looks again."""
        async with self._sweeping:
            try:
                if self._world.ledger.fault:
                    await self._world.ledger.audit.note("ledger-written-again", {}, self._world.clock.now())
                await clock.look(self._world)
                complete = await self._look_at_host()
                await self._look_at_feed()
                await approvals.look_after(self._world)
                now = self._world.clock.now()
                waiting = await self._world.ledger.decisions.due(now)
                self._counted_due = await breaker.count(self._world, waiting)
                for uuid in waiting:
                    await self._guarded(uuid)
                await self._queue_unfinished()
                await self._mend_fences()
                if complete:
                    self._world.conditions.last_sweep_at = now
                    self._world.conditions.swept_at = self._world.clock.boottime()
                    await self._remembering.look(self._domains)
            except LedgerError as error:
                _log.error("the ledger cannot be used: nothing new is begun", code=error.code, detail=str(error))
            except WipedError as error:
                _log.error("sweep failed", code=error.code, detail=str(error))

    async def decide_now(self, uuid: str) -> None:
        """Decide one phone out of turn (something about it was just recorded)."""
        async with self._sweeping:
            await clock.look(self._world)
            self._counted_due = frozenset()
            await self._guarded(uuid)
            await self._queue_unfinished()

    async def look_at_clock(self) -> None:
        """Look at the clock out of turn. Raises LedgerError."""
        async with self._sweeping:
            await clock.look(self._world)

    def busy_with(self, uuid: str) -> bool:
        """Whether work on this phone is in progress."""
        return self.queue.busy_with(uuid)

    async def image_settled(self) -> None:
        """Somebody said what an image is: what waited for that is tried again."""
        for wipe in await self._world.ledger.wipes.find(unfinished=True):
            phone = await self._world.ledger.phones.get(wipe.uuid)
            if phone is not None and RefusalCode.AMBIGUOUS_BASE in phone.refusals:
                await self.submit_again(wipe.id)

    async def submit_again(self, wipe_id: str) -> None:
        """Run an unfinished wipe now, whatever its back-off says."""
        wipe = await self._world.ledger.wipes.get(wipe_id)
        if wipe is not None:
            self.queue.submit(self._work(wipe, None, None), at_once=True)

    async def next_instant(self) -> datetime | None:
        """When the next sweep has something new to find: the next change of a phone, or the next attempt of a quarantined wipe."""
        retries = [wipe.retry_at for wipe in await self._world.ledger.wipes.find(unfinished=True) if wipe.retry_at is not None]
        change = await self._world.ledger.decisions.next_instant()
        return min([*retries, *([change] if change is not None else [])], default=None)

    # -- the host as a whole
    async def _look_at_host(self) -> bool:
        """Whether libvirt gave a complete answer: a sweep without one works with what is known, and is no success."""
        world = self._world
        try:
            domains = await world.hypervisor.domains()
        except HypervisorError as error:
            _log.warning("libvirt does not answer: going on with what is known", detail=str(error))
            return False
        if {domain.uuid: domain.name for domain in domains} != self._seen:
            # Only a host that changed is told to the ledger: an idle sweep costs the same however many phones are known.
            await self._note_migrated(domains)
            await world.ledger.phones.see(domains, world.clock.now())
            self._seen = {domain.uuid: domain.name for domain in domains}
        self._domains = {domain.uuid: domain for domain in domains}
        return True

    async def _note_migrated(self, domains: Sequence[DomainFacts]) -> None:
        """Before they count as vanished: phones that left by migration, as far as libvirt told it."""
        here = {domain.uuid for domain in domains}
        for uuid in self._world.hypervisor.migrated_away() - here:
            if await self._world.ledger.phones.get(uuid) is not None:
                await self._world.ledger.sightings.note_migrated(uuid, self._world.clock.now())

    async def _look_at_feed(self) -> None:
        before = self._world.conditions.feed
        try:
            self._world.conditions.feed = await self._world.feed.poll()
        except WipedError as error:
            _log.error("the feed failed", code=error.code, detail=str(error))
        if conditions.trusted(before) != conditions.trusted(self._world.conditions.feed):
            for phone in await self._world.ledger.phones.find((State.DUE,)):  # all that waited for this answer, in one count
                await self._world.ledger.decisions.touch(phone.uuid)

    # -- one phone
    async def _guarded(self, uuid: str) -> None:
        try:
            await self._decide(uuid)
        except LedgerError:
            raise
        except WipedError as error:
            _log.error("phone could not be decided", uuid=uuid, code=error.code, detail=str(error))
        except Exception:
            _log.exception("phone could not be decided", uuid=uuid)

    async def _decide(self, uuid: str) -> None:
        world = self._world
        found = await decisions.fresh(world, uuid)
        if found is None:
            return
        if uuid not in self._counted_due and breaker.is_newly_due(world, found[0]):
            # Nothing begins that was not counted: the sweep has counted whom it met, this counts who came since, and all who came with it.
            self._counted_due = await breaker.count(world, {uuid, *await world.ledger.decisions.due(world.clock.now())})
            found = await decisions.fresh(world, uuid) or found
        facts, decision = found
        decisions.note_policy(world, facts)
        await breaker.tell_held_back(world, uuid, decision)
        await world.ledger.decisions.conclude(uuid, decision, world.clock.now())
        self._remembering.bound_anew(uuid, facts.generation)
        unfinished = next((wipe for wipe in await world.ledger.wipes.find(uuid, unfinished=True)), None)
        if decision.action is Action.WIPE:
            wipe = await self._begin(facts, decision, unfinished)
            self.queue.submit(self._work(wipe, facts, decision))
        elif unfinished is not None and unfinished.step not in COMMITTED_STEPS:
            self.queue.submit(Work(Kind.BACK, uuid, unfinished.id), at_once=True)
        elif decision.action is Action.FENCE and unfinished is None:
            if not facts.fenced or self._running(uuid):
                await self._until_done(Work(Kind.FENCE, uuid))
        elif self._may_lift(facts, decision) and (facts.fenced or facts.stopped) and unfinished is None:
            await self._until_done(Work(Kind.LIFT, uuid))

    def _may_lift(self, facts: LifecycleFacts, decision: Decision) -> bool:
        """Whether nothing fences the phone any more, and the gate lets its fence be taken down."""
        wanted = decision.action is Action.NONE and decision.state in _LIFTABLE and not facts.suspended
        return wanted and gate.ask(Act.LIFT, decisions.conditions_of(self._world, facts)).go

    async def _until_done(self, work: Work) -> None:
        """Work that has no record of its own: the phone is decided again in every sweep until a decision finds it done (a crash forgets the queue)."""
        self.queue.submit(work)
        await self._world.ledger.decisions.touch(work.uuid)

    def _running(self, uuid: str) -> bool:
        return _runs(self._domains.get(uuid))

    async def _begin(self, facts: LifecycleFacts, decision: Decision, unfinished: WipeRecord | None) -> WipeRecord:
        """The phone's wipe, under the trigger that makes it due now."""
        world, trigger = self._world, intent.trigger_of(facts, decision)
        if unfinished is not None and (unfinished.trigger == trigger or unfinished.step in COMMITTED_STEPS):
            return unfinished
        wipe = await world.ledger.wipes.begin(facts.uuid, world.randomness.identifier(), trigger, world.clock.now())
        if unfinished is None:
            world.announcer.step(wipe.id, wipe.step)
            await world.milestones.reached(wipe.step, wipe.id)
        return wipe

    @staticmethod
    def _work(wipe: WipeRecord, facts: LifecycleFacts | None, decision: Decision | None) -> Work:
        term = facts.subscription if facts else None
        return Work(
            Kind.WIPE,
            wipe.uuid,
            wipe.id,
            begun=wipe.step in COMMITTED_STEPS,
            minor=bool(term and term.minor) or wipe.trigger.kind in FIRST,
            overdue=decision is not None and Flag.OVERDUE in decision.flags,
            due_at=decision.due_at if decision else None,
        )

    async def _queue_unfinished(self) -> None:
        """Every unfinished wipe whose turn it is belongs into the queue: this is the whole of *resume after a crash*."""
        now = self._world.clock.now()
        for wipe in await self._world.ledger.wipes.find(unfinished=True):
            if wipe.step is WipeStep.QUARANTINED and (wipe.retry_at is None or now < wipe.retry_at):
                continue
            phone = await self._world.ledger.phones.get(wipe.uuid)
            work = Work(
                Kind.WIPE,
                wipe.uuid,
                wipe.id,
                begun=wipe.step in COMMITTED_STEPS,
                minor=wipe.trigger.kind in FIRST or (phone is not None and Flag.MINOR in phone.flags),
                overdue=phone is not None and Flag.OVERDUE in phone.flags,
                due_at=phone.due_at if phone else None,
            )
            self.queue.submit(work)

    async def _mend_fences(self) -> None:
        """I6 by looking: a fenced phone that runs is stopped again; a fence that the ledger knows and the disk does not is put up again."""
        standing = await self._world.fences.standing()
        for uuid in standing:
            if self._running(uuid) and not self.queue.busy_with(uuid):
                _log.error("a fenced phone is running", uuid=uuid, hook=await self._world.fences.hook_fault() or "loaded", libvirt=self._world.hypervisor.fault)
                if any(wipe.step in COMMITTED_STEPS for wipe in await self._world.ledger.wipes.find(uuid, unfinished=True)):
                    self.queue.submit(Work(Kind.STOP, uuid))
                else:
                    await self._guarded(uuid)

    async def heal(self) -> None:
        """Housekeeping: fences that should stand and do not are put up again; so are records of classified images; and the images that no domain reaches are
        counted, once an hour."""
        await fences.put_up_again(self._world, self.queue.busy_with, self._domains)
        await orphans.heal(self._world)
        now = self._world.clock.boottime()
        if self._counted is None or now - self._counted >= orphans.COUNT_EVERY:
            self._counted = now
            self._world.conditions.orphan_images = None
            self._world.conditions.orphan_images = len((await orphans.orphans(self._world))[0])

    # -- what the queue does
    async def _do(self, work: Work) -> Ending | None:
        if work.kind is Kind.WIPE:
            return await self._executor.run(work.wipe_id)
        if work.kind is Kind.BACK:
            return await self._executor.call_off(work.wipe_id)
        if work.kind is Kind.FENCE:
            await self._fence(work.uuid)
        elif work.kind is Kind.STOP:
            await self._executor.stop_again(work.uuid)
        else:
            await self._lift(work.uuid)
        return None

    async def _fence(self, uuid: str) -> None:
        """Action FENCE: stop and fence, keep the data. Autostart is left alone: the hook vetoes it, and nothing has to be given back later."""
        world = self._world

        async def still_so() -> None:
            found = await decisions.fresh(world, uuid)
            if found is None or found[1].action is not Action.FENCE:
                raise CalledOffError(found[1]) if found else GoneError(uuid)

        try:
            await still_so()
            plan, domain = await self._own_files(uuid)
            await fence.put(world, uuid, plan, domain)
            await world.ledger.phones.mark(uuid, fenced=True, stopped=True if _runs(domain) else None, reason="kept")
            found = await decisions.fresh(world, uuid)
            policy = decisions.policy_of(world, found[0]) if found else None
            await stop.stop(world, uuid, patience=policy.stop_timeout if policy else 60, recall=still_so)
            await approvals.look_again(world, self, uuid)
        except (CalledOffError, GoneError):
            await world.ledger.decisions.touch(uuid)
        except RefusedError as error:
            _log.warning("fenced, but not stopped", uuid=uuid, codes=list(error.codes), detail=str(error))
            world.announcer.refused(error.codes)

    async def _own_files(self, uuid: str) -> tuple[Plan | None, DomainFacts | None]:
        phone = await self._world.ledger.phones.get(uuid)
        try:
            domain, _, plan = await survey.look(self._world, uuid, phone.generation if phone else 0)
        except GoneError:
            return None, None
        except (HypervisorError, HelperError, StorageError, RefusedError) as error:
            _log.warning("fenced by UUID only: its files could not be looked at", uuid=uuid, code=error.code, detail=str(error))
            return None, self._domains.get(uuid)
        return plan, domain

    async def _lift(self, uuid: str) -> None:
        found = await decisions.fresh(self._world, uuid)
        if found is None:
            return
        if self._may_lift(*found):
            await fence.give_back(self._world, uuid, reason="not-due")

    async def _give_up(self, work: Work, error: TransientError) -> None:
        wipe = await self._world.ledger.wipes.get(work.wipe_id)
        if wipe is None or wipe.step not in COMMITTED_STEPS or wipe.step in {WipeStep.JUDGED, WipeStep.RELEASED, WipeStep.QUARANTINED}:
            return
        reason = error.reason if isinstance(error, StorageError) else ReasonCode.IO_ERROR
        await self._executor.give_up(wipe.id, reason)

    async def _devices(self, work: Work) -> frozenset[int]:
        """On which devices a phone's artefacts lie; empty if that cannot be found out."""
        try:
            wipe = await self._world.ledger.wipes.get(work.wipe_id)
            if wipe is not None and wipe.plan is not None:
                return frozenset(step.identity.device for step in wipe.plan.steps)
            domain = self._domains.get(work.uuid)
            if domain is None:
                return frozenset()
            inventory = await self._world.observer.survey(domain, (), with_extents=False)
        except WipedError:
            return frozenset()
        return frozenset(f.layer.identity.device for f in inventory.artefacts if f.layer.identity is not None and not f.retain_reason)


def _runs(domain: DomainFacts | None) -> bool:
    return domain is not None and domain.state not in _OFF
