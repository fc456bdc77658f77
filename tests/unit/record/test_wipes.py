"""Wipes: their steps, and the invariants that a memory keeps whatever its caller does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.attest.samples import EVIDENCE, MAP, RESULTS
from tests.unit.record.rig import OTHER, PHONE, Rig, decision, domain, no, record, rig_in, yes
from wiped.errors import InputError, InvariantError, NotFoundError
from wiped.model.plan import Refusal, RefusalCode
from wiped.model.records import ArtefactState, CertificateRecord, Trigger, WipeRecord, WipeStep
from wiped.model.subscription import Action, LifecycleFacts, State, WipeRequest

TRIGGER = Trigger("expiry", "service-ended", "T-1", "2026-03-01T11:00:00Z", "default", "daemon", "approver")
BEFORE = [WipeStep.FENCED, WipeStep.STOPPED, WipeStep.LOCKED, WipeStep.REOBSERVED]


async def wipe(rig: Rig, wipe_id: str = "w-1") -> WipeRecord:
    """The wipe as the ledger has it."""
    found = await rig.ledger.wipes.get(wipe_id)
    assert found is not None
    return found


async def state(rig: Rig) -> State:
    """The phone's state as the ledger has it."""
    found = await rig.ledger.phones.get(PHONE)
    assert found is not None
    return found.state


async def test_a_second_unfinished_wipe_is_never_made(rig: Rig) -> None:
    """The first is returned, whatever its step; after its end another may begin."""
    await rig.ledger.phones.see([domain()], rig.now)
    await rig.bind()
    first = await rig.ledger.wipes.begin(PHONE, "w-1", TRIGGER, rig.now)
    assert (first.step, first.trigger, first.generation, first.name) == (WipeStep.QUEUED, TRIGGER, 1, "phone-1")
    assert (await rig.ledger.wipes.begin(PHONE, "w-2", Trigger("manual"), rig.now)).id == "w-1"
    await rig.ledger.verdicts.finish("w-1", WipeStep.CANCELLED, rig.now)
    assert (await rig.ledger.wipes.begin(PHONE, "w-3", Trigger("manual"), rig.now)).id == "w-3"
    assert [item.id for item in await rig.ledger.wipes.find()] == ["w-3", "w-1"]
    assert [item.id for item in await rig.ledger.wipes.find(unfinished=True)] == ["w-3"]
    assert await rig.ledger.wipes.find(OTHER) == ()
    with pytest.raises(NotFoundError):
        await rig.ledger.wipes.begin(OTHER, "w-4", TRIGGER, rig.now)


async def test_the_intent_comes_back_whole(rig: Rig) -> None:
    """I8: plan, snapshot, seeds, rename targets, ranges, what the domain was."""
    await rig.begun()
    found = await wipe(rig)
    assert found.plan == rig.plan(PHONE, 1)
    assert (found.snapshot, found.was_running, found.was_autostart, found.step) == ({"form": 1}, True, True, WipeStep.REOBSERVED)
    assert found.artefacts == tuple(replace(item, map_digest=MAP) for item in rig.artefacts("w-1"))
    assert await rig.ledger.artefacts.saved_ranges("w-1", "a1") == (b"one", b"two")
    assert "seed=Secret(***)" in repr(found)


async def test_file_names_that_are_not_utf8_survive(rig: Rig) -> None:
    """Lone surrogates, as `os.fsdecode` makes them."""
    await rig.begun()
    odd = "/srv/phones/\udcff\udc80.img"
    plan = rig.plan(PHONE, 1)
    plan = replace(plan, steps=tuple(replace(step, location=odd) for step in plan.steps))
    artefacts = [replace(item, location=odd) for item in rig.artefacts("w-1")]
    await rig.ledger.wipes.record_intent("w-1", plan, {"form": 1}, artefacts, was_running=False, was_autostart=False, now=rig.now)
    found = await wipe(rig)
    assert found.plan == plan
    assert [item.location for item in found.artefacts] == [odd, odd]


