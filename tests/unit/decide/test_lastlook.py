"""The last look and what may stand there all the same: wiped block devices, and the log in which libvirt notes a refused start."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.conduct.rig import Rig
from wiped.decide.lastlook import appeared
from wiped.model.inventory import QEMU_LOG_CLAIM, ArtefactKind, FileIdentity


async def test_a_wiped_device_is_no_new_one() -> None:
    """The same path and number: nothing appeared. Another number at that path, or another device, did."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.run(wipe.id)
    plan = (await rig.wipe_of(uuid)).plan
    assert plan is not None
    volume = replace(plan.steps[0], kind=ArtefactKind.BLOCK_DEVICE, location="/dev/vg/phone", identity=FileIdentity(64768, 0))
    wiped = replace(plan, steps=(volume,))
    assert appeared(wiped, wiped) == ()
    for other in (replace(volume, identity=FileIdentity(64769, 0)), replace(volume, location="/dev/vg/other"), replace(volume, kind=ArtefactKind.DISK_IMAGE)):
        assert [refusal.location for refusal in appeared(wiped, replace(plan, steps=(other,)))] == [other.location]


async def test_a_start_that_the_fence_refused_is_no_new_file() -> None:
    """libvirt notes it in QEMU's log; a console log of the phone's that came meanwhile counts."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.run(wipe.id)
    plan = (await rig.wipe_of(uuid)).plan
    assert plan is not None
    noted = replace(plan.steps[0], kind=ArtefactKind.CONSOLE_LOG, location="/var/log/libvirt/qemu/phone.log", reason=QEMU_LOG_CLAIM)
    assert appeared(plan, replace(plan, steps=(noted,))) == ()
    for other in (replace(noted, reason="what the phone wrote to its console"), replace(noted, kind=ArtefactKind.DISK_IMAGE)):
        assert [refusal.location for refusal in appeared(plan, replace(plan, steps=(other,)))] == [other.location]
