"""How a wipe ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.contract.ledger import begun, phone_state, wipe_step
from tests.fakes.clock import START
from tests.unit.attest.samples import EVIDENCE, RESULTS
from tests.unit.record.rig import PHONE, Rig, decision, yes
from wiped.errors import InvariantError
from wiped.model.records import ArtefactState, CertificateRecord, Trigger, WipeRecord, WipeStep
from wiped.model.subscription import State, WipeRequest
from wiped.ports.ledger import Ledger


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


BEFORE = [WipeStep.FENCED, WipeStep.STOPPED, WipeStep.LOCKED, WipeStep.REOBSERVED]


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


async def test_the_way_to_the_end(ledger: Ledger) -> None:
    """Erased, proven, removed, judged, released."""
    await begun(ledger)
    await ledger.wipes.last_word("w-1", START, yes)
    for artefact in ("a1", "a2"):
        await ledger.artefacts.record_erased("w-1", RESULTS[artefact])
        await ledger.artefacts.record_evidence("w-1", EVIDENCE[artefact], proven=True)
        await ledger.artefacts.record_removed("w-1", artefact)
    wipe = await ledger.wipes.get("w-1")
    assert wipe is not None
    assert [(item.state, item.result, item.evidence) for item in wipe.artefacts] == [(ArtefactState.REMOVED, RESULTS[a], EVIDENCE[a]) for a in ("a1", "a2")]
    certificate = CertificateRecord("c-1", "w-1", PHONE, "certificate", START, b"envelope")
    await ledger.verdicts.judge("w-1", outcome="clear", reasons=(), residuals=(), certificate=certificate, now=START, retry_at=None)
    assert (await wipe_step(ledger), await phone_state(ledger)) == (WipeStep.JUDGED, State.WIPED)
    assert await ledger.certificates.get("c-1") == await ledger.certificates.get("w-1") == certificate
    for _ in range(2):
        await ledger.verdicts.finish("w-1", WipeStep.RELEASED, START)
    assert (await wipe_step(ledger), await phone_state(ledger)) == (WipeStep.RELEASED, State.RELEASED)
    assert await ledger.wipes.find(unfinished=True) == ()


async def test_cancelled(ledger: Ledger) -> None:
    """The end before the last word."""
    await begun(ledger)
    await ledger.verdicts.finish("w-1", WipeStep.CANCELLED, START)
    assert await wipe_step(ledger) is WipeStep.CANCELLED
    assert (await ledger.wipes.begin(PHONE, "w-2", Trigger("expiry"), START)).id == "w-2"
