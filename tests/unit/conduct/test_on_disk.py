"""The same stories over the real ledger: what is promised to the executor is what SQLite keeps."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.unit.conduct.ends import BEFORE_THE_LAST_WORD, proven
from tests.unit.conduct.rig import GRACE, PowerCut, Rig
from wiped.conduct.results import Ending
from wiped.errors import RefusedError
from wiped.model.inventory import DomainState
from wiped.model.records import WipeStep
from wiped.model.subscription import Hold, State

MEMORY = "/dev/shm"


@asynccontextmanager
async def rig_on_disk() -> AsyncIterator[Rig]:
    """On a filesystem in memory where there is one: thousands of syncs cost nothing there."""
    with tempfile.TemporaryDirectory(dir=MEMORY if Path(MEMORY).is_dir() else None) as state_dir:
        Path(state_dir).chmod(0o700)
        async with Rig.on_disk(state_dir) as rig:
            yield rig


async def test_the_main_job_over_the_real_ledger() -> None:
    """Expiry to release; the audit chain holds; a neighbour is left alone."""
    async with rig_on_disk() as rig:
        uuid, other = rig.host.add_phone(1, running=True, saved=True), rig.host.add_phone(2, running=True)
        await rig.due(uuid)
        assert await rig.drain() == [Ending.RELEASED]
        await proven(rig, uuid, "phone-1")
        assert rig.host.running(other)
        assert rig.host.remains("SECRET of phone-2") == 5
        head = await rig.ledger.audit.verify()  # type: ignore[attr-defined]
        kinds = [entry.kind for entry in await rig.ledger.audit.entries()]
        assert head.seq == len(kinds)
        assert kinds.index("intent") < kinds.index("last-word") < kinds.index("erased") < kinds.index("removed") < kinds.index("judged")


@pytest.mark.parametrize("every", [17, pytest.param(3, marks=pytest.mark.long)])
async def test_interrupted_prefixes_over_the_real_ledger(every: int) -> None:
    """Some of the power cuts of the executor's own test, with what SQLite wrote."""
    for cut_at in range(0, 70, every):
        async with rig_on_disk() as rig:
            uuid = rig.host.add_phone(1, running=True, saved=True)
            wipe = await rig.begun(uuid)
            await rig.reboot(cut_at)
            try:
                await rig.run(wipe.id)
            except PowerCut:
                assert await rig.survive(wipe.id) is Ending.RELEASED, cut_at
            await proven(rig, uuid, "phone-1")
            kinds = [entry.kind for entry in await rig.ledger.audit.entries()]
            assert kinds.count("judged") == 1, cut_at


@pytest.mark.parametrize("step", BEFORE_THE_LAST_WORD)
async def test_a_renewal_before_the_last_word_over_the_real_ledger(step: str) -> None:
    """I7 in SQLite's own transaction."""
    async with rig_on_disk() as rig:
        uuid = rig.host.add_phone(1, running=True)
        wipe = await rig.begun(uuid)
        await rig.reboot()
        rig.milestones.when[step] = lambda: rig.subscribe(uuid, seconds=86_400, number="s-2")
        assert await rig.run(wipe.id) is Ending.CANCELLED
        assert rig.host.remains("SECRET of phone-1") == 5
        assert not rig.eraser.erased
        facts = rig.host.domain(uuid)
        assert facts is not None
        assert (facts.state, facts.autostart, uuid in rig.host.fences) == (DomainState.RUNNING, True, False)
        await rig.reconciler.sweep()
        phone = await rig.ledger.phones.get(uuid)
        assert phone is not None
        assert (phone.state, phone.fenced) == (State.ACTIVE, False)


async def test_holds_quarantine_and_retry_over_the_real_ledger() -> None:
    """Held at due: fenced and kept; lifted: erased, unproven, quarantined; tried again: proven. A renewal after the last word is refused."""
    async with rig_on_disk() as rig:
        uuid = rig.host.add_phone(1, running=True)
        await rig.reconciler.sweep()
        await rig.subscribe(uuid)
        await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
        rig.clock.move(600 + GRACE + 1)
        await rig.reconciler.sweep()
        assert await rig.drain() == [None]
        assert uuid in rig.host.fences
        await rig.ledger.holds.release("h-1", rig.clock.now(), "tester")
        await rig.reconciler.sweep()
        rig.observer.mismatches = [3]
        assert await rig.drain() == [Ending.QUARANTINED]
        with pytest.raises(RefusedError) as caught:
            await rig.subscribe(uuid, seconds=86_400, number="s-2")
        assert caught.value.codes == ("subscription-renewed",)
        await rig.service.quarantine.retry(uuid, "alice")
        assert await rig.drain() == [Ending.RELEASED]
        await proven(rig, uuid, "phone-1")
        assert (await rig.wipe_of(uuid)).attempt == 2
        assert (await rig.service.status.get()).phones["released"] == 1


async def test_the_next_customer_of_the_slot_begins_a_generation() -> None:
    """Released, defined anew under the same UUID, another account: generation 2, active; its end wipes it again."""
    async with rig_on_disk() as rig:
        uuid = rig.host.add_phone(1)
        await rig.due(uuid)
        assert await rig.drain() == [Ending.RELEASED]
        await rig.reconciler.sweep()
        rig.host.add_phone(1)
        await rig.reconciler.sweep()
        assert (await rig.ledger.phones.get(uuid)).state is State.UNBOUND  # type: ignore[union-attr]
        await rig.subscribe(uuid, account="acct-2", number="s-2")
        rig.clock.move(600 + GRACE + 1)
        await rig.reconciler.sweep()
        assert await rig.drain() == [Ending.RELEASED]
        assert [(wipe.generation, wipe.step) for wipe in await rig.ledger.wipes.find(uuid)] == [(2, WipeStep.RELEASED), (1, WipeStep.RELEASED)]
        assert rig.host.remains("SECRET of phone-1") == 0


async def test_a_refused_phone_settles_down() -> None:
    """A refused phone is decided again by time, not in every sweep; the audit log does not grow while nothing changes."""
    async with rig_on_disk() as rig:
        uuid, other = rig.host.add_phone(1), rig.host.add_phone(2)
        rig.host.update(other, disks=rig.host.machines[uuid].facts.disks)
        await rig.due(uuid)
        assert await rig.drain() == [Ending.REFUSED]
        for _ in range(2):
            await rig.reconciler.sweep()
            await rig.drain()
        length = len(await rig.ledger.audit.entries())
        for _ in range(5):
            rig.clock.move(60)
            await rig.reconciler.sweep()
            await rig.drain()
        assert len(await rig.ledger.audit.entries()) == length
