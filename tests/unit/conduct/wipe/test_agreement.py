"""What two people agreed to is one plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.unit.conduct.account import ACCOUNT, ANNA, BORIS, bound, cancelled, refused, settle, state
from tests.unit.conduct.rig import GRACE, SAFETY, Rig
from wiped.conduct import survey
from wiped.conduct.wipe import agreement
from wiped.model.approvals import Approval
from wiped.model.records import Trigger, WipeStep
from wiped.model.subscription import Action, State


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


async def test_a_wipe_that_was_begun_for_another_reason_is_not_carried_out_for_it(tmp_path: Path) -> None:
    """K6: refused at expiry, renewed while libvirt was away, and agreed to: the certificate says who agreed to what; a disk attached since is not destroyed."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1, seconds=600)
        rig.host.disk_of(uuid).holders = 1  # in use: the wipe at its expiry is refused
        await settle(rig, 600 + GRACE + 1)
        (old,) = await rig.ledger.wipes.find(uuid, unfinished=True)
        assert (old.trigger.kind, old.trigger.approver) == ("expiry", "")
        rig.host.disk_of(uuid).holders = 0
        await rig.subscribe(uuid, seconds=100_000, account=ACCOUNT.value, number="s-9")
        asked = await rig.service.requests.add("deletion", "no-consent", uuid=uuid, reference="T-1", reason="asked", confirm="phone-1", person=ANNA)
        assert asked.approval is not None
        approval = await rig.service.approvals.get(asked.approval.id)
        await rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
        attached = rig.host.add_file("/phones/data.qcow2", b"SECRET of a disk".ljust(8192, b"."))
        domain = rig.host.machines[uuid].facts
        rig.host.update(uuid, disks=(*domain.disks, replace(domain.disks[0], target="vdb", location="/phones/data.qcow2")))
        await settle(rig, SAFETY.settle + 1)
        assert attached.data.startswith(b"SECRET")
        assert rig.host.remains("SECRET of phone-1") == 5
        (anew,) = await rig.service.approvals.find()
        await rig.service.approvals.approve(anew.id, fingerprint=anew.fingerprint, person=BORIS)
        await settle(rig, SAFETY.settle + 1)
        assert await state(rig, uuid) is State.RELEASED
        (done,) = [wipe for wipe in await rig.ledger.wipes.find(uuid) if wipe.step is WipeStep.RELEASED]
        assert (done.trigger.kind, done.trigger.operator, done.trigger.approver) == ("deletion", "anna", "boris")


async def test_an_unfinished_wipe_goes_on_under_the_trigger_that_makes_the_phone_due_now(tmp_path: Path) -> None:
    """In one transaction, audited; past its last word it stays what it was."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1, seconds=600)
        rig.clock.move(600 + GRACE + 1)
        await rig.reconciler.sweep()
        (wipe,) = await rig.ledger.wipes.find(uuid)
        other = Trigger("deletion", "no-consent", "r-1", operator="anna", approver="boris")
        assert (await rig.ledger.wipes.begin(uuid, "w-new", other, rig.clock.now())).trigger == other
        facts = await rig.ledger.decisions.facts(uuid, rig.clock.now())
        assert facts is not None
        plan = (await survey.look(rig.world, uuid, 1))[2]
        facts = replace(facts, feed=rig.feed.status)
        said = agreement.last_word(rig.world, replace(wipe, trigger=other), plan, facts, rig.clock.now())
        assert (said.action, said.reasons[-1].code) == (Action.NONE, "drift")
        assert agreement.last_word(rig.world, wipe, plan, facts, rig.clock.now()).action is Action.WIPE
        assert "wipe-retriggered" in [entry.kind for entry in await rig.ledger.audit.entries()]
        await settle(rig)
        assert await state(rig, uuid) is State.RELEASED
        (done,) = await rig.ledger.wipes.find(uuid)
        assert done.trigger == wipe.trigger
        assert (await rig.ledger.wipes.begin(uuid, "w-later", other, rig.clock.now())).id == "w-later"
