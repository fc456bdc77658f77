"""Images that people classify."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.conduct.golden import BASE, classify, with_base
from tests.unit.conduct.rig import Rig
from wiped.conduct.results import Ending
from wiped.errors import InputError, RefusedError


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    async with Rig.on_disk(str(tmp_path)) as found:
        yield found


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


async def test_a_name_that_nobody_could_read_is_not_asked_about(rig: Rig) -> None:
    """What the second person would see is not what stands on the disk."""
    with pytest.raises(InputError):
        await classify(rig, "/phones/base\n.qcow2", "private")
