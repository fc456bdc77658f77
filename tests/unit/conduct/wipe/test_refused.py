"""Refuse, fence, alarm: what happens to a due phone whose plan a guard refused, and that everything comes back when it is not due any more."""

from __future__ import annotations

import pytest

from tests.fakes.ports import PowerCut
from tests.unit.conduct.rig import Rig
from wiped.api.v1.explain import story
from wiped.conduct.results import Ending
from wiped.errors import HypervisorError
from wiped.model.inventory import DiskSource, JobKind
from wiped.model.plan import RefusalCode
from wiped.model.subscription import Hold

_MILESTONES = ("refused", "standing-noted", "refused-fence-put", "refused-stopped")


def shared(rig: Rig) -> tuple[str, str]:
    """A running phone whose disk a neighbour reaches too; and the neighbour."""
    uuid, other = rig.host.add_phone(1, running=True), rig.host.add_phone(2)
    rig.host.update(other, disks=rig.host.machines[uuid].facts.disks)
    return uuid, other


async def fenced(rig: Rig, uuid: str) -> bool:
    """As the ledger says."""
    phone = await rig.ledger.phones.get(uuid)
    return phone is not None and phone.fenced


async def test_a_refused_phone_is_fenced_and_stopped() -> None:
    """By its UUID and the files that are surely its own; the neighbour whose disk is meant too starts as before."""
    rig = Rig()
    uuid, other = shared(rig)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert not rig.host.running(uuid)
    assert await fenced(rig, uuid)
    paths, identities = rig.host.fences[uuid]
    assert paths == {"/libvirt/nvram/phone-1.fd"}
    assert rig.host.disk_of(uuid).identity not in identities
    with pytest.raises(HypervisorError):
        rig.host.start(uuid)
    rig.host.start(other)
    assert rig.host.running(other)
    assert rig.host.remains("SECRET of phone-1") == 5
    rig.host.destroy(other)
    rig.host.update(other, disks=())
    assert await rig.run(wipe.id) is Ending.RELEASED
    assert rig.host.remains("SECRET of phone-1") == 0


async def test_explain_names_the_file_and_the_domain_of_a_refusal() -> None:
    """As `plan` does, for as long as the refusal stands."""
    rig = Rig()
    uuid, other = shared(rig)
    wipe = await rig.begun(uuid)
    assert (await rig.service.phones.explain(uuid)).refused == ""
    await rig.run(wipe.id)
    refused = next(item for item in (await rig.service.plans.get(uuid)).refusals if item.code == RefusalCode.SHARED_BY_DOMAIN)
    told = await rig.service.phones.explain(uuid)
    assert (other in refused.detail, f"{refused.code}: {refused.location} {refused.detail}" in told.refused) == (True, True)
    assert any(other in sentence and refused.location in sentence for sentence in story(told))
    rig.host.update(other, disks=())
    await rig.run(wipe.id)
    assert (await rig.service.phones.explain(uuid)).refused == ""


async def test_a_golden_image_never_stands_in_the_fence() -> None:
    """The phone's own overlay is refused for a second name; its base is everybody's, and is not fenced with it."""
    rig = Rig()
    golden = rig.host.add_file("/golden/base.qcow2", b"golden".ljust(4096, b"."))
    uuid = rig.host.add_phone(1, running=True, golden="/golden/base.qcow2")
    neighbour = rig.host.add_phone(2, golden="/golden/base.qcow2")
    rig.host.disk_of(uuid).links = 2
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    paths, identities = rig.host.fences[uuid]
    assert "/golden/base.qcow2" not in paths
    assert golden.identity not in identities
    rig.host.start(neighbour)
    assert rig.host.running(neighbour)


@pytest.mark.parametrize("step", _MILESTONES)
async def test_a_renewal_gives_a_refused_phone_back_wherever_the_power_went(step: str) -> None:
    """Unfenced and running again, as it had been."""
    rig = Rig()
    uuid, _ = shared(rig)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    rig.milestones.when[step] = rig.cut
    with pytest.raises(PowerCut):
        await rig.run(wipe.id)
    await rig.reboot()
    assert await rig.run(wipe.id) is Ending.REFUSED
    await rig.subscribe(uuid, seconds=900_000, number="s-2")
    await rig.reboot()
    assert await rig.run(wipe.id) is Ending.CANCELLED
    assert uuid not in rig.host.fences
    assert not await fenced(rig, uuid)
    assert rig.host.running(uuid)
    assert rig.host.machines[uuid].facts.autostart
    assert rig.host.remains("SECRET of phone-1") == 5


