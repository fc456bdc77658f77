"""Under the locks: in order, on the very files of the plan, proven or left."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.host import COW, EXT4
from tests.unit.conduct.ends import proven
from tests.unit.conduct.rig import Rig
from wiped.conduct.results import Ending


async def test_memory_is_erased_before_disks() -> None:
    """The order of erasing: memory images, then disks, then the rest."""
    rig = Rig()
    uuid = rig.host.add_phone(1, saved=True)
    wipe = await rig.begun(uuid)
    await rig.run(wipe.id)
    kinds = [str(item.kind) for item in (await rig.wipe_of(uuid)).plan.steps]  # type: ignore[union-attr]
    assert kinds == ["memory-image", "disk-image", "nvram"]


async def test_drift_between_plan_and_lock_is_refused_and_planned_again() -> None:
    """A disk is added after the plan: refused under the lock, wiped with it the next time."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def add_disk() -> None:
        rig.host.add_file("/phones/extra.qcow2", b"SECRET of phone-1 extra".ljust(4096, b"#"))
        disks = rig.host.machines[uuid].facts.disks
        rig.host.update(uuid, disks=(*disks, type(disks[0])("vdb", "file", "/phones/extra.qcow2", "qcow2")))

    rig.milestones.when["locked"] = add_disk
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert not rig.eraser.erased
    assert (await rig.ledger.phones.get(uuid)).refusals == ("drift",)  # type: ignore[union-attr]
    assert await rig.run(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_a_file_swapped_after_the_plan_is_never_written() -> None:
    """Another file stands at the disk's place when the locks are taken: identity-changed."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    innocent = b"innocent".ljust(4096, b"#")

    async def swap() -> None:
        rig.host.add_file("/phones/phone-1.qcow2", innocent)

    rig.milestones.when["stopped"] = swap
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert bytes(rig.host.names["/phones/phone-1.qcow2"].data) == innocent


async def test_an_image_in_use_is_waited_for_thirty_seconds_then_refused() -> None:
    """Somebody holds the image open: never half-wiped; when he lets go within the time, it goes on."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    rig.host.disk_of(uuid).holders = 1
    wipe = await rig.begun(uuid)
    at = rig.clock.boottime()
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert 30 <= rig.clock.boottime() - at <= 32
    assert (await rig.ledger.phones.get(uuid)).refusals == ("in-use",)  # type: ignore[union-attr]
    assert not rig.eraser.erased
    until = rig.clock.boottime() + 10

    def let_go(boottime: float) -> None:
        if boottime >= until:
            rig.host.disk_of(uuid).holders = 0
            rig.clock.on_pause.clear()

    rig.clock.on_pause.append(let_go)
    assert await rig.run(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_a_changed_host_lets_a_retry_prove_what_it_could_not() -> None:
    """The filesystem's facts changed (another mount option): an explicit retry takes today's facts for what was never overwritten."""
    rig = Rig()
    uuid = rig.host.add_phone(1, filesystem=COW)
    wipe = await rig.begun(uuid)
    await rig.run(wipe.id)
    rig.host.disk_of(uuid).filesystem = EXT4
    await rig.ledger.quarantine.retry_now(wipe.id, rig.clock.now(), "tester")
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_blocks_that_moved_after_the_lock_are_extent_moved() -> None:
    """The filesystem moved the file between two attempts: the old blocks cannot be named any more."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def move() -> None:
        rig.host.disk_of(uuid).moved += 1

    rig.milestones.when["erasing"] = move
    assert await rig.run(wipe.id) is Ending.QUARANTINED
    assert (await rig.wipe_of(uuid)).reasons == ("extent-moved",)
    assert "/phones/phone-1.qcow2" in rig.host.names


async def test_sampled_evidence_is_no_proof_where_all_was_asked() -> None:
    """The plan says full; an observer that only sampled proves nothing."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    whole = rig.observer.read_back

    async def sampled(*arguments: object) -> object:
        return replace(await whole(*arguments), sampled=True)  # type: ignore[arg-type]

    rig.observer.read_back = sampled  # type: ignore[assignment,method-assign]
    assert await rig.run(wipe.id) is Ending.QUARANTINED
    assert "/phones/phone-1.qcow2" in rig.host.names
