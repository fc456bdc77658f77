"""Images that a person settles, and those that no domain reaches."""

from __future__ import annotations

import pytest

from tests.fakes.ports import PowerCut
from tests.unit.conduct.rig import Rig
from wiped.conduct import images
from wiped.conduct.endings import Ending
from wiped.errors import InputError, RefusedError

BASE = "/phones/base.qcow2"


def with_base(rig: Rig) -> str:
    """A phone over a base that nothing says is golden, and nothing says is private."""
    rig.host.add_file(BASE, b"BASE of somebody".ljust(4096, b"."))
    return rig.host.add_phone(1, golden=BASE)


async def test_a_classified_base_is_in_ledger_and_record() -> None:
    """As the very file that stands there; the phone that waited for it is decided again."""
    rig = Rig()
    uuid = with_base(rig)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    phone = await rig.ledger.phone(uuid)
    assert phone is not None
    assert phone.refusals == ("ambiguous-base",)
    told = await images.settle(rig.world, BASE, "golden", reason="the base of all", operator="ann")
    assert rig.sheets.images == {BASE: told}
    assert (told.identity, told.meaning, told.operator) == (rig.host.names[BASE].identity, "golden", "ann")
    assert await rig.ledger.classified_images() == (told,)
    assert uuid in await rig.ledger.due_for_decision(rig.clock.now())
    again = await images.settle(rig.world, BASE, "golden", reason="again", operator="ben")
    assert again == told


async def test_a_lost_record_is_written_again() -> None:
    """The power went between ledger and file; housekeeping mends it."""
    rig = Rig()
    with_base(rig)
    await rig.reconciler.sweep()
    rig.milestones.when["classified"] = rig.cut
    with pytest.raises(PowerCut):
        await images.settle(rig.world, BASE, "private", reason="its own", operator="ann")
    assert rig.sheets.images == {}
    await images.heal(rig.world)
    assert rig.sheets.images[BASE].meaning == "private"


async def test_a_base_that_others_reach_is_never_private() -> None:
    """Refused with its code, announced, audited without the path, and nothing is recorded."""
    rig = Rig()
    with_base(rig)
    rig.host.add_phone(2, golden=BASE)
    await rig.reconciler.sweep()
    with pytest.raises(RefusedError) as caught:
        await images.settle(rig.world, BASE, "private", reason="mine", operator="ann")
    assert caught.value.codes == ("shared-by-domain",)
    assert rig.announcer.codes["shared-by-domain"] == 1
    assert await rig.ledger.classified_images() == ()
    assert rig.sheets.images == {}
    last = (await rig.ledger.audit())[-1]
    assert (last.kind, last.body["operator"], BASE in repr(last)) == ("refused", "ann", False)


@pytest.mark.parametrize("path", ["base.qcow2", "/phones/../etc/shadow", "/phones//base.qcow2", "//phones/base", "/phones/\0", ""])
async def test_only_a_plain_absolute_path_is_taken(path: str) -> None:
    """Everything else is bad input."""
    rig = Rig()
    with pytest.raises(InputError):
        await images.settle(rig.world, path, "golden", reason="x", operator="ann")


@pytest.mark.parametrize(("meaning", "reason"), [("silver", "x"), ("golden", "  ")])
async def test_meaning_and_reason_are_asked_for(meaning: str, reason: str) -> None:
    """Two words only, and always why."""
    rig = Rig()
    with_base(rig)
    with pytest.raises(InputError):
        await images.settle(rig.world, BASE, meaning, reason=reason, operator="ann")


async def test_orphans_are_told_with_their_last_owner() -> None:
    """Largest first; nothing is touched."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    rig.host.add_file("/phones/lost.raw", b"x" * 4096 * 9)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.reconciler.sweep()
    rig.host.undefine(uuid)
    found, _ = await images.orphans(rig.world)
    assert [(item.location, item.owner_name) for item in found] == [("/phones/lost.raw", ""), ("/phones/phone-1.qcow2", "phone-1")]
    assert set(rig.host.names) >= {"/phones/lost.raw", "/phones/phone-1.qcow2"}
