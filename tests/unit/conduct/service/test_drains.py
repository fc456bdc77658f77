"""Drains: announced, approved, cancelled."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.conduct.account import ANNA, BORIS, CLEO, bound, settle, state
from tests.unit.conduct.rig import SAFETY, Rig
from wiped.errors import InputError, RefusedError
from wiped.model.subscription import State


async def test_a_drain(tmp_path: Path) -> None:
    """Announced: no new subscription. At its date ended terms are wiped without more grace, running ones only once it was approved. Cancelled by two."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 2, seconds=100_000)
        new = rig.host.add_phone(5, running=True)
        await rig.reconciler.sweep()
        drain = await rig.service.drains.start(rig.clock.now() + timedelta(hours=2), product="", reason="the hall closes", person=ANNA)
        with pytest.raises(RefusedError) as caught:
            await rig.subscribe(new, number="s-5")
        assert caught.value.codes == ("draining",)
        await settle(rig, 3 * 3600)
        assert rig.host.remains("SECRET") == 15
        (approval,) = await rig.service.approvals.find()
        assert approval.kind == "drain"
        with pytest.raises(InputError, match="begun"):
            await rig.service.drains.cancel(drain.id, reason="no", person=ANNA)
        await rig.service.approvals.approve(approval.id, fingerprint="", person=BORIS)
        await settle(rig, SAFETY.settle)
        assert [await state(rig, uuid) for uuid in phones] == [State.RELEASED] * 2
        assert rig.host.remains("SECRET of phone-5") == 5
    async with Rig.on_disk(str(_other(tmp_path))) as rig:
        await bound(rig, 1)
        drain = await rig.service.drains.start(rig.clock.now() + timedelta(hours=2), product="", reason="the hall closes", person=ANNA)
        with pytest.raises(RefusedError) as caught:
            await rig.service.drains.cancel(drain.id, reason="it stays open", person=CLEO)
        await rig.service.approvals.approve(caught.value.approval, fingerprint="", person=BORIS)
        assert await rig.service.drains.in_force() == ()


def _other(path: Path) -> Path:
    found = path / "other"
    found.mkdir()
    return found
