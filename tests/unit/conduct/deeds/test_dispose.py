"""Out of quarantine without proof: two different people, one reference, and everything stays in place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.conduct.rig import SAFETY, Rig
from wiped.attest.signing import open_envelope
from wiped.conduct.results import Ending
from wiped.errors import HypervisorError, InputError, RefusedError
from wiped.model.approvals import Approval, ApprovalState, Person
from wiped.model.records import WipeRecord, WipeStep
from wiped.model.subscription import State

ANN, BEN = Person("ann", 1001), Person("ben", 1002, may_approve=True)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    async with Rig.on_disk(str(tmp_path)) as found:
        yield found


async def quarantined(rig: Rig) -> str:
    """A phone whose storage never proves anything."""
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    rig.observer.mismatches = [1] * 10
    assert await rig.run(wipe.id) is Ending.QUARANTINED
    return uuid


async def ask(rig: Rig, uuid: str, who: Person = ANN, **changes: str) -> Approval:
    """`wipectl quarantine dispose`: it always takes another person; what waits for them."""
    words = {"reason": "the disk burnt", "reference": "CASE-7", "confirm": "phone-1", **changes}
    with pytest.raises(RefusedError) as caught:
        await rig.service.quarantine.dispose(uuid, **words, person=who)
    assert caught.value.codes == ("needs-approval",)
    return await rig.service.approvals.get(caught.value.approval)


async def disposed(rig: Rig, uuid: str, approval: Approval, who: Person = BEN) -> WipeRecord:
    """`wipectl approvals approve`."""
    await rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=who)
    return await rig.wipe_of(uuid)


async def refused(rig: Rig, uuid: str, approval: Approval, who: Person) -> tuple[str, ...]:
    """The codes of a refusal, after which the wipe waits as before."""
    with pytest.raises(RefusedError) as caught:
        await disposed(rig, uuid, approval, who)
    assert (await rig.wipe_of(uuid)).step is WipeStep.QUARANTINED
    return caught.value.codes


async def test_the_second_person_carries_it_out(rig: Rig) -> None:
    """State `disposed`, outcome as it was, an incident record that says who accepted what; files, domain and fence stay."""
    uuid = await quarantined(rig)
    before = dict(rig.host.names)
    approval = await ask(rig, uuid)
    assert (await rig.wipe_of(uuid)).step is WipeStep.QUARANTINED
    assert [item.id for item in await rig.service.approvals.find()] == [approval.id]
    wipe = await disposed(rig, uuid, approval)
    assert (wipe.step, wipe.outcome, wipe.reasons) == (WipeStep.DISPOSED, "not-sanitized", ("readback-mismatch",))
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert (phone.state, phone.fenced) == (State.DISPOSED, True)
    assert rig.host.names == before
    assert uuid in rig.host.machines
    with pytest.raises(HypervisorError):
        rig.host.start(uuid)
    record = await rig.ledger.certificates.get(wipe.id)
    assert record is not None
    told = open_envelope(record.envelope, rig.world.signer.public_pem)["predicate"]
    assert told["personnel"] == {"operator": "ann", "approver": "ben"}
    assert (told["disposal"]["reference"], told["disposal"]["accepted"]) == ("CASE-7", ["readback-mismatch"])
    assert told["overall"]["outcome"] == "not-sanitized"
    assert "burnt" not in repr(told)


async def test_nothing_begins_again_on_a_disposed_phone(rig: Rig) -> None:
    """No sweep, no retry, no new customer; the fence is put up again where it is lost."""
    uuid = await quarantined(rig)
    await disposed(rig, uuid, await ask(rig, uuid))
    rig.host.fences.clear()
    rig.clock.move(1_000_000)
    await rig.reboot()
    assert await rig.drain() == []
    await rig.reconciler.heal()
    assert "/phones/phone-1.qcow2" in rig.host.fences[uuid][0]
    with pytest.raises(RefusedError):
        await rig.subscribe(uuid, seconds=86_400, account="acct-2", number="s-9")
    with pytest.raises(InputError):
        await ask(rig, uuid, BEN)
    told = repr([entry.body for entry in await rig.ledger.audit.entries()])
    assert "burnt" not in told
    assert "CASE-7" not in told


async def test_the_fence_of_a_disposed_phone_ends_by_hand_after_its_domain(rig: Rig) -> None:
    """Explained as it is done: while the domain is there a removed fence comes back; once it was undefined, it stays away."""
    uuid = await quarantined(rig)
    await disposed(rig, uuid, await ask(rig, uuid))
    reasons = (await rig.service.phones.explain(uuid)).decision.reasons
    assert [(reason.code, "/var/lib/wiped/fence" in reason.detail, "undefine" in reason.detail) for reason in reasons] == [("is-disposed", True, True)]
    rig.host.fences.clear()
    await rig.reconciler.heal()
    assert uuid in rig.host.fences
    rig.host.fences.clear()  # the fence keeps its domain from starting, not from being undefined
    rig.host.undefine(uuid)
    await rig.reconciler.sweep()
    await rig.reconciler.heal()
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert (rig.host.fences, phone.fenced, phone.state) == ({}, False, State.DISPOSED)


@pytest.mark.parametrize(
    "second",
    [
        ANN,
        Person("ann", 1009, may_approve=True),
        Person("ann-too", 1001, may_approve=True),
        Person("cid", 1003),
        Person("root", 0),
    ],
)
async def test_who_cannot_be_the_second_person(rig: Rig, second: Person) -> None:
    """The first one again, under another name or uid; without the approver's role; root."""
    uuid = await quarantined(rig)
    approval = await ask(rig, uuid)
    assert await refused(rig, uuid, approval, second) == ("needs-approval",)
    assert (await disposed(rig, uuid, approval)).step is WipeStep.DISPOSED