async def test_an_intent_may_be_made_again_until_the_last_word(rig: Rig) -> None:
    """I1: a re-plan replaces it and its ranges; after the last word it is frozen."""
    await rig.begun()
    new = [replace(item, rename_to=".new") for item in rig.artefacts("w-1")]
    again: dict[str, Any] = {"was_running": False, "was_autostart": False, "now": rig.now}
    await rig.ledger.wipes.record_intent("w-1", rig.plan(PHONE, 1), {"form": 2}, new, **again)
    found = await wipe(rig)
    assert (found.step, found.snapshot, {item.rename_to for item in found.artefacts}) == (WipeStep.INTENT, {"form": 2}, {".new"})
    assert await rig.ledger.artefacts.saved_ranges("w-1", "a1") == ()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    with pytest.raises(InvariantError, match="I1"):
        await rig.ledger.wipes.record_intent("w-1", rig.plan(PHONE, 1), {"form": 3}, new, **again)
    assert (await wipe(rig)).snapshot == {"form": 2}


async def test_an_intent_must_fit_its_wipe(rig: Rig) -> None:
    """Another phone's plan, another generation's, one with refusals, artefacts that are not the plan's."""
    await rig.begun()
    again: dict[str, Any] = {"was_running": False, "was_autostart": False, "now": rig.now}
    good, artefacts = rig.plan(PHONE, 1), rig.artefacts("w-1")
    bad = [
        (rig.plan(OTHER, 1), artefacts),
        (rig.plan(PHONE, 2), artefacts),
        (replace(good, refusals=(Refusal(RefusalCode.SHARED_BY_DOMAIN, "/x", ""),)), artefacts),
        (good, artefacts[:1]),
    ]
    for plan, records in bad:
        with pytest.raises(InvariantError):
            await rig.ledger.wipes.record_intent("w-1", plan, {}, records, **again)
    with pytest.raises(InputError):
        await rig.ledger.wipes.record_intent("w-1", good, {"float": 1.5}, artefacts, **again)
    assert (await wipe(rig)).step is WipeStep.REOBSERVED


@pytest.mark.parametrize("step", [WipeStep.ERASING, WipeStep.JUDGED, WipeStep.QUARANTINED, WipeStep.RELEASED, WipeStep.CANCELLED])
async def test_advance_never_writes_what_others_write(rig: Rig, step: WipeStep) -> None:
    """I7: ERASING is the last word's alone, verdicts are `judge`'s, ends are `finish`'s."""
    await rig.begun()
    with pytest.raises(InvariantError):
        await rig.ledger.wipes.advance("w-1", step, rig.now)
    assert (await wipe(rig)).step is WipeStep.REOBSERVED


async def test_no_step_of_the_hands_before_the_last_word(rig: Rig) -> None:
    """I7: not verifying, not removing, no result, no evidence, no removal, no verdict."""
    await rig.begun()
    for step in (WipeStep.VERIFYING, WipeStep.REMOVING):
        with pytest.raises(InvariantError, match="I7"):
            await rig.ledger.wipes.advance("w-1", step, rig.now)
    with pytest.raises(InvariantError, match="I7"):
        await rig.ledger.artefacts.record_erased("w-1", RESULTS["a1"])
    with pytest.raises(InvariantError, match="I7"):
        await rig.ledger.artefacts.record_evidence("w-1", EVIDENCE["a1"], proven=False)
    with pytest.raises(InvariantError, match="I7"):
        await rig.ledger.artefacts.record_removed("w-1", "a1")
    with pytest.raises(InvariantError, match="I4"):
        await rig.judge()


async def test_nothing_goes_back_past_the_last_word(rig: Rig) -> None:
    """A resumed attempt tells its early steps again: audited, and ERASING stays."""
    await rig.begun()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    for step in BEFORE:
        await rig.ledger.wipes.advance("w-1", step, rig.now)
        assert (await wipe(rig)).step is WipeStep.ERASING
    assert (await rig.kinds()).count("step") == 2 * len(BEFORE)
    with pytest.raises(InvariantError, match="I7"):
        await rig.ledger.verdicts.finish("w-1", WipeStep.CANCELLED, rig.now)


async def test_the_last_word_writes_only_what_was_decided(rig: Rig) -> None:
    """No: nothing changes. Yes: ERASING, and the phone with it. It reads everything anew."""
    await rig.begun()
    await rig.bind(record(days=90))
    seen: list[LifecycleFacts] = []

    def look(facts: LifecycleFacts) -> Any:
        seen.append(facts)
        return no(facts)

    assert (await rig.ledger.wipes.last_word("w-1", rig.now, look)).action is Action.NONE
    term = await rig.ledger.subscriptions.get(PHONE)
    assert term is not None
    assert (seen[0].subscription, seen[0].uuid, seen[0].generation) == (term, PHONE, 1)
    assert ((await wipe(rig)).step, await state(rig)) == (WipeStep.REOBSERVED, State.UNBOUND)
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    assert ((await wipe(rig)).step, await state(rig)) == (WipeStep.ERASING, State.ERASING)
    assert [entry.body["erase"] for entry in await rig.ledger.audit.entries() if entry.kind == "last-word"] == [False, True]


