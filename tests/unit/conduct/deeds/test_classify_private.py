"""An image is called private by two people, and that very file alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.conduct.golden import ANN, BASE, BEN, classify, wished, with_base
from tests.unit.conduct.rig import Rig
from wiped.errors import RefusedError
from wiped.model.approvals import ApprovalState, Person


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    async with Rig.on_disk(str(tmp_path)) as found:
        yield found


async def test_private_takes_two_people(rig: Rig) -> None:
    """The second one, with the role and not the first, agrees to that very file; asked again it is answered at once."""
    with_base(rig)
    await rig.reconciler.sweep()
    approval = await wished(rig)
    for alone in (ANN, Person("root", 0), Person("ann", 1009, may_approve=True), Person("cid", 1003)):
        with pytest.raises(RefusedError) as caught:
            await rig.service.approvals.approve(approval.id, fingerprint="", person=alone)
        assert caught.value.codes == ("needs-approval",)
    assert rig.sheets.images == {}
    await rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=BEN)
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
    await rig.world.ledger.approvals.agree(approval.id, BEN.name, rig.clock.now(), fingerprint=approval.fingerprint)
    rig.clock.move(5)
    await rig.service.approvals.approve(approval.id, fingerprint="", person=BEN)
    assert rig.sheets.images[BASE].meaning == "private"
    rig.clock.move(5)
    await classify(rig)
    await rig.service.approvals.approve(approval.id, fingerprint="", person=BEN)
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
        await rig.service.approvals.approve(approval.id, fingerprint="", person=BEN)
    assert caught.value.codes == ("drift",)
    assert (rig.sheets.images, await rig.ledger.images.classified()) == ({}, ())
    assert (await rig.service.approvals.get(approval.id)).state is ApprovalState.WITHDRAWN
