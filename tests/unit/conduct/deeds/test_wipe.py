"""A request on a phone whose term still runs: two people, one plan, once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.conduct.account import ANNA, BORIS, bound, cancelled, refused, settle, state
from tests.unit.conduct.rig import SAFETY, Rig
from wiped.errors import RefusedError
from wiped.model.approvals import ApprovalState, Person
from wiped.model.subscription import State


async def test_a_crash_between_the_agreement_and_its_deed(tmp_path: Path) -> None:
    """The second person says it again, and it is done; said once more it changes nothing."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        approval = await cancelled(rig)
        await rig.world.ledger.approvals.agree(approval.id, BORIS.name, rig.clock.now(), fingerprint=approval.fingerprint)
        await settle(rig, SAFETY.settle)
        assert rig.host.remains("SECRET") == 5
        for _ in range(2):
            assert (await rig.service.approvals.approve(approval.id, fingerprint="", person=BORIS)).state is ApprovalState.APPROVED
        await settle(rig, 1)
        assert await state(rig, phones[0]) is State.RELEASED


async def test_an_agreement_said_again_renews_nothing(tmp_path: Path) -> None:
    """It ends when it would have ended; whoever lost the role cannot repeat it, and nobody can once its time is over."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        await bound(rig, 1, seconds=10_000_000)
        approval = await cancelled(rig)
        agreed = await rig.world.ledger.approvals.agree(approval.id, BORIS.name, rig.clock.now(), fingerprint=approval.fingerprint)
        rig.clock.move(5)
        await rig.service.approvals.approve(approval.id, fingerprint="", person=BORIS)
        ((_, request),) = await rig.world.ledger.requests.find()
        assert agreed.decided_at is not None
        assert request.approved_until == agreed.decided_at + timedelta(seconds=SAFETY.approval_ttl)
        assert await refused(rig, approval, Person(BORIS.name, BORIS.uid)) == "needs-approval"
        rig.clock.move(SAFETY.approval_ttl)
        assert await refused(rig, approval, BORIS) == "approval-expired"


async def test_a_manual_wipe_of_an_active_phone_touches_nothing_until_it_is_approved(tmp_path: Path) -> None:
    """An operator's slip does not stop a customer."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        with pytest.raises(RefusedError) as caught:
            await rig.service.wipes.ask(phones[0], reason="left", ticket="T-1", confirm="phone-1", person=ANNA)
        assert caught.value.codes == ("subscription-active", "needs-approval")
        await settle(rig, 1000)
        assert rig.host.running(phones[0])
        await rig.service.approvals.approve(caught.value.approval, fingerprint="", person=BORIS)
        await settle(rig, SAFETY.settle)
        assert await state(rig, phones[0]) is State.RELEASED
