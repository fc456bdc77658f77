"""Before the last word: plan, fence, stop, and the way back."""

from __future__ import annotations

import pytest

from tests.unit.conduct.ends import BEFORE_THE_LAST_WORD, proven, untouched
from tests.unit.conduct.rig import PowerCut, Rig
from wiped.conduct.results import Ending
from wiped.model.inventory import DomainState
from wiped.model.records import WipeStep
from wiped.model.subscription import Hold


@pytest.mark.parametrize("step", BEFORE_THE_LAST_WORD)
async def test_a_renewal_before_the_last_word_gives_the_phone_back(step: str) -> None:
    """I7: renewed at any step before the last word: untouched, unfenced, running and autostarting as before."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    rig.milestones.when[step] = lambda: rig.subscribe(uuid, seconds=86_400, number="s-2")
    assert await rig.run(wipe.id) is Ending.CANCELLED
    await untouched(rig, uuid, "phone-1", 5)
    facts = rig.host.domain(uuid)
    assert facts is not None
    assert (facts.state, facts.autostart, uuid in rig.host.fences) == (DomainState.RUNNING, True, False)


@pytest.mark.parametrize("step", BEFORE_THE_LAST_WORD)
async def test_a_hold_before_the_last_word_keeps_the_phone_fenced(step: str) -> None:
    """I7: held at any step before the last word: nothing erased, and what was fenced stays fenced."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    hold = Hold("h-1", uuid, "", "litigation")
    rig.milestones.when[step] = lambda: rig.ledger.holds.add(hold, rig.clock.now(), "tester")
    assert await rig.run(wipe.id) is Ending.CANCELLED
    await untouched(rig, uuid, "phone-1", 5)
    assert ("fence-put" in rig.milestones.seen) == (uuid in rig.host.fences)


async def test_a_renewal_during_a_slow_shutdown_is_seen_within_seconds() -> None:
    """The guest takes its time; the renewal comes; it is not destroyed, and once it is off it is started again."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True, acpi=None)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    rig.milestones.when["stopping"] = lambda: rig.subscribe(uuid, seconds=86_400, number="s-2")
    at = rig.clock.boottime()
    assert await rig.run(wipe.id) is Ending.CANCELLED
    assert rig.clock.boottime() - at <= 3
    assert "destroy" not in " ".join(rig.host.events)
    assert uuid not in rig.host.fences


async def test_power_cuts_while_calling_off_still_give_the_phone_back() -> None:
    """A renewal and a power cut at every milestone of the way back."""
    for cut_at in range(30):
        rig = Rig()
        uuid = rig.host.add_phone(1, running=True)
        wipe = await rig.begun(uuid)
        await rig.reboot(cut_at)
        rig.milestones.when["stopped"] = lambda rig=rig, uuid=uuid: rig.subscribe(uuid, seconds=86_400, number="s-2")  # type: ignore[misc]
        try:
            await rig.run(wipe.id)
        except PowerCut:
            if (await rig.ledger.decisions.facts(uuid, rig.clock.now())).subscription.subscription_id == "s-1":  # type: ignore[union-attr]
                await rig.subscribe(uuid, seconds=86_400, number="s-2")
            await rig.survive(wipe.id)
        await untouched(rig, uuid, "phone-1", 5)
        assert rig.host.running(uuid)
        assert uuid not in rig.host.fences


async def test_a_refused_plan_changes_no_byte_and_is_made_again() -> None:
    """A neighbour reaches the disk: refused, and the codes are with the phone; wiped once the neighbour let go."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    other = rig.host.add_phone(2)
    rig.host.update(other, disks=rig.host.machines[uuid].facts.disks)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert phone.refusals == ("shared-by-domain",)
    assert (await rig.wipe_of(uuid)).step is WipeStep.QUEUED
    assert not rig.eraser.erased
    assert rig.announcer.codes["shared-by-domain"] == 1
    rig.host.update(other, disks=())
    assert await rig.run(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_a_phone_renewed_while_the_daemon_was_dead_runs_again_as_before() -> None:
    """The power went after the stop; the renewal came; what it was before the *first* run (running, autostarting) is given back."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    for step in ("stopped", "stopped"):
        await rig.reboot()
        rig.milestones.when[step] = rig.cut
        with pytest.raises(PowerCut):
            await rig.run(wipe.id)
    assert not rig.host.running(uuid)
    await rig.subscribe(uuid, seconds=86_400, number="s-2")
    assert await rig.survive(wipe.id) is Ending.CANCELLED
    await untouched(rig, uuid, "phone-1", 5)
    facts = rig.host.domain(uuid)
    assert facts is not None
    assert (facts.state, facts.autostart, uuid in rig.host.fences) == (DomainState.RUNNING, True, False)
