"""A file that was a phone's own when it was last looked at and that nothing names today: no `clear` beside it."""

from __future__ import annotations

import contextlib

import pytest

from tests.fakes.host import secret
from tests.unit.conduct.rig import GRACE, Rig
from tests.unit.conduct.test_on_disk import rig_on_disk
from wiped.conduct import survey
from wiped.conduct.results import Ending
from wiped.model.inventory import DiskSource

OLD, NEW = "/phones/phone-1.qcow2", "/phones/phone-1.copied"


async def pivoted(rig: Rig) -> str:
    """A phone that was remembered, and then block-copied to another file, as a later sweep sees it; its time comes."""
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.reconciler.sweep()
    rig.clock.move(1)
    rig.host.add_file(NEW, secret("phone-1 copy"))
    rig.host.update(uuid, disks=(DiskSource("vda", "file", NEW, "qcow2"),))
    rig.clock.move(1)
    await rig.reconciler.sweep()
    assert OLD not in {file.location for file in await rig.ledger.sightings.files(uuid)}
    rig.clock.move(600 + GRACE + 1)
    await rig.reconciler.sweep()
    return uuid


@pytest.mark.parametrize("on_disk", [False, True])
async def test_the_file_a_block_copy_left_refuses_the_plan(on_disk: bool) -> None:
    """Fenced, told by name, nothing erased, no certificate; `plan` says what can be done about it."""
    async with rig_on_disk() if on_disk else contextlib.nullcontext(Rig()) as rig:
        uuid = await pivoted(rig)
        await rig.drain(2)
        wipe = await rig.wipe_of(uuid)
        phone = await rig.ledger.phones.get(uuid)
        assert phone is not None
        assert (phone.refusals, phone.fenced, wipe.outcome) == (("unknown-file",), True, "")
        assert (rig.host.remains("SECRET of phone-1"), await rig.ledger.certificates.get(wipe.id)) == (9, None)
        plan = await rig.service.plans.get(uuid)
        assert [(item.code, item.location, "wipectl images classify" in item.detail) for item in plan.refusals] == [("unknown-file", OLD, True)]
        assert plan.expected_outcome == "not-sanitized"


async def test_each_way_out_of_it() -> None:
    """Named again: erased with the phone. Removed or replaced: nothing of it is left to refuse."""
    for settle in ("named", "removed", "replaced"):
        rig = Rig()
        uuid = await pivoted(rig)
        await rig.drain(2)
        if settle == "named":
            rig.host.update(uuid, disks=(DiskSource("vda", "file", NEW, "qcow2"), DiskSource("vdb", "file", OLD, "qcow2")))
        else:
            del rig.host.names[OLD]
        if settle == "replaced":
            rig.host.add_file(OLD, b"somebody else's")
        rig.clock.move(400)
        await rig.reconciler.sweep()
        assert (await rig.drain())[-1] is Ending.RELEASED, settle
        assert (await rig.wipe_of(uuid)).outcome == "clear"
        assert (OLD in rig.host.names) is (settle == "replaced")


async def test_what_a_vanished_phone_left_before_is_told_and_not_touched() -> None:
    """What was its own at its last look is wiped; the file that the block copy had left by then bars `clear`."""
    rig = Rig()
    uuid = await pivoted(rig)
    rig.host.undefine(uuid)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.QUARANTINED]
    wipe = await rig.wipe_of(uuid)
    assert (wipe.outcome, wipe.reasons) == ("not-sanitized", ("copy-not-reached",))
    assert wipe.plan is not None
    assert [(kept.location, kept.reason) for kept in wipe.plan.retained] == [(OLD, "unknown-file")]
    assert (rig.host.remains("SECRET of phone-1 copy"), OLD in rig.host.names, NEW in rig.host.names) == (0, True, False)


async def test_a_file_that_another_domain_has_now_is_told_with_that_domain() -> None:
    """Handed on with the phone's data on it: never erased, never silently `clear`."""
    rig = Rig()
    uuid = await pivoted(rig)
    neighbour = rig.host.add_phone(2)
    rig.host.update(neighbour, disks=(DiskSource("vda", "file", OLD, "qcow2"),))
    _, _, plan = await survey.look(rig.world, uuid, 1)
    assert [(item.code, neighbour in item.detail) for item in plan.refusals] == [("unknown-file", True)]
    assert OLD not in {step.location for step in plan.steps}


@pytest.mark.parametrize(("place", "taken"), [("/libvirt/log/old-name.log", False), ("/libvirt/log/old-name.log", True), ("/phones/old-name.log", False)])
async def test_a_log_under_a_former_name(place: str, taken: bool) -> None:
    """Erased with the phone where libvirt keeps it and nobody else reaches it, and remembered meanwhile; in a root, or another's by now, it refuses by name."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    rig.host.add_file(place, secret("phone-1 log", 2))
    rig.host.update(uuid, console_logs=(place,))
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.reconciler.sweep()
    rig.host.update(uuid, console_logs=())  # as after a rename: no definition names it
    if taken:
        other = rig.host.add_phone(2)
        rig.host.update(other, console_logs=(place,))
    rig.clock.move(1)
    await rig.reconciler.sweep()
    own = place.startswith("/libvirt/") and not taken
    assert (place in {file.location for file in rig.sheets.phones[uuid][1]}) is own
    rig.clock.move(600 + GRACE + 1)
    await rig.reconciler.sweep()
    await rig.drain(2)
    wipe = await rig.wipe_of(uuid)
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert (wipe.outcome, phone.refusals) == (("clear", ()) if own else ("", ("unknown-file",)))
    assert rig.host.remains("SECRET of phone-1 log") == (0 if own else 2)
