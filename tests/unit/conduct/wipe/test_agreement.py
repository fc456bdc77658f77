"""What two people agreed to is one plan."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.unit.conduct.account import BORIS, bound, cancelled, refused, settle, state
from tests.unit.conduct.rig import SAFETY, Rig
from wiped.model.approvals import Approval
from wiped.model.subscription import State


async def test_an_approval_is_of_one_plan(tmp_path: Path) -> None:
    """A plan that changed since it was shown is shown again; one that changed since it was approved is not carried out."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        approval = await cancelled(rig)
        assert await refused(rig, Approval(**{**_fields(approval), "fingerprint": "f" * 64}), BORIS) == "drift"
        await rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
        (request,) = [item for _, item in await rig.world.ledger.requests.find()]
        await rig.ledger.requests.approve(request.id, rig.clock.now(), approver="boris", until=rig.clock.now() + timedelta(days=3), fingerprint="0" * 64)
        await settle(rig, SAFETY.settle)
        assert rig.host.remains("SECRET") == 5
        assert await state(rig, phones[0]) is State.ACTIVE
        (anew,) = await rig.service.approvals.find()
        assert anew.id != approval.id
        await rig.service.approvals.approve(anew.id, fingerprint=anew.fingerprint, person=BORIS)
        await settle(rig, SAFETY.settle)
        assert await state(rig, phones[0]) is State.RELEASED


def _fields(approval: Approval) -> dict[str, object]:
    return {name: getattr(approval, name) for name in Approval.__dataclass_fields__}
