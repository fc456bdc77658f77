"""Images that a person settles, and those that no domain reaches."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.ports import PowerCut
from tests.unit.conduct.rig import Rig
from wiped.conduct.results import Ending
from wiped.conduct.service import images
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import Approval, ApprovalState, Person
from wiped.model.sightings import ClassifiedImage

BASE = "/phones/base.qcow2"
ANN, BEN = Person("ann", 1001), Person("ben", 1002, may_approve=True)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    async with Rig.on_disk(str(tmp_path)) as found:
        yield found


async def classify(rig: Rig, path: str = BASE, meaning: str = "golden", reason: str = "the base of all") -> ClassifiedImage:
    """`wipectl images classify`."""
    return await rig.service.classify_image(path, meaning, reason=reason, person=ANN)


async def wished(rig: Rig) -> Approval:
    """The wish to call the base private, which waits."""
    with pytest.raises(RefusedError) as caught:
        await classify(rig, meaning="private", reason="its own")
    assert caught.value.codes == ("needs-approval",)
    assert (rig.sheets.images, await rig.ledger.images.classified()) == ({}, ())
    return await rig.service.approval(caught.value.approval)


def with_base(rig: Rig) -> str:
    """A phone over a base that nothing says is golden, and nothing says is private."""
    rig.host.add_file(BASE, b"BASE of somebody".ljust(4096, b"."))
    return rig.host.add_phone(1, golden=BASE)


async def test_a_classified_base_is_in_ledger_and_record(rig: Rig) -> None:
    """As the very file that stands there; the phone that waited for it is decided again."""
    uuid = with_base(rig)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert phone.refusals == ("ambiguous-base",)
    told = await classify(rig)
    assert rig.sheets.images == {BASE: told}
    assert (told.identity, told.meaning, told.operator) == (rig.host.names[BASE].identity, "golden", "ann")
    assert await rig.ledger.images.classified() == (told,)
    assert uuid in await rig.ledger.decisions.due(rig.clock.now())
    assert await classify(rig, reason="again") == told


async def test_a_lost_record_is_written_again(rig: Rig) -> None:
    """The power went between ledger and file; housekeeping mends it."""
    with_base(rig)
    await rig.reconciler.sweep()
    approval = await wished(rig)
    rig.milestones.when["classified"] = rig.cut
    with pytest.raises(PowerCut):
        await rig.service.approve(approval.id, fingerprint="", person=BEN)
    assert rig.sheets.images == {}
    await images.heal(rig.world)
    assert rig.sheets.images[BASE].meaning == "private"


async def test_a_base_that_others_reach_is_never_private(rig: Rig) -> None:
    """Refused with its code, announced, audited without the path, and nothing is recorded."""
    with_base(rig)
    rig.host.add_phone(2, golden=BASE)
    await rig.reconciler.sweep()
    with pytest.raises(RefusedError) as caught:
        await classify(rig, meaning="private", reason="mine")
    assert caught.value.codes == ("shared-by-domain",)
    assert rig.announcer.codes["shared-by-domain"] == 1
    assert await rig.ledger.images.classified() == ()
    assert rig.sheets.images == {}
    last = (await rig.ledger.audit.entries())[-1]
    assert (last.kind, last.body["operator"], BASE in repr(last)) == ("refused", "ann", False)


@pytest.mark.parametrize("path", ["base.qcow2", "/phones/../etc/shadow", "/phones//base.qcow2", "//phones/base", "/phones/\0", ""])
async def test_only_a_plain_absolute_path_is_taken(rig: Rig, path: str) -> None:
    """Everything else is bad input."""
    with pytest.raises(InputError):
        await classify(rig, path)


@pytest.mark.parametrize(("meaning", "reason"), [("silver", "x"), ("golden", "  ")])
async def test_meaning_and_reason_are_asked_for(rig: Rig, meaning: str, reason: str) -> None:
    """Two words only, and always why."""
    with_base(rig)
    with pytest.raises(InputError):
        await classify(rig, BASE, meaning, reason)


async def test_private_takes_two_people(rig: Rig) -> None:
    """The second one, with the role and not the first, agrees to that very file; asked again it is answered at once."""
    with_base(rig)
    await rig.reconciler.sweep()
    approval = await wished(rig)
    for alone in (ANN, Person("root", 0), Person("ann", 1009, may_approve=True), Person("cid", 1003)):
        with pytest.raises(RefusedError) as caught:
            await rig.service.approve(approval.id, fingerprint="", person=alone)
        assert caught.value.codes == ("needs-approval",)
    assert rig.sheets.images == {}
    await rig.service.approve(approval.id, fingerprint=approval.fingerprint, person=BEN)
    (image,) = await rig.ledger.images.classified()
    assert (image.meaning, image.operator, image.identity) == ("private", "ann", rig.host.names[BASE].identity)
    assert rig.sheets.images == {BASE: image}
    assert await classify(rig, meaning="private") == image
    told = next(entry for entry in await rig.ledger.audit.entries() if entry.kind == "classified")
    assert (told.body["operator"], told.body["approver"]) == ("ann", "ben")
    assert BASE not in repr([entry.body for entry in await rig.ledger.audit.entries()])


async def test_what_was_settled_otherwise_since_is_not_said_again(rig: Rig) -> None:
    """Private by two people, then golden: the second one alone, saying it again, does not make it private anew. After a crash the same words do."""
    with_base(rig)
    await rig.reconciler.sweep()
    approval = await wished(rig)
    await rig.world.ledger.approvals.agree(approval.id, BEN.name, rig.clock.now(), fingerprint=approval.fingerprint)  # type: ignore[union-attr]
    rig.clock.move(5)
    await rig.service.approve(approval.id, fingerprint="", person=BEN)
    assert rig.sheets.images[BASE].meaning == "private"
    rig.clock.move(5)
    await classify(rig)
    await rig.service.approve(approval.id, fingerprint="", person=BEN)
    assert rig.sheets.images[BASE].meaning == "golden"
    assert [image.meaning for image in await rig.ledger.images.classified()] == ["golden"]


async def test_another_file_at_the_path_is_not_what_was_agreed_to(rig: Rig) -> None:
    """Between the two people somebody put a golden image there: nothing is recorded, and it has to be asked for again."""
    with_base(rig)
    await rig.reconciler.sweep()
    approval = await wished(rig)
    rig.host.names.pop(BASE)
    rig.host.add_file(BASE, b"ANOTHER".ljust(4096, b"."))
    with pytest.raises(RefusedError) as caught:
        await rig.service.approve(approval.id, fingerprint="", person=BEN)
    assert caught.value.codes == ("drift",)
    assert (rig.sheets.images, await rig.ledger.images.classified()) == ({}, ())
    assert (await rig.service.approval(approval.id)).state is ApprovalState.WITHDRAWN


async def test_a_name_that_nobody_could_read_is_not_asked_about(rig: Rig) -> None:
    """What the second person would see is not what stands on the disk."""
    with pytest.raises(InputError):
        await classify(rig, "/phones/base\n.qcow2", "private")


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
