"""Phones that disappear before their time came: known by what was remembered of them, wiped only when they are due, and only what is surely theirs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fakes.host import FakeHost
from tests.fakes.ports import PowerCut
from tests.unit.conduct.rig import GRACE, Rig
from wiped.conduct.results import Ending
from wiped.model.inventory import DiskSource, DomainFacts, FilesystemFacts
from wiped.model.records import WipeStep
from wiped.model.subscription import Hold, State

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


def delete(host: FakeHost, path: str) -> None:
    """By hand, with the bytes left on the device."""
    del host.names[path]


async def state(rig: Rig, uuid: str) -> State:
    """As last concluded."""
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    return phone.state


async def test_vanishing_never_makes_a_phone_due() -> None:
    """Nothing happens before its own time; it waits for that as `vanished`."""
    rig = Rig()
    uuid = await remembered(rig)
    rig.host.undefine(uuid)
    await rig.reconciler.sweep()
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert phone.state is State.VANISHED
    assert phone.next_at == phone.due_at == rig.clock.now() + timedelta(seconds=600 + GRACE)
    assert await rig.drain() == []
    assert rig.host.remains("SECRET of phone-1") == 5
    assert [entry.kind for entry in await rig.ledger.audit.entries()].count("vanished") == 1


async def test_what_is_still_there_is_wiped_when_its_time_comes() -> None:
    """Fenced, proven, removed, certified with the scope that can be claimed; nothing is undefined, nothing remembered any more."""
    rig = Rig()
    uuid = await remembered(rig)
    await gone_and_due(rig, uuid)
    assert await state(rig, uuid) is State.DUE
    assert await rig.drain() == [Ending.RELEASED]
    assert rig.host.remains("SECRET of phone-1") == 0
    assert DISK not in rig.host.names
    wipe = await rig.wipe_of(uuid)
    assert (wipe.step, wipe.outcome, wipe.plan and wipe.plan.vanished) == (WipeStep.RELEASED, "clear", True)
    certificate = await rig.ledger.certificates.get(wipe.id)
    assert certificate is not None
    assert certificate.kind == "certificate"
    assert rig.sheets.phones == {}
    assert await rig.ledger.sightings.find() == ()
    assert uuid not in rig.host.fences


async def test_a_renewal_of_a_vanished_phone_stops_it_all() -> None:
    """Its time has not come."""
    rig = Rig()
    uuid = await remembered(rig)
    await gone_and_due(rig, uuid)
    wipe = await rig.wipe_of(uuid)

    async def renew() -> None:
        await rig.subscribe(uuid, seconds=900_000, number="s-2")

    rig.milestones.when["reobserved"] = renew
    assert await rig.run(wipe.id) is Ending.CANCELLED
    assert rig.host.remains("SECRET of phone-1") == 5
    await rig.reconciler.sweep()
    assert await state(rig, uuid) is State.VANISHED


async def test_a_hold_keeps_a_vanished_phones_files() -> None:
    """Fenced by its UUID, nothing written."""
    rig = Rig()
    uuid = await remembered(rig)
    await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
    await gone_and_due(rig, uuid)
    await rig.drain()
    assert uuid in rig.host.fences
    assert rig.host.remains("SECRET of phone-1") == 5
    assert await rig.ledger.wipes.find(uuid) == ()


async def test_deleted_with_its_volumes_is_an_incident() -> None:
    """Everything is gone: nothing can be proven; an incident record says `vanished`, artefact by artefact, and the fence keeps the UUID alone."""
    rig = Rig()
    uuid = await remembered(rig)
    delete(rig.host, DISK)
    delete(rig.host, NVRAM)
    await gone_and_due(rig, uuid)
    assert await rig.drain() == [Ending.QUARANTINED]
    wipe = await rig.wipe_of(uuid)
    assert (wipe.outcome, wipe.reasons) == ("not-sanitized", ("vanished",))
    certificate = await rig.ledger.certificates.get(wipe.id)
    assert certificate is not None
    assert certificate.kind == "incident"
    assert rig.host.fences[uuid] == (frozenset(), frozenset())
    assert not rig.eraser.erased
    assert wipe.retry_at is None


async def test_what_is_left_of_a_half_deleted_phone_is_wiped() -> None:
    """The disk is gone, the NVRAM is not: that is wiped and removed, and the incident tells of the disk."""
    rig = Rig()
    uuid = await remembered(rig)
    delete(rig.host, DISK)
    await gone_and_due(rig, uuid)
    assert await rig.drain() == [Ending.QUARANTINED]
    wipe = await rig.wipe_of(uuid)
    assert wipe.reasons == ("vanished",)
    assert NVRAM not in rig.host.names
    assert rig.host.remains("SECRET of phone-1 nvram") == 0


async def test_a_phone_that_was_never_looked_at_stays_vanished() -> None:
    """Nobody can say what it had: nothing is concluded, nothing fenced; so for a term whose UUID was never on this host."""
    rig = Rig()
    rig.observer.dies = 1_000_000
    uuid, stranger = rig.host.add_phone(1), "00000000-0000-4000-8000-00000000ffff"
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.subscribe(stranger)
    rig.host.undefine(uuid)
    await rig.reconciler.sweep()
    rig.observer.dies = 0
    await gone_and_due(rig, uuid)
    assert await rig.drain() == []
    assert (await state(rig, uuid), await state(rig, stranger)) == (State.VANISHED, State.VANISHED)
    assert not rig.host.fences
    assert rig.host.remains("SECRET of phone-1") == 5


async def test_a_phone_that_had_no_file_of_its_own_is_an_incident() -> None:
    """It was looked at, and nothing was surely its own: nothing can be proven."""
    rig = Rig()
    uuid, other = rig.host.add_phone(1), rig.host.add_phone(2)
    rig.host.update(uuid, nvram="")
    rig.host.update(other, disks=rig.host.machines[uuid].facts.disks)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await gone_and_due(rig, uuid)
    assert await rig.drain() == [Ending.QUARANTINED]
    assert set((await rig.wipe_of(uuid)).reasons) == {"vanished", "copy-not-reached"}
    assert rig.host.remains("SECRET of phone-1 block") == 4


async def test_a_file_that_another_domain_picked_up_is_untouched() -> None:
    """Its digest is the same; the rest is wiped, and the incident says that not everything was reached."""
    rig = Rig()
    uuid = await remembered(rig)
    rig.host.undefine(uuid)
    other = rig.host.add_phone(2, running=False)
    rig.host.update(other, disks=(*rig.host.machines[other].facts.disks, DiskSource("vdb", "file", DISK, "qcow2")))
    before = bytes(rig.host.names[DISK].data)
    await gone_and_due(rig, uuid)
    assert await rig.drain() == [Ending.QUARANTINED]
    assert bytes(rig.host.names[DISK].data) == before
    assert rig.host.remains("SECRET of phone-1 nvram") == 0
    assert (await rig.wipe_of(uuid)).reasons == ("copy-not-reached",)
    assert DISK not in rig.host.fences[uuid][0]
    rig.host.start(other)


async def test_a_file_that_another_vanished_phone_had_too_is_untouched() -> None:
    """Both are remembered to have had it: neither wipe takes it."""
    rig = Rig()
    uuid = await remembered(rig)
    other = rig.host.add_phone(2)
    rig.host.undefine(uuid)
    await rig.reconciler.sweep()
    rig.host.update(other, disks=(*rig.host.machines[other].facts.disks, DiskSource("vdb", "file", DISK, "qcow2")))
    await rig.reconciler.sweep()
    rig.host.undefine(other)
    await gone_and_due(rig, uuid)
    assert await rig.drain() == [Ending.QUARANTINED]
    assert "SECRET of phone-1 block 0" in repr(bytes(rig.host.names[DISK].data))


@pytest.mark.parametrize("change", ["replaced", "linked", "remote"])
async def test_only_the_very_file_on_this_host_is_wiped(change: str) -> None:
    """Another file in its place, a second name, a filesystem of others: left alone."""
    rig = Rig()
    uuid = await remembered(rig)
    disk = rig.host.names[DISK]
    if change == "replaced":
        disk = rig.host.add_file(DISK, b"innocent".ljust(4096, b"."))
    elif change == "linked":
        disk.links = 2
    else:
        disk.filesystem = FilesystemFacts(fs_type="nfs4", local=False)
    before = bytes(disk.data)
    await gone_and_due(rig, uuid)
    assert await rig.drain() == [Ending.QUARANTINED]
    assert bytes(disk.data) == before
    assert rig.host.names[DISK] is disk
    assert (await rig.wipe_of(uuid)).outcome == "not-sanitized"


async def test_after_a_migration_nothing_is_wiped() -> None:
    """libvirt told that it left: whatever stands here may be what it runs on there."""
    rig = Rig()
    uuid = await remembered(rig)
    rig.host.migrated.add(uuid)
    rig.host.undefine(uuid)
    await rig.reconciler.sweep()
    rig.host.migrated.clear()  # a restarted daemon has heard nothing
    rig.boot()
    rig.clock.move(600 + GRACE + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert (phone.state, [reason.code for reason in phone.reasons]) == (State.VANISHED, ["migrated-away"])
    assert rig.host.remains("SECRET of phone-1") == 5


async def test_a_phone_defined_again_is_a_phone_again() -> None:
    """Before its time: active as before. While its memory is being wiped, before the last word: refused, and then wiped as what it is."""
    rig = Rig()
    uuid = await remembered(rig)
    facts = rig.host.machines[uuid].facts
    await gone_and_due(rig, uuid)
    wipe = await rig.wipe_of(uuid)

    async def define() -> None:
        define_again(rig, facts)

    rig.milestones.when["locked"] = define
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert rig.host.remains("SECRET of phone-1") == 5
    await rig.reconciler.sweep()
    assert await rig.run(wipe.id) is Ending.RELEASED
    assert uuid not in rig.host.machines
    assert rig.host.remains("SECRET of phone-1") == 0


def define_again(rig: Rig, facts: DomainFacts) -> None:
    """`virsh define`."""
    machine = rig.host.machines[rig.host.add_phone(9)]
    del rig.host.machines[machine.facts.uuid]
    machine.facts = facts
    rig.host.machines[facts.uuid] = machine


async def test_a_domain_defined_after_the_wipe_is_not_undefined() -> None:
    """It is somebody else's by then."""
    rig = Rig()
    uuid = await remembered(rig)
    facts = rig.host.machines[uuid].facts
    await gone_and_due(rig, uuid)
    wipe = await rig.wipe_of(uuid)

    async def define() -> None:
        define_again(rig, facts)

    rig.milestones.when["judged"] = define
    assert await rig.run(wipe.id) is Ending.RELEASED
    assert uuid in rig.host.machines


async def test_every_interrupted_prefix_of_a_vanished_phones_wipe_ends_proven() -> None:
    """The power goes at each milestone in turn; afterwards everything is proven gone, once."""
    number = 0
    while True:
        rig = Rig()
        uuid = await remembered(rig)
        await gone_and_due(rig, uuid)
        wipe = await rig.wipe_of(uuid)
        await rig.reboot(cut_at=number)
        try:
            await rig.run(wipe.id)
        except PowerCut:
            assert await rig.survive(wipe.id) is Ending.RELEASED, number
        else:
            break
        assert rig.host.remains("SECRET of phone-1") == 0
        assert (await rig.wipe_of(uuid)).outcome == "clear"
        assert uuid not in rig.host.fences
        number += 1
    assert number > 15