async def test_a_decision_that_fails_writes_nothing(rig: Rig) -> None:
    """An exception in `decide` rolls everything back, and the ledger goes on."""
    await rig.begun()
    kinds = await rig.kinds()

    def fail(_: LifecycleFacts) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await rig.ledger.wipes.last_word("w-1", rig.now, fail)
    assert ((await wipe(rig)).step, await rig.kinds()) == (WipeStep.REOBSERVED, kinds)
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)


async def test_no_last_word_without_an_intent(rig: Rig) -> None:
    """I1: nothing is overwritten without one."""
    await rig.ledger.phones.see([domain()], rig.now)
    await rig.bind()
    await rig.ledger.wipes.begin(PHONE, "w-1", TRIGGER, rig.now)
    with pytest.raises(InvariantError, match="I1"):
        await rig.ledger.wipes.last_word("w-1", rig.now, yes)


async def test_no_last_word_for_another_generation(rig: Rig) -> None:
    """A wipe that was cancelled or ended has none; its phone is another customer's now."""
    await rig.released()
    with pytest.raises(InvariantError, match="I7"):
        await rig.ledger.wipes.last_word("w-1", rig.now, yes)


async def test_the_way_of_an_artefact(rig: Rig) -> None:
    """pending, erased, proven, removed; each with what was said of it."""
    await rig.begun()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    await rig.ledger.artefacts.record_erased("w-1", RESULTS["a1"])
    first = (await wipe(rig)).artefacts[0]
    assert (first.state, first.result, first.evidence) == (ArtefactState.ERASED, RESULTS["a1"], None)
    await rig.ledger.wipes.advance("w-1", WipeStep.VERIFYING, rig.now)
    assert await state(rig) is State.VERIFYING
    await rig.ledger.artefacts.record_evidence("w-1", EVIDENCE["a1"], proven=True)
    first = (await wipe(rig)).artefacts[0]
    assert (first.state, first.evidence) == (ArtefactState.PROVEN, EVIDENCE["a1"])
    await rig.ledger.wipes.advance("w-1", WipeStep.REMOVING, rig.now)
    for _ in range(2):
        await rig.ledger.artefacts.record_removed("w-1", "a1")
    assert [item.state for item in (await wipe(rig)).artefacts] == [ArtefactState.REMOVED, ArtefactState.PENDING]
    assert (await rig.kinds()).count("removed") == 1


async def test_no_removal_before_proof(rig: Rig) -> None:
    """I3: pending, erased, left."""
    await rig.begun()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    with pytest.raises(InvariantError, match="I3"):
        await rig.ledger.artefacts.record_removed("w-1", "a1")
    await rig.ledger.artefacts.record_erased("w-1", RESULTS["a1"])
    with pytest.raises(InvariantError, match="I3"):
        await rig.ledger.artefacts.record_removed("w-1", "a1")
    await rig.ledger.artefacts.record_evidence("w-1", replace(EVIDENCE["a1"], mismatches=3), proven=False)
    with pytest.raises(InvariantError, match="I3"):
        await rig.ledger.artefacts.record_removed("w-1", "a1")
    assert (await wipe(rig)).artefacts[0].state is ArtefactState.LEFT


async def test_no_proof_without_erasure_or_with_a_reason(rig: Rig) -> None:
    """I3: evidence for what was not erased, with mismatches, with reasons; results for what was proven or is in no intent."""
    await rig.begun()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    with pytest.raises(InvariantError, match="I3"):
        await rig.ledger.artefacts.record_evidence("w-1", EVIDENCE["a1"], proven=True)
    await rig.ledger.artefacts.record_erased("w-1", RESULTS["a1"])
    for bad in (replace(EVIDENCE["a1"], mismatches=1), replace(EVIDENCE["a1"], reasons=("io-error",))):
        with pytest.raises(InvariantError, match="I3"):
            await rig.ledger.artefacts.record_evidence("w-1", bad, proven=True)
    await rig.ledger.artefacts.record_evidence("w-1", EVIDENCE["a1"], proven=True)
    with pytest.raises(InvariantError, match="I3"):
        await rig.ledger.artefacts.record_erased("w-1", RESULTS["a1"])
    with pytest.raises(InvariantError, match="I1"):
        await rig.ledger.artefacts.save_ranges("w-1", "a1", [b"other"], "00" * 32)
    with pytest.raises(InvariantError, match="I1"):
        await rig.ledger.artefacts.record_erased("w-1", replace(RESULTS["a1"], artefact_id="a9"))


