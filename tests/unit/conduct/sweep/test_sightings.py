"""Phones are looked at while they are there, so that one that disappears is known by what it had."""

from __future__ import annotations

from tests.unit.conduct.rig import GRACE, Rig
from tests.unit.conduct.test_on_disk import rig_on_disk
from wiped.conduct.results import Ending
from wiped.model.inventory import DiskSource

DISK = "/phones/phone-1.qcow2"
NVRAM = "/libvirt/nvram/phone-1.fd"


async def remembered(rig: Rig) -> str:
    """A phone with a term, as the sweep remembered it."""
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.reconciler.sweep()
    assert {file.location for file in await rig.ledger.sightings.files(uuid)} == {DISK, NVRAM}
    return uuid


async def gone_and_due(rig: Rig, uuid: str) -> None:
    """Undefined by hand, then its own time comes."""
    rig.host.undefine(uuid)
    await rig.reconciler.sweep()
    rig.clock.move(600 + GRACE + 1)
    await rig.reconciler.sweep()


async def test_a_phone_is_looked_at_again_when_it_changes_or_after_an_hour() -> None:
    """And not before: a look costs."""
    rig = Rig()
    uuid = await remembered(rig)
    surveys = rig.observer.surveys
    for _ in range(3):
        rig.clock.move(60)
        await rig.reconciler.sweep()
    assert rig.observer.surveys == surveys
    rig.host.add_file("/phones/more.qcow2", b"more".ljust(4096, b"."))
    disks = rig.host.machines[uuid].facts.disks
    rig.host.update(uuid, disks=(*disks, DiskSource("vdb", "file", "/phones/more.qcow2", "qcow2")))
    await rig.reconciler.sweep()
    assert "/phones/more.qcow2" in {file.location for file in rig.sheets.phones[uuid][1]}
    surveys = rig.observer.surveys
    rig.clock.move(3_601)
    rig.feed.silent = True
    await rig.reconciler.sweep()
    assert rig.observer.surveys == surveys + 1


async def test_a_phone_bound_and_gone_between_two_looks_is_known_from_before_it_was_bound() -> None:
    """Over the real ledger, which counts from 0: it was looked at while it was nobody's, and vanished before its first generation was looked at."""
    async with rig_on_disk() as rig:
        uuid = rig.host.add_phone(1)
        await rig.reconciler.sweep()
        assert [memory.generation for memory in await rig.ledger.sightings.find(uuid)] == [0]
        await rig.subscribe(uuid)
        await gone_and_due(rig, uuid)
        assert await rig.drain() == [Ending.RELEASED]
        assert rig.host.remains("SECRET of phone-1") == 0
        assert await rig.ledger.sightings.find() == ()


async def test_a_phone_that_cannot_be_looked_at_does_not_keep_the_others_from_it() -> None:
    """Twenty phones, one of which cannot be surveyed: all others are remembered; it is asked again after a while, and then remembered too."""
    rig = Rig()
    uuids = [rig.host.add_phone(number) for number in range(20)]
    blind = uuids[0]
    rig.observer.blind_to = {blind}
    for _ in range(4):
        await rig.reconciler.sweep()
        rig.clock.move(30)
    assert set(rig.sheets.phones) == set(uuids) - {blind}
    rig.observer.blind_to = set()
    rig.clock.move(300)
    await rig.reconciler.sweep()
    assert blind in rig.sheets.phones
