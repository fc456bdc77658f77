"""What makes sweeps happen: an interval, the instant at which the next phone changes by itself, a hint from libvirt, a nudge; and housekeeping.

APScheduler 3.11 drops jobs silently by default (a misfire grace of one second): every job here says coalesce, one instance, no misfire grace. Due times
live in the ledger; its job store holds nothing that a restart would lose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from wiped.errors import WipedError
from wiped.ports.libvirt import Hypervisor
from wiped.ports.machine import Clock

_log = structlog.get_logger(__name__)

#: Several hints within this time are one sweep, seconds.
GATHER = 0.2
#: No two date jobs come closer than this, seconds.
SOONEST = 1.0
HOUSEKEEPING = 300.0
_JOB: dict[str, Any] = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None, "replace_existing": True}


class Sweeps(Protocol):
    """The sweep, as far as it is made to happen here (`sweep.Reconciler`)."""

    async def sweep(self) -> None:
        """One look at everything."""

    async def heal(self) -> None:
        """Housekeeping."""

    async def next_instant(self) -> datetime | None:
        """When the next sweep has something new to find."""


class Clockwork:
    """Owns the scheduler. `interval`: seconds between sweeps; `housekeeping`: more chores of other rooms, done with ours."""

    def __init__(
        self, reconciler: Sweeps, hypervisor: Hypervisor, clock: Clock, *, interval: float, housekeeping: tuple[Callable[[], Awaitable[None]], ...] = ()
    ) -> None:
        self._reconciler = reconciler
        self._hypervisor = hypervisor
        self._clock = clock
        self._interval = interval
        self._chores = (reconciler.heal, *housekeeping)
        self._nudged = asyncio.Event()
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._jobs: set[asyncio.Task[Any]] = set()

    def nudge(self) -> None:
        """A sweep, soon."""
        self._nudged.set()

    async def run(self) -> None:
        """Sweep at once, then whenever it is time, until cancelled."""
        scheduler = self._scheduler
        scheduler.add_listener(_told, EVENT_JOB_ERROR)
        scheduler.add_job(self._sweep, IntervalTrigger(seconds=self._interval, timezone=UTC), id="sweep", **_JOB)
        scheduler.add_job(self._housekeep, IntervalTrigger(seconds=HOUSEKEEPING, timezone=UTC), id="housekeeping", **_JOB)
        scheduler.start()
        try:
            self.nudge()
            while True:
                await self._nudged.wait()
                await asyncio.sleep(GATHER)
                self._nudged.clear()
                began = self._clock.boottime()
                await self._sweep()
                # A host on which much happens is looked at for at most half of the time.
                await asyncio.sleep(min(self._interval, self._clock.boottime() - began))
        finally:
            scheduler.shutdown(wait=False)
            # It cancels its jobs and does not wait for them: a look into the ledger must end before the ledger is closed.
            others = self._jobs - {asyncio.current_task()}
            if others:
                await asyncio.wait(others)

    async def listen(self) -> None:
        """Hints of libvirt become nudges, until cancelled."""
        async for _uuid in self._hypervisor.hints():
            self.nudge()

    async def _sweep(self) -> None:
        with self._job():
            await self._reconciler.sweep()
            await self.plan_next()

    @contextmanager
    def _job(self) -> Iterator[None]:
        """What runs within is waited for at the end."""
        task = asyncio.current_task()
        if task is None or task in self._jobs:
            yield
            return
        self._jobs.add(task)
        try:
            yield
        finally:
            self._jobs.discard(task)

    async def plan_next(self) -> None:
        """Set the date job to the next instant at which something changes by itself."""
        try:
            at = await self._reconciler.next_instant()
        except WipedError as error:
            _log.warning("the next change is unknown; the interval finds it", code=error.code)
            return
        if at is not None:
            soonest = self._clock.now() + timedelta(seconds=SOONEST)
            self._scheduler.add_job(self._sweep, DateTrigger(max(at, soonest)), id="next-change", **_JOB)

    async def _housekeep(self) -> None:
        with self._job():
            for chore in self._chores:
                try:
                    await chore()
                except WipedError as error:
                    _log.warning("housekeeping failed", code=error.code, detail=str(error))


def _told(event: JobExecutionEvent) -> None:
    _log.error("a scheduled job failed", job=event.job_id, error=type(event.exception).__name__, exc_info=event.exception)
