"""Housekeeping about images."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.ports import PowerCut
from tests.unit.conduct.golden import BASE, BEN, wished, with_base
from tests.unit.conduct.rig import Rig
from wiped.conduct.sweep import orphans


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    async with Rig.on_disk(str(tmp_path)) as found:
        yield found


async def test_a_lost_record_is_written_again(rig: Rig) -> None:
    """The power went between ledger and file; housekeeping mends it."""
    with_base(rig)
    await rig.reconciler.sweep()
    approval = await wished(rig)
    rig.milestones.when["classified"] = rig.cut
    with pytest.raises(PowerCut):
        await rig.service.approvals.approve(approval.id, fingerprint="", person=BEN)
    assert rig.sheets.images == {}
    await orphans.heal(rig.world)
    assert rig.sheets.images[BASE].meaning == "private"


async def test_orphans_are_told_with_their_last_owner() -> None:
    """Largest first; nothing is touched."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    rig.host.add_file("/phones/lost.raw", b"x" * 4096 * 9)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.reconciler.sweep()
    rig.host.undefine(uuid)
    found, _ = await orphans.orphans(rig.world)
    assert [(item.location, item.owner_name) for item in found] == [("/phones/lost.raw", ""), ("/phones/phone-1.qcow2", "phone-1")]
    assert set(rig.host.names) >= {"/phones/lost.raw", "/phones/phone-1.qcow2"}
