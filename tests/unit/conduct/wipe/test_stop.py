"""Stopping a phone: gracefully, then hard, and never what must not be stopped."""

from __future__ import annotations

import pytest

from tests.unit.conduct.ends import proven
from tests.unit.conduct.rig import Rig
from wiped.conduct.results import Ending
from wiped.errors import HelperError
from wiped.model.inventory import DomainState, JobKind


async def test_a_deaf_guest_is_stopped_hard_after_its_time() -> None:
    """A guest that ignores the power button is destroyed after the policy's stop_timeout, not before."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True, acpi=None)
    wipe = await rig.begun(uuid)
    at = rig.clock.boottime()
    assert await rig.run(wipe.id) is Ending.RELEASED
    assert [event.split()[0] for event in rig.host.events] == ["shutdown", "shutdown", "destroy", "undefine"]
    assert rig.clock.boottime() - at >= rig.policy.stop_timeout
    await proven(rig, uuid, "phone-1")


@pytest.mark.parametrize("state", [DomainState.PAUSED, DomainState.CRASHED, DomainState.PMSUSPENDED])
async def test_a_guest_that_cannot_hear_is_stopped_hard_at_once(state: DomainState) -> None:
    """Paused, crashed and suspended guests cannot answer the power button."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    rig.host.update(uuid, state=state)
    wipe = await rig.begun(uuid)
    await rig.run(wipe.id)
    assert [event.split()[0] for event in rig.host.events] == ["destroy", "undefine"]
    await proven(rig, uuid, "phone-1")


async def test_a_transient_domain_is_refused_before_it_is_stopped() -> None:
    """Stopping a transient domain would take its definition away."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    rig.host.update(uuid, persistent=False)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert rig.host.running(uuid)
    assert rig.announcer.codes["unsupported-artefact"] == 1


async def test_a_job_that_begins_during_the_stop_is_waited_for_then_refused() -> None:
    """The domain is being saved: not destroyed under it."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def begin_save() -> None:
        rig.host.busy(uuid, JobKind.SAVE)

    rig.milestones.when["fenced"] = begin_save
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert (await rig.ledger.phones.get(uuid)).refusals == ("domain-busy",)  # type: ignore[union-attr]
    assert "destroy" not in " ".join(rig.host.events)
    assert uuid in rig.host.fences
    rig.host.busy(uuid, JobKind.NONE)
    assert await rig.run(wipe.id) is Ending.RELEASED


async def test_a_half_wiped_phone_that_was_started_is_stopped_hard_first() -> None:
    """The hook was not loaded and somebody started a half-wiped phone: stopped at once, then finished."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    rig.eraser.dies_after = 3
    with pytest.raises(HelperError):
        await rig.run(wipe.id)
    rig.host.hook_loaded = False
    rig.host.start(uuid)
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")
