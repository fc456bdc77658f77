"""The last look and block devices, which stay where they are when they are wiped."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.conduct.rig import Rig
from wiped.decide.lastlook import appeared
from wiped.model.inventory import ArtefactKind, FileIdentity


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
