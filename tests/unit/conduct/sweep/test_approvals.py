"""Approvals as time goes by."""

from __future__ import annotations

from pathlib import Path

from tests.unit.conduct.account import BORIS, bound, cancelled, refused, settle
from tests.unit.conduct.rig import SAFETY, Rig


async def test_nobody_approves_in_time(tmp_path: Path) -> None:
    """It expires and is asked for anew; the phone stays fenced, and nothing of it is touched."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1, seconds=10_000_000)
        approval = await cancelled(rig)
        await settle(rig, SAFETY.approval_ttl + 1)
        assert await refused(rig, approval, BORIS) == "approval-expired"
        (anew,) = await rig.service.approvals.find()
        assert (anew.id != approval.id, anew.subject) == (True, approval.subject)
        assert phones[0] in rig.host.fences
        assert rig.host.remains("SECRET") == 5
