"""The breaker against mass mistakes: phones are counted before any of them begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.ports import PowerCut
from tests.unit.conduct.hall import MANY, OP, SOME_OR_MANY, opened, phones, released, untouched
from tests.unit.conduct.rig import GRACE, SAFETY, Rig
from wiped.conduct.results import Ending
from wiped.model.records import WipeStep
from wiped.model.subscription import Action, Flag


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    async with Rig.on_disk(str(tmp_path)) as found:
        yield found


async def test_fifty_phones_due_at_once_open_the_breaker_and_none_is_wiped() -> None:
    """None is even begun; each says so, with what to do."""
    rig = Rig()
    uuids = phones(rig, MANY)
    await rig.due(*uuids)
    assert await rig.drain() == []
    assert await untouched(rig, uuids)
    breaker = await opened(rig)
    assert (breaker.newly_due, breaker.limit, breaker.bound) == (MANY, 10, MANY)
    assert sorted(phone.uuid for phone in breaker.waiting) == sorted(uuids)
    told = await rig.service.phones.explain(uuids[0])
    assert (told.decision.action, told.decision.reasons[-1].code, Flag.BREAKER in told.decision.flags) == (Action.NONE, "breaker-open", True)
    status = await rig.service.status.get()
    assert status.breaker_open
    assert "wipectl breaker release --reason" in status.faults["breaker"]
    assert status.flags["breaker"] == MANY
    assert rig.announcer.codes["breaker-open"] == MANY
    for _ in range(3):
        rig.clock.move(3_700)
        await rig.reconciler.sweep()
        assert await rig.drain() == []
    assert rig.announcer.codes["breaker-open"] == MANY


async def test_as_many_as_allowed_are_wiped() -> None:
    """Five phones at once are no mistake; the sixth within the hour is."""
    rig = Rig()
    uuids = phones(rig, 5)
    await rig.due(*uuids)
    assert await rig.drain() == [Ending.RELEASED] * 5
    (sixth,) = phones(rig, 1, first=50)
    await rig.reconciler.sweep()
    await rig.subscribe(sixth, seconds=-GRACE + 120)
    rig.clock.move(200)
    await rig.reconciler.sweep()
    assert not (await rig.ledger.breaker.get()).open  # its end was recorded now: grace runs from here
    rig.clock.move(GRACE)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


async def test_the_sixth_within_the_window_stops_those_before_their_last_word(rig: Rig) -> None:
    """One after the other, as clocks have it: what had begun waits, and goes on after the release."""
    rig.parallel = 1
    rig.boot()
    uuids = phones(rig, 6)
    await rig.reconciler.sweep()
    for number, uuid in enumerate(uuids):
        await rig.subscribe(uuid, seconds=600 + number)
    rig.clock.move(600 + GRACE)
    for _ in uuids:
        rig.clock.move(1)
        await rig.reconciler.sweep()
    assert len(await rig.ledger.wipes.find(unfinished=True)) == 5
    assert set(await rig.drain()) == {Ending.WAITING}
    assert all(rig.host.running(uuid) for uuid in uuids)
    assert len((await opened(rig)).waiting) == 6
    await released(rig, "it is right")
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED] * 6


async def test_a_breaker_that_opens_under_the_locks_stops_the_last_word() -> None:
    """I7: it is read within the transaction that would write `erasing`. What is past it ends."""
    rig = Rig(parallel=2)
    first, second, *others = phones(rig, 7)
    await rig.due(first, second)
    assert await rig.run((await rig.wipe_of(second)).id) is Ending.RELEASED

    async def open_it() -> None:
        await rig.ledger.breaker.count_due([(uuid, 1) for uuid in others], rig.clock.now(), SAFETY)

    rig.milestones.when[WipeStep.REOBSERVED] = open_it
    assert await rig.run((await rig.wipe_of(first)).id) is Ending.WAITING
    assert (await rig.wipe_of(first)).step is WipeStep.REOBSERVED
    assert "SECRET" in repr(rig.host.names)


async def test_what_is_past_its_last_word_ends() -> None:
    """An open breaker leaves no half-erased phone."""
    rig = Rig()
    uuid, *others = phones(rig, 7)
    await rig.due(uuid)

    async def open_it() -> None:
        await rig.ledger.breaker.count_due([(other, 1) for other in others], rig.clock.now(), SAFETY)

    rig.milestones.when[WipeStep.ERASING] = open_it
    assert await rig.run((await rig.wipe_of(uuid)).id) is Ending.RELEASED
    assert (await rig.ledger.breaker.get()).open


async def test_a_single_manual_wipe_does_not_count_but_waits_like_all() -> None:
    """Its name was typed; while the breaker is open nothing new starts."""
    rig = Rig()
    uuids = phones(rig, 7)
    await rig.reconciler.sweep()
    for uuid in uuids:
        await rig.subscribe(uuid)
    rig.clock.move(700)
    for uuid in uuids:
        await rig.service.wipes.ask(uuid, reason="asked", ticket="", confirm=rig.host.machines[uuid].facts.name, person=OP)
    rig.clock.move(SAFETY.settle + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED] * 7
    assert not (await rig.ledger.breaker.get()).open
    others = phones(rig, 8, first=60)
    await rig.due(*others[:7])
    await rig.subscribe(others[7], seconds=1)
    rig.clock.move(2)
    await rig.service.wipes.ask(others[7], reason="asked", ticket="", confirm=rig.host.machines[others[7]].facts.name, person=OP)
    rig.clock.move(SAFETY.settle + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert others[7] not in {phone.uuid for phone in (await opened(rig)).waiting}


async def test_renewed_phones_leave_the_set_and_count_anew_when_they_fall_due_again(rig: Rig) -> None:
    """The feed was wrong and is corrected: a release lets nobody of them go."""
    uuids = phones(rig, 8)
    await rig.due(*uuids)
    await opened(rig)
    for uuid in uuids:
        await rig.subscribe(uuid, seconds=7_200, number="s-2")
    await rig.reconciler.sweep()
    assert (await opened(rig)).waiting == ()
    assert (await released(rig, "the feed was wrong")).waiting == ()
    rig.clock.move(7_200 + GRACE + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert len((await opened(rig)).waiting) == 8
    assert await untouched(rig, uuids)


@SOME_OR_MANY
async def test_a_power_cut_at_any_milestone_starts_none_that_wait(rig: Rig, many: int) -> None:
    """Cut while counting, opening, releasing: what was not released is still held back by the next daemon, and what was released goes."""
    rig.parallel = 8
    rig.boot()
    uuids = phones(rig, many)
    await rig.reconciler.sweep()
    for uuid in uuids:
        await rig.subscribe(uuid)
    rig.clock.move(600 + GRACE + 1)
    for cut_at in range(4):
        rig.boot()
        rig.milestones.cut_at = cut_at
        try:
            await rig.reconciler.sweep()
        except PowerCut:
            continue
        assert await rig.drain() == []
    assert await untouched(rig, uuids)
    await opened(rig)
    rig.boot()
    await rig.reconciler.sweep()
    rig.milestones.seen.clear()
    rig.milestones.cut_at = 0
    with pytest.raises(PowerCut):
        await released(rig, "they are right")
    await rig.reboot()
    assert (await rig.drain(rounds=200)).count(Ending.RELEASED) == many


async def test_a_daemon_that_was_off_for_a_week_finds_fifty_due_and_waits() -> None:
    """That is right: nobody looked for a week."""
    rig = Rig()
    uuids = phones(rig, MANY)
    await rig.reconciler.sweep()
    for number, uuid in enumerate(uuids):
        await rig.subscribe(uuid, seconds=number * 12_000)
    await rig.reconciler.sweep()
    rig.clock.move(7 * 86_400 + GRACE)
    rig.boot()
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert await untouched(rig, uuids)
    assert len((await opened(rig)).waiting) == MANY


def test_the_window_is_an_hour() -> None:
    """What the stories above rely on."""
    assert timedelta(seconds=SAFETY.breaker_window) == timedelta(hours=1)