async def test_a_good_verdict_needs_everything_proven(rig: Rig) -> None:
    """I4: one artefact short, no certificate, an incident for one, a reason, an unknown word."""
    await rig.begun()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    await rig.ledger.artefacts.record_erased("w-1", RESULTS["a1"])
    await rig.ledger.artefacts.record_evidence("w-1", EVIDENCE["a1"], proven=True)
    with pytest.raises(InvariantError, match="I4"):
        await rig.judge()
    await rig.ledger.artefacts.record_erased("w-1", RESULTS["a2"])
    await rig.ledger.artefacts.record_evidence("w-1", EVIDENCE["a2"], proven=True)
    certificate = CertificateRecord("c", "w-1", PHONE, "certificate", rig.now, b"x")
    base: dict[str, Any] = {"outcome": "clear", "reasons": (), "residuals": (), "certificate": certificate, "now": rig.now, "retry_at": None}
    for changes in ({"certificate": None}, {"certificate": replace(certificate, kind="incident")}, {"reasons": ("io-error",)}, {"outcome": "clean"}):
        with pytest.raises(InvariantError, match="I4"):
            await rig.ledger.verdicts.judge("w-1", **{**base, **changes})
    await rig.ledger.verdicts.judge("w-1", **base)
    assert ((await wipe(rig)).step, await state(rig)) == (WipeStep.JUDGED, State.WIPED)


async def test_judged_and_released(rig: Rig) -> None:
    """Verdict, certificate and audit entry together; then the end: idempotent, ranges gone, requests closed."""
    await rig.proven()
    await rig.ledger.requests.add(PHONE, WipeRequest("r-1", "manual", "", rig.now), reference="", reason="", operator="op")
    with pytest.raises(InvariantError, match="I3"):
        await rig.ledger.verdicts.finish("w-1", WipeStep.RELEASED, rig.now)
    await rig.judge()
    certificate = await rig.ledger.certificates.get("c-w-1")
    assert certificate == CertificateRecord("c-w-1", "w-1", PHONE, "certificate", rig.now, b"envelope")
    assert await rig.ledger.certificates.get("w-1") == certificate
    assert await rig.ledger.certificates.get("no-such") is None
    found = await wipe(rig)
    assert (found.outcome, found.residuals, found.certificate_id, found.finished_at) == ("clear", ("sampled",), "c-w-1", rig.now)
    await rig.ledger.phones.mark(PHONE, fenced=True, refusals=["in-use"])
    rig.clock.move(60)
    for _ in range(2):
        await rig.ledger.verdicts.finish("w-1", WipeStep.RELEASED, rig.now)
    phone = await rig.ledger.phones.get(PHONE)
    facts = await rig.ledger.decisions.facts(PHONE, rig.now)
    assert phone is not None
    assert facts is not None
    assert (phone.state, phone.fenced, phone.refusals, facts.requests) == (State.RELEASED, False, (), ())
    assert await rig.ledger.artefacts.saved_ranges("w-1", "a1") == ()
    assert (await rig.kinds()).count("finished") == 1
    assert await rig.ledger.wipes.find(unfinished=True) == ()
    told = [entry.body for entry in await rig.ledger.audit.entries() if entry.kind == "judged"]
    assert (told[0]["outcome"], told[0]["certificate_id"], len(told[0]["certificate_sha256"])) == ("clear", "c-w-1", 64)


