"""One wipe in its order: the happy path, every way to be called off, refused, interrupted and retried."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.conduct.ends import proven, untouched
from tests.unit.conduct.rig import PowerCut, Rig
from wiped.conduct.results import Ending
from wiped.errors import HelperError, HypervisorError, LedgerError
from wiped.model.records import WipeStep
from wiped.model.subscription import Hold

ORDER = ["intent", "fenced", "stopped", "locked", "reobserved", "erasing", "verifying", "removing", "judged", "released"]


async def test_a_running_phone_is_stopped_wiped_proven_and_released() -> None:
    """The main job, in the order of docs/design.md, with the golden image untouched."""
    rig = Rig()
    golden = rig.host.add_file("/golden/base.qcow2", b"GOLDEN".ljust(8192, b"."))
    uuid = rig.host.add_phone(1, running=True, golden="/golden/base.qcow2", saved=True)
    before = bytes(golden.data)
    wipe = await rig.begun(uuid)
    assert rig.host.remains("SECRET of phone-1") == 13
    ending = await rig.run(wipe.id)
    assert ending is Ending.RELEASED
    await proven(rig, uuid, "phone-1")
    assert [step for step in rig.milestones.seen if step in ORDER] == ORDER
    assert bytes(golden.data) == before
    assert [event.split()[0] for event in rig.host.events] == ["shutdown", "undefine"]
    record, spent = rig.announcer.judged[0]
    assert (record.outcome, spent) == ("clear", pytest.approx(3600, abs=30))


async def all_milestones() -> int:
    """How many milestones one whole wipe of the story below has."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True, saved=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    await rig.run(wipe.id)
    return len(rig.milestones.seen)


async def test_every_interrupted_prefix_ends_in_the_same_proven_state_once() -> None:
    """I1 to I8: the power goes at the n-th milestone, for all n; a fresh daemon finishes from ledger and host alone, with exactly one certificate."""
    count = await all_milestones()
    assert count > 40
    for cut_at in range(count):
        rig = Rig()
        uuid = rig.host.add_phone(1, running=True, saved=True)
        wipe = await rig.begun(uuid)
        await rig.reboot(cut_at)
        with pytest.raises(PowerCut):
            await rig.run(wipe.id)
        assert await rig.survive(wipe.id) is Ending.RELEASED, cut_at
        await proven(rig, uuid, "phone-1")
        assert len(rig.ledger.certificates.issued) == 1, cut_at  # type: ignore[attr-defined]


async def test_two_power_cuts_in_one_wipe() -> None:
    """A second cut while the first one's damage is being repaired, for many pairs of places."""
    count = await all_milestones()
    for first in range(0, count, 5):
        for second in range(0, count, 7):
            rig = Rig()
            uuid = rig.host.add_phone(1, running=True, saved=True)
            wipe = await rig.begun(uuid)
            await rig.reboot(first)
            with pytest.raises(PowerCut):
                await rig.run(wipe.id)
            await rig.reboot(second)
            try:
                await rig.run(wipe.id)
            except PowerCut:
                assert await rig.survive(wipe.id) is Ending.RELEASED
            await proven(rig, uuid, "phone-1")


