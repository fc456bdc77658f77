"""The look before the end: a file that a phone got while it was wiped is neither signed for nor orphaned."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fakes.host import COW
from tests.fakes.ports import PowerCut
from tests.unit.conduct.ends import proven
from tests.unit.conduct.rig import Rig
from wiped.conduct.results import Ending
from wiped.decide.lastlook import appeared
from wiped.errors import HelperError, HypervisorError
from wiped.model.inventory import ArtefactKind, DiskSource, FoundArtefact
from wiped.model.records import WipeStep

LATE = "/phones/late.qcow2"


def attach(rig: Rig, uuid: str) -> None:
    """Another disk with the phone's data, in this instant."""
    rig.host.add_file(LATE, b"SECRET of phone-1 late".ljust(4096, b"#"))
    disks = rig.host.machines[uuid].facts.disks
    rig.host.update(uuid, disks=(*disks, DiskSource("vdz", "file", LATE, "qcow2")))


def detach(rig: Rig, uuid: str) -> None:
    """Somebody saw the alarm."""
    disks = rig.host.machines[uuid].facts.disks
    rig.host.update(uuid, disks=tuple(disk for disk in disks if disk.location != LATE))


async def test_a_file_that_came_after_the_locks_is_not_certified() -> None:
    """Attached while the bytes were written: quarantined with an incident record, the domain kept; settled, one retry ends it."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def now() -> None:
        attach(rig, uuid)

    rig.milestones.when["erasing"] = now
    assert await rig.run(wipe.id) is Ending.QUARANTINED
    told = await rig.wipe_of(uuid)
    assert (told.outcome, told.reasons) == ("not-sanitized", ("copy-not-reached",))
    assert rig.announcer.codes["drift"] == 1
    assert uuid in rig.host.machines
    assert uuid in rig.host.fences
    assert LATE in rig.host.names
    detach(rig, uuid)
    await rig.ledger.quarantine.retry_now(wipe.id, rig.clock.now(), "tester")
    assert await rig.run(wipe.id) is Ending.RELEASED
    assert uuid not in rig.host.machines


@pytest.mark.parametrize("step", ["verdict", "judged"])
async def test_a_file_that_came_after_the_signature_keeps_the_domain(step: str) -> None:
    """Attached just before the undefine: refused, alarmed, fenced, the domain there; looked at again until it is gone."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def now() -> None:
        attach(rig, uuid)

    rig.milestones.when[step] = now
    for _ in range(2):
        assert await rig.run(wipe.id) is Ending.REFUSED
        assert (await rig.wipe_of(uuid)).step is WipeStep.JUDGED
        assert uuid in rig.host.machines
        assert uuid in rig.host.fences
        phone = await rig.ledger.phones.get(uuid)
        assert phone is not None
        assert phone.refusals == ("drift",)
        with pytest.raises(HypervisorError):
            rig.host.start(uuid)
    detach(rig, uuid)
    assert await rig.run(wipe.id) is Ending.RELEASED
    assert uuid not in rig.host.machines


async def test_a_file_made_anew_in_a_wiped_place_counts_too() -> None:
    """The disk's path has a file again: not this phone's wiped one."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def now() -> None:
        rig.host.add_file("/phones/phone-1.qcow2", b"restored from somewhere".ljust(4096, b"#"))

    rig.milestones.when["judged"] = now
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert uuid in rig.host.machines
    assert bytes(rig.host.names["/phones/phone-1.qcow2"].data).startswith(b"restored")


async def test_a_power_cut_between_undefine_and_the_end_needs_no_second_look() -> None:
    """A domain that is gone reaches nothing."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    rig.milestones.when["undefined"] = rig.cut
    with pytest.raises(PowerCut):
        await rig.run(wipe.id)
    await rig.reboot()
    assert await rig.run(wipe.id) is Ending.RELEASED


