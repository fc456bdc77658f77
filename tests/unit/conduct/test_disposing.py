"""Out of quarantine without proof: two different people, one reference, and everything stays in place."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from wiped.attest.signing import open_envelope
from wiped.conduct.endings import Ending
from wiped.conduct.settling import Settling
from wiped.errors import HypervisorError, InputError, RefusedError
from wiped.model.records import WipeRecord, WipeStep
from wiped.model.subscription import Hold, State

ANN = {"operator": "ann", "uid": 1001, "may_approve": False}
BEN = {"operator": "ben", "uid": 1002, "may_approve": True}


async def quarantined(rig: Rig) -> str:
    """A phone whose storage never proves anything."""
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    rig.observer.mismatches = [1] * 10
    assert await rig.run(wipe.id) is Ending.QUARANTINED
    return uuid


async def ask(rig: Rig, uuid: str, who: dict[str, object], **changes: str) -> WipeRecord:
    """`wipectl quarantine dispose`."""
    service: Settling = rig.service
    words = {"reason": "the disk burnt", "reference": "CASE-7", "confirm": "phone-1", **changes}
    return await service.dispose(uuid, **words, **who)  # type: ignore[arg-type]


async def refused(rig: Rig, uuid: str, who: dict[str, object], **changes: str) -> tuple[str, ...]:
    """The codes of a refusal, after which the wipe waits as before."""
    with pytest.raises(RefusedError) as caught:
        await ask(rig, uuid, who, **changes)
    assert (await rig.wipe_of(uuid)).step is WipeStep.QUARANTINED
    return caught.value.codes


async def test_the_second_person_carries_it_out() -> None:
    """State `disposed`, outcome as it was, an incident record that says who accepted what; files, domain and fence stay."""
    rig = Rig()
    uuid = await quarantined(rig)
    before = dict(rig.host.names)
    assert await refused(rig, uuid, ANN) == ("needs-approval",)
    wipe = await ask(rig, uuid, BEN)
    assert (wipe.step, wipe.outcome, wipe.reasons) == (WipeStep.DISPOSED, "not-sanitized", ("readback-mismatch",))
    phone = await rig.ledger.phone(uuid)
    assert phone is not None
    assert (phone.state, phone.fenced) == (State.DISPOSED, True)
    assert rig.host.names == before
    assert uuid in rig.host.machines
    with pytest.raises(HypervisorError):
        rig.host.start(uuid)
    record = await rig.ledger.certificate(wipe.id)
    assert record is not None
    told = open_envelope(record.envelope, rig.world.signer.public_pem)["predicate"]
    assert told["personnel"] == {"operator": "ann", "approver": "ben"}
    assert (told["disposal"]["reference"], told["disposal"]["accepted"]) == ("CASE-7", ["readback-mismatch"])
    assert told["overall"]["outcome"] == "not-sanitized"
    assert "burnt" not in repr(told)


async def test_nothing_begins_again_on_a_disposed_phone() -> None:
    """No sweep, no retry, no new customer; the fence is put up again where it is lost."""
    rig = Rig()
    uuid = await quarantined(rig)
    await refused(rig, uuid, ANN)
    await ask(rig, uuid, BEN)
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


async def test_the_fence_of_a_disposed_phone_ends_by_hand_after_its_domain() -> None:
    """Explained as it is done: while the domain is there a removed fence comes back; once it was undefined, it stays away."""
    rig = Rig()
    uuid = await quarantined(rig)
    await refused(rig, uuid, ANN)
    await ask(rig, uuid, BEN)
    reasons = (await rig.service.explain(uuid)).decision.reasons
    assert [(reason.code, "/var/lib/wiped/fence" in reason.detail, "undefine" in reason.detail) for reason in reasons] == [("is-disposed", True, True)]
    rig.host.fences.clear()
    await rig.reconciler.heal()
    assert uuid in rig.host.fences
    rig.host.fences.clear()  # the fence keeps its domain from starting, not from being undefined
    rig.host.undefine(uuid)
    await rig.reconciler.sweep()
    await rig.reconciler.heal()
    phone = await rig.ledger.phone(uuid)
    assert phone is not None
    assert (rig.host.fences, phone.fenced, phone.state) == ({}, False, State.DISPOSED)


@pytest.mark.parametrize(
    "second",
    [
        ANN,
        {"operator": "ann", "uid": 1009, "may_approve": True},
        {"operator": "ann-too", "uid": 1001, "may_approve": True},
        {"operator": "cid", "uid": 1003, "may_approve": False},
        {"operator": "root", "uid": 0, "may_approve": False},
    ],
)
async def test_who_cannot_be_the_second_person(second: dict[str, object]) -> None:
    """The first one again, under another name or uid; without the approver's role; root."""
    rig = Rig()
    uuid = await quarantined(rig)
    await refused(rig, uuid, ANN)
    assert await refused(rig, uuid, second) == ("needs-approval",)
    assert (await ask(rig, uuid, BEN)).step is WipeStep.DISPOSED


async def test_both_people_mean_the_same_decision() -> None:
    """Another reference, another name typed: refused, and the wish stands."""
    rig = Rig()
    uuid = await quarantined(rig)
    assert await refused(rig, uuid, ANN, confirm="phone-2") == ("wrong-confirmation",)
    await refused(rig, uuid, ANN)
    assert await refused(rig, uuid, BEN, reference="CASE-8") == ("needs-approval",)
    assert await refused(rig, uuid, BEN, confirm="phone-2") == ("wrong-confirmation",)
    for empty in ("reason", "reference"):
        with pytest.raises(InputError):
            await ask(rig, uuid, BEN, **{empty: "  "})
    assert (await ask(rig, uuid, BEN)).step is WipeStep.DISPOSED


async def test_a_held_phone_is_not_disposed_of() -> None:
    """It is kept."""
    rig = Rig()
    uuid = await quarantined(rig)
    await refused(rig, uuid, ANN)
    await rig.ledger.add_hold(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
    assert await refused(rig, uuid, BEN) == ("legal-hold",)


async def test_only_what_waits_in_quarantine_is_disposed_of() -> None:
    """A phone that is merely due is wiped, not disposed of."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.begun(uuid)
    with pytest.raises(InputError):
        await ask(rig, uuid, ANN)
