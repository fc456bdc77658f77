"""A fenced phone starts under no name."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from wiped.conduct.results import Ending
from wiped.errors import HypervisorError


async def test_a_fenced_phone_starts_under_no_name() -> None:
    """I6: from the fence on neither the phone nor another domain over its disk starts; its neighbour does."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    neighbour, double = rig.host.add_phone(2), rig.host.add_phone(3)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def try_to_start() -> None:
        disks = rig.host.machines[double].facts.disks
        rig.host.update(double, disks=rig.host.machines[uuid].facts.disks)
        for name in (uuid, double):
            with pytest.raises(HypervisorError):
                rig.host.start(name)
        rig.host.update(double, disks=disks)
        rig.host.start(neighbour)

    rig.milestones.when["stopped"] = try_to_start
    assert await rig.run(wipe.id) is Ending.RELEASED
    assert rig.host.running(neighbour)