async def test_what_counts_as_appeared() -> None:
    """Only a missing file in a place that was wiped counts as nothing."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    rig.milestones.when["verdict"] = rig.cut
    with pytest.raises(PowerCut):
        await rig.run(wipe.id)
    plan = await rig.service.plans.get(uuid)
    frozen = (await rig.wipe_of(uuid)).plan
    assert frozen is not None
    assert {refusal.code for refusal in plan.refusals} == {"missing"}
    assert appeared(frozen, plan) == ()
    attach(rig, uuid)
    assert [(item.code, item.location) for item in appeared(frozen, await rig.service.plans.get(uuid))] == [("drift", LATE)]
    del rig.host.names[LATE]
    assert [(item.code, item.location) for item in appeared(frozen, await rig.service.plans.get(uuid))] == [("missing", LATE)]


async def test_secrets_are_undefined_once_their_values_are_erased() -> None:
    """Before the domain is undefined, and again after a power cut between the two."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    secret = "00000000-0000-4000-8000-0000000000aa"
    path = f"/libvirt/secrets/{secret}.base64"
    rig.host.add_file(path, b"SECRET of phone-1 passphrase".ljust(4096, b"#"), fmt="raw")
    rig.host.secrets.add(secret)
    layer = rig.host.layer(path)
    rig.observer.found = (FoundArtefact(ArtefactKind.LIBVIRT_SECRET, layer, owners=(uuid,)),)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def erased() -> None:
        rig.observer.found = ()

    rig.milestones.when["verdict"] = erased
    rig.milestones.when["last-look"] = erased
    rig.milestones.when["secret-undefined"] = rig.cut
    with pytest.raises(PowerCut):
        await rig.run(wipe.id)
    assert rig.host.secrets == set()
    assert uuid in rig.host.machines
    await rig.reboot()
    assert await rig.run(wipe.id) is Ending.RELEASED
    assert rig.host.remains("SECRET of phone-1") == 0
    assert [event for event in rig.host.events if event.startswith("undefine")] == [f"undefine secret {secret}"] * 2 + [f"undefine {uuid}"]


async def test_a_read_back_mismatch_is_quarantined_with_nothing_removed() -> None:
    """I3 and I4: not proven, not removed, fenced, an incident and no certificate; retried with back-off, then proven."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    rig.observer.mismatches = [3, 0]
    assert await rig.run(wipe.id) is Ending.QUARANTINED
    found = await rig.wipe_of(uuid)
    assert (found.step, found.outcome, found.reasons) == (WipeStep.QUARANTINED, "not-sanitized", ("readback-mismatch",))
    assert found.retry_at == rig.clock.now() + timedelta(seconds=300)
    assert "/phones/phone-1.qcow2" in rig.host.names
    assert "/libvirt/nvram/phone-1.fd" not in rig.host.names, "what was proven is removed"
    assert uuid in rig.host.fences
    assert [c.kind for c in rig.ledger.certificates.issued] == ["incident"]  # type: ignore[attr-defined]
    with pytest.raises(HypervisorError):
        rig.host.start(uuid)
    assert await rig.run(wipe.id) is Ending.QUARANTINED, "its time has not come"
    assert rig.eraser.erased.total() == 2
    rig.clock.move(301)
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")
    assert (await rig.wipe_of(uuid)).attempt == 2


async def test_an_incident_is_written_again_only_when_its_reasons_change() -> None:
    """Three failing attempts, two kinds of failure: two incident records."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    for reasons in ([3], [3], []):
        rig.observer.mismatches = list(reasons)
        if not reasons:
            rig.eraser.reasons = ["io-error"]
        await rig.run(wipe.id)
        rig.clock.move(90_000)
    assert [c.kind for c in rig.ledger.certificates.issued] == ["incident", "incident"]  # type: ignore[attr-defined]
    assert (await rig.wipe_of(uuid)).attempt == 3


async def test_copy_on_write_is_left_in_place_and_says_so() -> None:
    """A disk on a copy-on-write filesystem is not overwritten at all; the phone is quarantined and no retry is planned."""
    rig = Rig()
    uuid = rig.host.add_phone(1, filesystem=COW)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.QUARANTINED
    found = await rig.wipe_of(uuid)
    assert found.reasons == ("cow-filesystem",)
    assert found.retry_at is None
    assert rig.host.remains("SECRET of phone-1 block") == 4
    assert uuid in rig.host.fences


async def test_an_image_that_vanishes_in_the_middle_is_never_called_clear() -> None:
    """After the last word somebody deletes a half-wiped image by hand: vanished, quarantined, an incident; the rest is still wiped."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    rig.eraser.dies_after = 3
    with pytest.raises(HelperError):
        await rig.run(wipe.id)
    del rig.host.names["/phones/phone-1.qcow2"]
    assert await rig.survive(wipe.id) is Ending.QUARANTINED
    found = await rig.wipe_of(uuid)
    assert found.reasons == ("vanished",)
    assert [c.kind for c in rig.ledger.certificates.issued] == ["incident"]  # type: ignore[attr-defined]
    assert rig.host.remains("SECRET of phone-1 nvram") == 0


async def test_ephemeral_secrets_of_the_phone_alone_are_undefined() -> None:
    """They stand in no file, and would stay in libvirt's memory; one that another domain names too, and one named by its usage alone, stay."""
    rig = Rig()
    uuid, other = rig.host.add_phone(1), rig.host.add_phone(2)
    own, shared = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
    rig.host.ephemeral = {own, shared}
    rig.host.update(uuid, secrets=(own, shared, "usage:volume:/phones/phone-1.qcow2"))
    rig.host.update(other, secrets=(shared,))
    wipe = await rig.begun(uuid)
    await rig.run(wipe.id)
    assert (await rig.wipe_of(uuid)).outcome == "clear"
    assert rig.host.ephemeral == {shared}
