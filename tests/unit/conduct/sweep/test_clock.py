"""A clock that cannot be trusted concludes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.conduct.ends import state_of
from tests.unit.conduct.hall import phones, untouched
from tests.unit.conduct.rig import GRACE, Rig
from wiped.conduct.results import Ending
from wiped.model.records import WipeStep
from wiped.model.subscription import State


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    async with Rig.on_disk(str(tmp_path)) as found:
        yield found


@pytest.mark.parametrize("down", [False, True])
async def test_a_jump_of_four_hundred_days_wipes_nothing(*, down: bool) -> None:
    """Seen while the daemon runs, and after it was down while the host was up; it says what to do, and no phone looks due."""
    rig = Rig()
    uuids = phones(rig, 3)
    await rig.reconciler.sweep()
    for uuid in uuids:
        await rig.subscribe(uuid, seconds=30 * 86_400)
    await rig.reconciler.sweep()
    rig.clock.step(400 * 86_400)
    if down:
        rig.boot()
    for _ in range(5):
        await rig.reconciler.sweep()
        assert await rig.drain() == []
        rig.clock.move(3_600)
    assert await untouched(rig, uuids)
    status = await rig.service.status.get()
    assert status.clock_suspect
    assert "wipectl clock trust --reason" in status.faults["clock"]
    reasons = (await rig.service.phones.explain(uuids[0])).decision.reasons
    assert ("clock-suspect", True) in [(reason.code, "wipectl clock status" in reason.detail) for reason in reasons]
    assert [(await rig.service.phones.explain(uuid)).phone.state for uuid in uuids] == [State.ACTIVE] * 3
    assert rig.announcer.codes["clock-suspect"] == 0, "none is due, so none is refused"


async def test_a_jump_between_two_sweeps_stops_the_last_word() -> None:
    """A term that was renewed for a month looks over to a wipe that is already under its locks."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)

    async def jump() -> None:
        rig.clock.step(400 * 86_400)

    rig.milestones.when[WipeStep.REOBSERVED] = jump
    assert await rig.run((await rig.wipe_of(uuid)).id) is Ending.WAITING
    assert "SECRET" in repr(rig.host.names)


async def test_a_suspicion_outlives_the_daemon_and_the_host() -> None:
    """Only synchronisation or an operator ends it."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid, seconds=86_400)
    rig.clock.step(400 * 86_400)
    await rig.reconciler.sweep()
    rig.boot()
    rig.clock.reboot(120)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert (await rig.service.clock.get()).suspect == "stepped"
    rig.clock.sync = True
    await rig.reconciler.sweep()
    assert (await rig.service.clock.get()).suspect == ""
    assert [entry.body["suspect"] for entry in await rig.ledger.audit.entries() if entry.kind == "clock"] == ["stepped", ""]


async def test_an_ordinary_reboot_stops_nothing() -> None:
    """Off for an hour, never synchronised: phones that fell due meanwhile are wiped."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.reconciler.sweep()
    rig.boot()
    rig.clock.reboot(600 + GRACE + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


async def test_a_clock_that_loses_its_synchronisation_is_suspect() -> None:
    """Seen since boot and lost; the clock itself stands right."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    rig.clock.sync = True
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    rig.clock.sync = False
    rig.clock.move(600 + GRACE + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    rig.clock.sync = True
    rig.clock.move(61)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


async def test_a_stepped_clock_concludes_nothing_until_somebody_says_that_it_is_right() -> None:
    """Realtime jumps a month ahead of boottime: phones look due and are not wiped; the clock is set back, which nobody can tell from another mistake; an
    operator looks at it: nothing happened."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid, seconds=86_400)
    await rig.reconciler.sweep()
    rig.clock.step(30 * 86_400)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert rig.world.conditions.clock_suspect
    assert rig.host.running(uuid)
    rig.clock.step(-30 * 86_400)
    rig.clock.move(61)
    await rig.reconciler.sweep()
    assert "wipectl clock trust" in rig.world.conditions.clock_suspect
    await rig.service.clock.trust(reason="set back by hand", operator="op")
    await rig.reconciler.sweep()
    assert not rig.world.conditions.clock_suspect
    await rig.subscribe(uuid, seconds=86_400)
    await rig.reconciler.sweep()
    assert await state_of(rig, uuid) is State.ACTIVE


async def test_a_clock_that_jumps_while_a_wipe_waits_makes_it_wait() -> None:
    """Queued, then the clock becomes suspect: the run ends as waiting, with nothing fenced and nothing lost."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    await rig.due(uuid)
    rig.clock.step(86_400)
    await rig.reconciler.sweep()
    assert set(await rig.drain()) <= {Ending.WAITING}
    assert rig.host.running(uuid)
    rig.clock.step(-86_400)
    rig.clock.move(3600)
    await rig.reconciler.sweep()
    assert set(await rig.drain()) <= {Ending.WAITING}
    await rig.service.clock.trust(reason="set back by hand", operator="op")
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


@pytest.mark.parametrize("behind", [120, 86_400])
async def test_a_clock_before_the_audit_log_is_suspect(behind: int) -> None:
    """The clock went back while the daemon was down: sweep after sweep nothing is concluded; a small step is over once time is past what was recorded, a
    large one takes synchronisation."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    await rig.drain()
    second = rig.host.add_phone(2)
    await rig.due(second)
    rig.boot()
    rig.clock.boot = "boot-2"
    rig.world.conditions.recorded_until = rig.clock.now() + timedelta(seconds=behind)
    for _ in range(3):
        rig.clock.move(10)
        await rig.reconciler.sweep()
        assert set(await rig.drain()) <= {Ending.WAITING}
    rig.clock.move(behind)
    await rig.reconciler.sweep()
    if behind > 300:
        assert set(await rig.drain()) <= {Ending.WAITING}
        rig.clock.sync = True
        await rig.reconciler.sweep()
    rig.clock.move(61)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


async def test_a_second_step_within_one_suspicion_is_looked_at() -> None:
    """Found by the simulation: two years ahead, and back by as much while it is still suspect: the next look at a phone is not two years away."""
    rig = Rig()
    (uuid,) = phones(rig, 1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid, seconds=30 * 86_400)
    await rig.reconciler.sweep()
    rig.clock.step(700 * 86_400)
    await rig.reconciler.sweep()
    rig.clock.step(-690 * 86_400)
    await rig.reconciler.sweep()
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert phone.next_at is not None
    assert (phone.next_at - rig.clock.now()).total_seconds() <= 60