async def test_a_phone_that_was_off_stays_off_when_it_is_given_back() -> None:
    """Only what ran is started again."""
    rig = Rig()
    uuid, _ = shared(rig)
    rig.host.destroy(uuid)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    await rig.subscribe(uuid, seconds=900_000, number="s-2")
    assert await rig.run(wipe.id) is Ending.CANCELLED
    assert uuid not in rig.host.fences
    assert not rig.host.running(uuid)


async def test_what_ran_before_a_refusal_runs_again_after_a_later_plan_was_called_off() -> None:
    """Refused and stopped first; then planned well, and renewed at the last moment: it had been running before all of it."""
    rig = Rig()
    uuid, other = shared(rig)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    rig.host.update(other, disks=())
    await rig.reboot()

    async def renew() -> None:
        await rig.subscribe(uuid, seconds=900_000, number="s-2")

    rig.milestones.when["reobserved"] = renew
    assert await rig.run(wipe.id) is Ending.CANCELLED
    assert rig.host.running(uuid)
    assert rig.host.machines[uuid].facts.autostart


async def test_a_renewal_while_a_refused_phone_is_stopping_lets_go_of_it() -> None:
    """The guest takes its time to power off; the customer pays meanwhile."""
    rig = Rig()
    uuid, _ = shared(rig)
    rig.host.machines[uuid].acpi = None
    wipe = await rig.begun(uuid)
    at = rig.clock.boottime() + 5

    renewal: list[bool] = []

    async def renew() -> None:
        await rig.subscribe(uuid, seconds=900_000, number="s-2")
        renewal.append(True)

    rig.milestones.when["refused-fence-put"] = renew
    await rig.reboot()
    rig.milestones.when["refused-fence-put"] = renew
    assert await rig.run(wipe.id) is Ending.CANCELLED
    assert renewal
    assert rig.clock.boottime() <= at + 20
    assert rig.host.running(uuid)
    assert uuid not in rig.host.fences
    assert not any(event.startswith("destroy") for event in rig.host.events)


async def test_a_hold_keeps_a_refused_phone_fenced_and_off() -> None:
    """Held: the wipe ends, the fence stays; released from the hold it is refused again."""
    rig = Rig()
    uuid, _ = shared(rig)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
    assert await rig.run(wipe.id) is Ending.CANCELLED
    assert uuid in rig.host.fences
    assert not rig.host.running(uuid)
    await rig.ledger.holds.release("h-1", rig.clock.now(), "tester")
    await rig.reconciler.sweep()
    assert (await rig.drain())[0] is Ending.REFUSED
    assert uuid in rig.host.fences


@pytest.mark.parametrize("code", [RefusalCode.DOMAIN_BUSY, RefusalCode.LIVE_ONLY])
async def test_what_the_stop_would_break_keeps_the_phone_as_it_is(code: RefusalCode) -> None:
    """A libvirt job, or a disk that only the running phone has: refused, neither fenced nor stopped, whatever else is refused with it."""
    rig = Rig()
    uuid, _ = shared(rig)
    if code is RefusalCode.DOMAIN_BUSY:
        rig.host.busy(uuid, JobKind.SAVE)
    else:
        rig.observer.problems = ((str(code), "/phones/plugged.qcow2", "only the running phone has it"),)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert code in phone.refusals
    assert "shared-by-domain" in phone.refusals
    assert uuid not in rig.host.fences
    assert rig.host.running(uuid)
    assert not rig.host.events


async def test_a_transient_domain_is_never_stopped_for_a_refusal() -> None:
    """Its definition would be gone with it."""
    rig = Rig()
    uuid, _ = shared(rig)
    rig.host.update(uuid, persistent=False)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert rig.host.running(uuid)
    assert uuid not in rig.host.fences


async def test_volumes_of_neighbours_are_not_fenced() -> None:
    """The disk is a volume that a neighbour has too: neither its path nor its volume stands in the fence."""
    rig = Rig()
    uuid, other = shared(rig)
    disk = DiskSource("vda", "volume", "/phones/phone-1.qcow2", "qcow2", pool="phones", volume="phone-1.qcow2")
    rig.host.update(uuid, disks=(disk,))
    rig.host.update(other, disks=(disk,))
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert rig.fences.volumes[uuid] == ()
    rig.host.update(other, disks=())
    rig.milestones.when["fenced"] = rig.cut
    with pytest.raises(PowerCut):
        await rig.run(wipe.id)
    assert rig.fences.volumes[uuid] == (("phones", "phone-1.qcow2"),)
