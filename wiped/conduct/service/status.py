"""The host at a glance, and what keeps the promise from being kept."""

from __future__ import annotations

from collections import Counter

from wiped.conduct.progress import Hub
from wiped.conduct.sweep.queue import WorkQueue
from wiped.conduct.world import SWEEP_LATE, World
from wiped.decide import breaker, notices
from wiped.errors import LedgerError
from wiped.model.records import WipeRecord
from wiped.model.status import HostStatus, WipeProgress
from wiped.model.subscription import Flag, State

#: Phones whose time has come: few, so their flags may be counted for each scrape.
#: So many missing policies are named.
_NAMED = 10
_COUNTED = (State.DUE, State.ERASING, State.VERIFYING, State.QUARANTINED)


class Status:
    """What the faces may ask about the daemon itself."""

    def __init__(self, world: World, hub: Hub, queue: WorkQueue) -> None:
        self._world = world
        self._hub = hub
        self._queue = queue

    async def get(self) -> HostStatus:
        """The host at a glance."""
        world, conditions = self._world, self._world.conditions
        now = world.clock.now()
        late = await world.ledger.phones.find(_COUNTED)
        overdue = [phone for phone in late if Flag.OVERDUE in phone.flags]
        answered = conditions.feed.complete_at
        counts = await world.ledger.phones.counts()
        backlog = await world.ledger.notices.backlog()
        faults = {**await self.readiness(), "notices": notices.fault(backlog, now)}
        return HostStatus(
            host=world.issuer.host,
            version=world.issuer.version,
            at=now,
            phones=counts,
            flags=dict(Counter(flag for phone in late for flag in phone.flags)),
            overdue=len(overdue),
            oldest_overdue_seconds=max((int((now - phone.due_at).total_seconds()) for phone in overdue if phone.due_at is not None), default=0),
            running=await self._progress(),
            queued=self._queue.queued,
            quarantined=counts.get(State.QUARANTINED, 0),
            holds=len(await world.ledger.holds.in_force()),
            feed_kind=conditions.feed.kind,
            feed_age_seconds=None if answered is None else max(0, int((now - answered).total_seconds())),
            libvirt_up=world.hypervisor.connected,
            hook_fault=await world.fences.hook_fault(),
            breaker_open=(await world.ledger.breaker.get()).open,
            clock_suspect=bool(conditions.clock_suspect),
            last_sweep_at=conditions.last_sweep_at,
            orphan_images=conditions.orphan_images,
            notices_pending=backlog.pending,
            notices_dead=backlog.dead,
            notices_oldest_seconds=0 if backlog.oldest_at is None else max(0, int((now - backlog.oldest_at).total_seconds())),
            faults={name: fault for name, fault in faults.items() if fault},
        )

    async def readiness(self) -> dict[str, str]:
        """What the daemon needs, and what is wrong with it ("" when nothing is): libvirt, ledger, feed, helpers, hook, clock, breaker, the last sweep."""
        conditions, world = self._world.conditions, self._world
        answered = conditions.feed.complete_at
        stale = answered is None or (world.clock.now() - answered).total_seconds() > world.safety.feed_max_age
        faults = {
            "libvirt": world.hypervisor.fault,
            "ledger": world.ledger.fault,
            "feed": "the feed has given no complete answer within its maximum age" if stale else "",
            "helpers": conditions.helper_fault,
            "hook": await world.fences.hook_fault(),
            "clock": conditions.clock_suspect,
            "sweep": self._late_sweep(),
            "policy": self._missing_policy(),
        }
        try:
            faults["breaker"] = breaker.why(await world.ledger.breaker.get())
        except LedgerError as error:
            faults["ledger"] = str(error)
        return faults

    def _missing_policy(self) -> str:
        """Which policies terms name and the configuration lacks: their phones stay as they are."""
        lacks = self._world.conditions.without_policy
        if not lacks:
            return ""
        names = ", ".join(sorted(set(lacks.values()))[:_NAMED])
        told = f"{len(lacks)} phones stay as they are: their terms name a policy that the configuration does not have ({names})"
        return f"{told}; put it back, or let billing change their terms"

    def _late_sweep(self) -> str:
        """Why nothing new may be begun although all else is well: no sweep came to its end for too long."""
        conditions, now = self._world.conditions, self._world.clock.boottime()
        if conditions.swept_at is None:
            conditions.swept_at = now
        age = now - conditions.swept_at
        return f"no sweep has looked at everything for {age:.0f} s" if age > SWEEP_LATE else ""

    async def _progress(self) -> tuple[WipeProgress, ...]:
        found = []
        for work in self._queue.running:
            wipe = await self._world.ledger.wipes.get(work.wipe_id) if work.wipe_id else None
            if wipe is not None:
                found.append(self._progress_of(wipe))
        return tuple(found)

    def _progress_of(self, wipe: WipeRecord) -> WipeProgress:
        moving = self._hub.movement(wipe.id)
        if moving is None:
            return WipeProgress(wipe.id, wipe.uuid, wipe.name, wipe.step)
        planned = sum(step.extents.bytes for step in wipe.plan.steps) if wipe.plan else 0
        total = max(moving.total, planned)
        eta = int((total - moving.done) / moving.rate) if moving.rate else None
        return WipeProgress(wipe.id, wipe.uuid, wipe.name, wipe.step, moving.phase, moving.artefact_id, moving.done, total, moving.rate, eta)
