"""The host at a glance."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.conduct.rig import GRACE, Rig


async def test_status_tells_what_is_overdue_and_what_is_wrong() -> None:
    """Overdue after the policy's deadline; libvirt, feed, hook and clock faults are named in status and readiness."""
    rig = Rig(policy=replace(Rig().policy, deadline=GRACE + 60))
    uuid, other = rig.host.add_phone(1), rig.host.add_phone(2)
    rig.host.update(other, disks=rig.host.machines[uuid].facts.disks)
    await rig.due(uuid)
    await rig.drain()
    rig.clock.move(3600)
    rig.host.libvirt_down = True
    rig.host.hook_loaded = False
    rig.feed.silent = True
    await rig.reconciler.sweep()
    status = await rig.service.status.get()
    assert (status.overdue, status.phones["due"], status.queued) == (1, 1, 1)
    assert 3600 <= status.oldest_overdue_seconds <= 3700
    assert status.flags["refused"] == 1
    assert set(status.faults) == {"libvirt", "hook", "feed"}
    assert (status.libvirt_up, status.feed_kind) == (False, "http")
