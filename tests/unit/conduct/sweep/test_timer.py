"""What makes sweeps happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from tests.fakes.ports import FakeHypervisor
from tests.unit.conduct.rig import Rig
from wiped.conduct.sweep.timer import Clockwork
from wiped.errors import LedgerError
from wiped.machine.clock import SystemClock


class Sweeps:
    """A reconciler that counts."""

    def __init__(self) -> None:
        self.count = 0
        self.next = None
        self.healed = 0

    async def sweep(self) -> None:
        self.count += 1

    async def heal(self) -> None:
        self.healed += 1

    async def next_instant(self) -> object:
        if isinstance(self.next, Exception):
            raise self.next
        return self.next


@asynccontextmanager
async def turning(sweeps: Sweeps, interval: float = 3600) -> AsyncIterator[tuple[Clockwork, FakeHypervisor]]:
    """A clockwork that runs, listening to libvirt."""
    hypervisor = FakeHypervisor(Rig().host)
    clockwork = Clockwork(sweeps, hypervisor, SystemClock(), interval=interval)  # type: ignore[arg-type]
    tasks = [asyncio.create_task(clockwork.run(), name="clockwork"), asyncio.create_task(clockwork.listen(), name="hints")]
    try:
        yield clockwork, hypervisor
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)


async def until(sweeps: Sweeps, count: int, seconds: float = 5) -> None:
    """Wait for so many sweeps."""
    async with asyncio.timeout(seconds):
        while sweeps.count < count:
            await asyncio.sleep(0.01)


async def test_it_sweeps_at_once_and_by_interval() -> None:
    """The first sweep does not wait for the interval."""
    sweeps = Sweeps()
    async with turning(sweeps, interval=0.3):
        await until(sweeps, 1, 1)
        await until(sweeps, 4, 3)


async def test_many_hints_are_one_sweep() -> None:
    """A storm of events of libvirt costs one look."""
    sweeps = Sweeps()
    async with turning(sweeps) as (_, hypervisor):
        await until(sweeps, 1)
        for number in range(200):
            hypervisor.hint(str(number))
        await until(sweeps, 2)
        await asyncio.sleep(0.5)
        assert sweeps.count == 2


async def test_the_next_change_is_a_date_of_its_own() -> None:
    """A phone that changes in 1.2 s is not left until the interval; a change that is moved forward moves the date."""
    sweeps = Sweeps()
    clock = SystemClock()
    sweeps.next = clock.now() + timedelta(seconds=3600)  # type: ignore[assignment]
    async with turning(sweeps) as (clockwork, _):
        await until(sweeps, 1)
        await asyncio.sleep(0.3)
        sweeps.next = clock.now() + timedelta(seconds=1.2)  # type: ignore[assignment]
        await clockwork.plan_next()
        sweeps.next = None
        began = clock.boottime()
        await until(sweeps, 2)
        assert 0.9 <= clock.boottime() - began <= 2.5


async def test_an_instant_that_has_passed_is_not_a_busy_loop() -> None:
    """A phone that stays due does not make the daemon spin."""
    sweeps = Sweeps()
    sweeps.next = SystemClock().now() - timedelta(days=1)  # type: ignore[assignment]
    async with turning(sweeps):
        await until(sweeps, 1)
        await asyncio.sleep(1.5)
        assert sweeps.count <= 3


async def test_a_ledger_that_cannot_be_read_leaves_the_interval() -> None:
    """The date is unknown: the interval still sweeps."""
    sweeps = Sweeps()
    sweeps.next = LedgerError("disk")  # type: ignore[assignment]
    async with turning(sweeps, interval=0.3):
        await until(sweeps, 3, 3)