async def test_quarantine_and_its_ways(rig: Rig) -> None:
    """Not proven: left in place, retried when asked; each attempt counts once, whether it reached its last word or not."""
    await rig.begun()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    await rig.ledger.artefacts.record_erased("w-1", replace(RESULTS["a1"], reasons=("io-error",)))
    retry_at = rig.now + timedelta(minutes=5)
    await rig.quarantine(retry_at=retry_at)
    found = await wipe(rig)
    assert (found.step, found.retry_at, found.attempt, found.reasons, await state(rig)) == (
        WipeStep.QUARANTINED,
        retry_at,
        1,
        ("io-error",),
        State.QUARANTINED,
    )
    assert {item.state for item in found.artefacts} == {ArtefactState.LEFT}
    rig.clock.move(60)
    await rig.ledger.quarantine.retry_now("w-1", rig.now, "op")
    assert (await wipe(rig)).retry_at == rig.now
    rig.clock.move(60)
    await rig.quarantine(reason="image-in-use")
    assert (await wipe(rig)).attempt == 2
    await rig.ledger.artefacts.save_ranges("w-1", "a2", [b"three"], MAP)
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    again = await wipe(rig)
    assert (again.step, again.attempt, again.retry_at, again.finished_at) == (WipeStep.ERASING, 3, None, None)
    newest = await rig.ledger.certificates.get("w-1")
    assert newest is not None
    assert newest.id == again.certificate_id
    with pytest.raises(NotFoundError):
        await rig.ledger.quarantine.retry_now("w-1", rig.now, "op")


async def test_a_verdict_without_a_record_keeps_the_last_one(rig: Rig) -> None:
    """The same reasons again need no second incident record."""
    await rig.begun()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    await rig.quarantine()
    first = (await wipe(rig)).certificate_id
    await rig.ledger.verdicts.judge("w-1", outcome="not-sanitized", reasons=("io-error",), residuals=(), certificate=None, now=rig.now, retry_at=None)
    assert (await wipe(rig)).certificate_id == first


async def test_cancelled_before_the_last_word(rig: Rig) -> None:
    """The end, and the phone waits for a decision; nothing more may be told of it."""
    await rig.begun()
    await rig.ledger.decisions.conclude(PHONE, decision(State.DUE), rig.now)
    await rig.ledger.verdicts.finish("w-1", WipeStep.CANCELLED, rig.now)
    assert (await wipe(rig)).finished_at == rig.now
    assert PHONE in await rig.ledger.decisions.due(rig.now)
    for step in BEFORE:
        with pytest.raises(InvariantError):
            await rig.ledger.wipes.advance("w-1", step, rig.now)
    with pytest.raises(InvariantError):
        await rig.ledger.verdicts.finish("w-1", WipeStep.RELEASED, rig.now)
    with pytest.raises(InvariantError):
        await rig.ledger.verdicts.finish("w-1", WipeStep.JUDGED, rig.now)


async def test_nothing_of_a_file_or_a_seed_is_in_the_audit_log(rig: Rig) -> None:
    """Locations hold customers' names here; seeds would tell the keystream; details are dropped whoever hands them in."""
    await rig.released()
    await rig.ledger.audit.note(
        "refused", {"uuid": PHONE, "location": "/srv/Li-Wei", "deep": [{"detail": "Li Wei", "code": "x"}], "codes": {"b", "a"}}, rig.now
    )
    told = str(await rig.ledger.audit.entries())
    for secret in ("/srv", "Wei", bytes([1] * 32).hex(), ".wiped-"):
        assert secret not in told
    assert (await rig.ledger.audit.entries())[-1].body == {"uuid": PHONE, "deep": [{"code": "x"}], "codes": ["a", "b"]}


async def test_every_prefix_survives_a_restart(rig: Rig) -> None:
    """After each call the ledger is closed and opened again: the next call finds what it needs (I8)."""
    await rig.begun()
    await rig.ledger.close()
    rig.salts.close()

    async def again(call: Any) -> None:
        async with rig_in(rig.folder) as opened:
            await call(opened)
            await opened.ledger.audit.verify()

    await again(lambda r: r.ledger.wipes.last_word("w-1", r.now, yes))
    for artefact in ("a1", "a2"):
        await again(lambda r, a=artefact: r.ledger.artefacts.record_erased("w-1", RESULTS[a]))
        await again(lambda r, a=artefact: r.ledger.artefacts.record_evidence("w-1", EVIDENCE[a], proven=True))
        await again(lambda r, a=artefact: r.ledger.artefacts.record_removed("w-1", a))
    await again(lambda r: r.judge())
    await again(lambda r: r.ledger.verdicts.finish("w-1", WipeStep.RELEASED, r.now))
    async with rig_in(rig.folder) as last:
        assert (await wipe(last)).step is WipeStep.RELEASED
