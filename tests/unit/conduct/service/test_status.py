"""The host at a glance."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.conduct.rig import GRACE, Rig


async def test_status_tells_what_is_overdue_and_what_is_wrong() -> None:
    """Overdue after the policy's deadline; libvirt, feed, hook and clock faults, and the age of the last sweep, are named in status and readiness."""
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
    assert set(status.faults) == {"libvirt", "hook", "feed", "sweep"}
    assert (status.libvirt_up, status.feed_kind) == (False, "http")


async def test_a_sweep_that_does_not_come_to_its_end_is_told() -> None:
    """Readiness knows the age of the last one: also of a daemon that never had any, and although nobody reports a fault."""
    rig = Rig()
    await rig.reconciler.sweep()
    assert (await rig.service.status.readiness())["sweep"] == ""
    rig.clock.move(61)
    assert "for 61 s" in (await rig.service.status.readiness())["sweep"]
    await rig.reconciler.sweep()
    assert (await rig.service.status.readiness())["sweep"] == ""
    rig.boot()
    assert (await rig.service.status.readiness())["sweep"] == ""
    rig.clock.move(90)
    assert "for 90 s" in (await rig.service.status.readiness())["sweep"]