async def test_what_root_wished_takes_two_others(rig: Rig) -> None:
    """sudo merges people."""
    uuid = await quarantined(rig)
    approval = await ask(rig, uuid, Person("root", 0))
    assert (await disposed(rig, uuid, approval)).step is WipeStep.QUARANTINED
    assert (await disposed(rig, uuid, approval)).step is WipeStep.QUARANTINED
    assert (await disposed(rig, uuid, approval, Person("cleo", 1003, may_approve=True))).step is WipeStep.DISPOSED


async def test_both_people_mean_the_same_decision(rig: Rig) -> None:
    """Another name typed is refused; a wish by another reference replaces the one that waited, which cannot be agreed to any more."""
    uuid = await quarantined(rig)
    with pytest.raises(RefusedError) as caught:
        await rig.service.quarantine.dispose(uuid, reason="x", reference="CASE-7", confirm="phone-2", person=ANN)
    assert caught.value.codes == ("wrong-confirmation",)
    for empty in ("reason", "reference"):
        with pytest.raises(InputError):
            await ask(rig, uuid, **{empty: "  "})
    first = await ask(rig, uuid)
    assert (await ask(rig, uuid)).id == first.id
    other = await ask(rig, uuid, reference="CASE-8")
    assert (await rig.service.approvals.get(first.id)).state is ApprovalState.WITHDRAWN
    assert await refused(rig, uuid, first, BEN) == ("needs-approval",)
    assert (await disposed(rig, uuid, other)).step is WipeStep.DISPOSED


async def test_a_wish_expires_and_is_not_for_a_retried_wipe(rig: Rig) -> None:
    """It is bound to what could not be proven then: once it was proven, or other reasons stand, or nobody agreed in time, nothing is disposed of."""
    uuid = await quarantined(rig)
    approval = await ask(rig, uuid)
    rig.clock.move(SAFETY.approval_ttl + 1)
    assert await refused(rig, uuid, approval, BEN) == ("approval-expired",)
    await rig.reconciler.sweep()
    approval = await ask(rig, uuid)
    rig.observer.mismatches = []
    await rig.service.quarantine.retry(uuid, "ann")
    await rig.drain()
    assert (await rig.wipe_of(uuid)).step is WipeStep.RELEASED
    await rig.reconciler.sweep()
    assert (await rig.service.approvals.get(approval.id)).state is ApprovalState.WITHDRAWN
    with pytest.raises(RefusedError):
        await disposed(rig, uuid, approval)
    assert (await rig.wipe_of(uuid)).step is WipeStep.RELEASED


async def test_a_held_phone_is_not_disposed_of(rig: Rig) -> None:
    """It is kept: neither asked for nor agreed to."""
    uuid = await quarantined(rig)
    approval = await ask(rig, uuid)
    await rig.service.holds.add(uuid=uuid, authority="Court", reference="1 O 1", ground="litigation", until=None, person=ANN)
    assert await refused(rig, uuid, approval, BEN) == ("legal-hold",)
    with pytest.raises(RefusedError) as caught:
        await rig.service.quarantine.dispose(uuid, reason="x", reference="CASE-7", confirm="phone-1", person=ANN)
    assert caught.value.codes == ("legal-hold",)


async def test_a_crash_between_agreement_and_deed_loses_nothing(rig: Rig) -> None:
    """Said again by the same person it is done; a third time nothing more happens."""
    uuid = await quarantined(rig)
    approval = await ask(rig, uuid)
    await rig.world.ledger.approvals.agree(approval.id, BEN.name, rig.clock.now(), fingerprint=approval.fingerprint)
    assert (await rig.wipe_of(uuid)).step is WipeStep.QUARANTINED
    assert (await disposed(rig, uuid, approval)).step is WipeStep.DISPOSED
    assert (await disposed(rig, uuid, approval)).step is WipeStep.DISPOSED
    assert [entry.kind for entry in await rig.ledger.audit.entries()].count("disposed") == 1


async def test_only_what_waits_in_quarantine_is_disposed_of(rig: Rig) -> None:
    """A phone that is merely due is wiped, not disposed of."""
    uuid = rig.host.add_phone(1)
    await rig.begun(uuid)
    with pytest.raises(InputError):
        await ask(rig, uuid)
