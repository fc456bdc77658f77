"""Reports about one account and about a period, over the real ledger."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.conduct.account import ACCOUNT, ANNA, BORIS, CLEO, ROOT, bound, cancelled, refused, settle, state
from tests.unit.conduct.rig import SAFETY, Rig
from wiped.api import report_page
from wiped.errors import RefusedError
from wiped.model.approvals import ApprovalState, Person
from wiped.model.subscription import State


async def test_a_cancelled_account(tmp_path: Path) -> None:
    """All phones are stopped and fenced at once; one person, root or the asker cannot go on; the second one can; a held phone is kept, and wiped after two
    people released it; the officer's report tells it all."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig)
        stranger = rig.host.add_phone(9, running=True)
        await rig.reconciler.sweep()
        await rig.subscribe(stranger, seconds=100_000, account="somebody-else", number="s-9")
        hold = await rig.service.holds.add(uuid=phones[2], authority="District Court", reference="3 O 12/26", ground="litigation", until=None, person=ANNA)
        approval = await cancelled(rig)
        assert set(approval.uuids) == set(phones)
        assert [rig.host.running(uuid) for uuid in phones] == [False] * 3
        assert set(phones) <= set(rig.host.fences)
        assert rig.host.running(stranger)
        await settle(rig, 5000)
        assert [await refused(rig, approval, person) for person in (ANNA, ROOT, Person("dora", 1004), Person("other-name", 1001, may_approve=True))] == [
            "needs-approval"
        ] * 4
        assert rig.host.remains("SECRET") == 20
        agreed = await rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
        assert agreed.state is ApprovalState.APPROVED
        await settle(rig, SAFETY.settle)
        assert [await state(rig, uuid) for uuid in phones] == [State.RELEASED, State.RELEASED, State.DUE]
        assert [rig.host.remains(f"SECRET of phone-{number}") for number in (1, 2, 3, 9)] == [0, 0, 5, 5]
        trigger = (await rig.ledger.wipes.find(phones[0]))[0].trigger
        assert (trigger.kind, trigger.ground, trigger.operator, trigger.approver) == ("cancellation", "account-cancelled", "anna", "boris")
        with pytest.raises(RefusedError, match="releasing a legal hold") as caught:
            await rig.service.holds.release(hold.id, reason="the case ended", person=CLEO)
        assert await refused(rig, await rig.service.approvals.get(caught.value.approval), CLEO) == "needs-approval"
        await rig.service.approvals.approve(caught.value.approval, fingerprint="", person=BORIS)
        await settle(rig, 61)
        assert await state(rig, phones[2]) is State.RELEASED
        assert rig.host.remains("SECRET of phone-3") == 0
        report = await rig.service.reports.subject(ACCOUNT, CLEO)
        assert [(item["kind"], item["reference"]) for item in report["requests"]] == [("cancellation", "DSR-77")] * 3
        assert {item["outcome"] for item in report["wipes"]} == {"clear"}
        assert len(report["wipes"]) == len(report["subscriptions"]) == 3
        assert "DSR-77" in report_page.page("subject", report)
        period = await rig.service.reports.period(rig.clock.now() - timedelta(days=1), rig.clock.now() + timedelta(days=1))
        assert (period["outcomes"], period["triggers"]) == ({"clear": 3}, {"cancellation": 3})
        told = str([entry.body for entry in await rig.ledger.audit.entries()])
        assert not [word for word in ("li.wei", "DSR-77", "she wrote", "District", "3 O 12") if word in told]