async def test_a_hold_after_the_last_word_stops_the_next_attempt() -> None:
    """The hands had begun, the power went, a hold came: not erased any further, quarantined for legal-hold, finished once the hold is lifted."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    rig.milestones.cut_at = 12
    with pytest.raises(PowerCut):
        await rig.run(wipe.id)
    assert (await rig.wipe_of(uuid)).step is WipeStep.ERASING
    await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
    erased = dict(rig.eraser.erased)
    assert await rig.survive(wipe.id) is Ending.QUARANTINED
    assert (await rig.wipe_of(uuid)).reasons[0] in {"legal-hold", "readback-impossible"}
    assert "legal-hold" in (await rig.wipe_of(uuid)).reasons
    assert dict(rig.eraser.erased) == erased
    assert uuid in rig.host.fences
    await rig.ledger.holds.release("h-1", rig.clock.now(), "tester")
    rig.clock.move(301)
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


@pytest.mark.parametrize("at", ["quarantined", "erasing"])
async def test_a_hold_that_ended_by_a_jump_of_the_clock_alone_still_stops_the_retry(at: str) -> None:
    """A suspect clock cannot say that a hold is over: nothing is erased any further, the wipe waits as it is, and goes on once the clock is trusted."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    if at == "quarantined":
        rig.observer.mismatches = [3, 0]
        assert await rig.run(wipe.id) is Ending.QUARANTINED
    else:
        await rig.reboot()
        rig.milestones.cut_at = 12
        with pytest.raises(PowerCut):
            await rig.run(wipe.id)
    until = rig.clock.now() + timedelta(days=30)
    await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation", until=until), rig.clock.now(), "tester")
    before, erased = await rig.wipe_of(uuid), dict(rig.eraser.erased)
    rig.clock.move(31 * 86_400)
    rig.world.conditions.clock_suspect = "it stepped"
    assert await rig.run(wipe.id) is Ending.WAITING
    after = await rig.wipe_of(uuid)
    assert (after.step, after.reasons, after.retry_at, after.attempt) == (before.step, before.reasons, before.retry_at, before.attempt)
    assert (dict(rig.eraser.erased), uuid in rig.host.fences) == (erased, True)
    rig.world.conditions.clock_suspect = ""
    assert await rig.run(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_an_eraser_that_dies_at_any_block_is_run_again() -> None:
    """The eraser's process dies after n blocks, for all n: nothing is judged, the next run finishes."""
    for after in range(12):
        rig = Rig()
        uuid = rig.host.add_phone(1, saved=True)
        wipe = await rig.begun(uuid)
        rig.eraser.dies_after = after
        try:
            await rig.run(wipe.id)
        except HelperError:
            assert await rig.survive(wipe.id) is Ending.RELEASED
        await proven(rig, uuid, "phone-1")


async def test_an_observer_that_dies_at_any_call_is_asked_again() -> None:
    """Survey, ranges or read-back end with the observer's death: nothing wrong is concluded."""
    for call in range(8):
        rig = Rig()
        uuid = rig.host.add_phone(1)
        wipe = await rig.begun(uuid)
        alive = rig.observer._alive
        count = iter(range(call))

        def dying(alive: object = alive, count: object = count, rig: Rig = rig) -> None:
            if next(count, None) is None:  # type: ignore[call-overload]
                rig.observer._alive = alive  # type: ignore[assignment,method-assign]
                raise HelperError("the observer is gone")

        rig.observer._alive = dying  # type: ignore[method-assign]
        try:
            await rig.run(wipe.id)
        except HelperError:
            assert await rig.survive(wipe.id) is Ending.RELEASED
        await proven(rig, uuid, "phone-1")


async def test_an_erasing_that_never_gets_through_is_judged_in_the_end() -> None:
    """give_up: interrupted again and again, the wipe is quarantined with a reason and a time, not forgotten."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    rig.eraser.dies_after = 2
    with pytest.raises(HelperError):
        await rig.run(wipe.id)
    assert await rig.executor.give_up(wipe.id, "io-error") is Ending.QUARANTINED
    found = await rig.wipe_of(uuid)
    assert "io-error" in found.reasons
    assert found.retry_at is not None
    rig.clock.move(301)
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


@pytest.mark.parametrize("step", ["fence-put", "fenced", "stopping", "stopped", "locked", "reobserved", "erasing", "erased", "removed", "judged"])
async def test_libvirt_that_goes_away_in_the_middle_only_costs_time(step: str) -> None:
    """libvirt is down from a step on: either the wipe goes on without it, or it waits; when it is back the phone is proven."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def down() -> None:
        rig.host.libvirt_down = True

    rig.milestones.when[step] = down
    with pytest.raises(HypervisorError):
        await rig.run(wipe.id)
    rig.host.libvirt_down = False
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_a_domain_that_vanishes_before_the_last_word_is_never_wiped() -> None:
    """Undefined by hand during the stop: cancelled, its files stay, its fence stays."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def vanish() -> None:
        del rig.host.machines[uuid]

    rig.milestones.when["fenced"] = vanish
    assert await rig.run(wipe.id) is Ending.CANCELLED
    await untouched(rig, uuid, "phone-1", 5)
    assert uuid in rig.host.fences


async def test_a_full_disk_under_the_ledger_changes_nothing_more() -> None:
    """The ledger cannot be written from any step on: nothing is done that is not recorded; when there is room again the wipe ends well."""
    for step in ("intent", "fenced", "stopped", "reobserved", "erasing", "overwritten", "looked-at", "unlinked", "verdict", "undefined"):
        rig = Rig()
        uuid = rig.host.add_phone(1, running=True)
        wipe = await rig.begun(uuid)
        await rig.reboot()

        async def fill(rig: Rig = rig) -> None:
            rig.ledger.full = True  # type: ignore[attr-defined]

        rig.milestones.when[step] = fill
        with pytest.raises(LedgerError):
            await rig.run(wipe.id)
        rig.ledger.full = False  # type: ignore[attr-defined]
        assert await rig.survive(wipe.id) is Ending.RELEASED, step
        await proven(rig, uuid, "phone-1")
