"""Wipes without proof: tried again, or disposed of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.contract.ledger import begun, bind, phone_state, quarantined
from tests.fakes.clock import START
from tests.unit.attest.samples import EVIDENCE, MAP, RESULTS
from tests.unit.record.rig import BOB, PHONE, Rig, domain, yes
from wiped.errors import InvariantError, NotFoundError, RefusedError
from wiped.model.records import ArtefactState, CertificateRecord, WipeRecord, WipeStep
from wiped.model.subscription import State
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


async def test_quarantine_and_the_next_attempt(ledger: Ledger) -> None:
    """Left in place; retried when asked; the next last word counts an attempt."""
    await begun(ledger)
    await ledger.wipes.last_word("w-1", START, yes)
    await ledger.artefacts.record_erased("w-1", RESULTS["a1"])
    await ledger.artefacts.record_evidence("w-1", replace(EVIDENCE["a1"], mismatches=2), proven=False)
    incident = CertificateRecord("i-1", "w-1", PHONE, "incident", START, b"incident")
    later = START + timedelta(minutes=5)
    await ledger.verdicts.judge("w-1", outcome="not-sanitized", reasons=("readback-mismatch",), residuals=(), certificate=incident, now=START, retry_at=later)
    wipe = await ledger.wipes.get("w-1")
    assert wipe is not None
    assert (wipe.step, wipe.retry_at, wipe.attempt, wipe.reasons) == (WipeStep.QUARANTINED, later, 1, ("readback-mismatch",))
    assert {item.state for item in wipe.artefacts} == {ArtefactState.LEFT}
    assert await phone_state(ledger) is State.QUARANTINED
    await ledger.quarantine.retry_now("w-1", START, "op")
    await ledger.wipes.last_word("w-1", START, yes)
    wipe = await ledger.wipes.get("w-1")
    assert wipe is not None
    assert (wipe.step, wipe.attempt) == (WipeStep.ERASING, 2)


async def test_disposal_takes_two_different_people(ledger: Ledger) -> None:
    """Nobody disposes of a wipe alone; then the wipe has ended without proof, and nobody is bound to the phone again."""
    await quarantined(ledger)
    incident = CertificateRecord("i-1", "w-1", PHONE, "incident", START, b"{}")
    for operator, approver in (("ann", "ann"), ("ann", ""), ("", "ben")):
        with pytest.raises(InvariantError):
            await ledger.quarantine.dispose("w-1", incident, START, operator=operator, approver=approver)
    assert await phone_state(ledger) is State.QUARANTINED
    with pytest.raises(InvariantError):
        await ledger.quarantine.dispose("w-1", replace(incident, kind="certificate"), START, operator="ann", approver="ben")
    for _ in range(2):
        await ledger.quarantine.dispose("w-1", incident, START, operator="ann", approver="ben")
    assert [(entry.body["operator"], entry.body["approver"]) for entry in await ledger.audit.entries() if entry.kind == "disposed"] == [("ann", "ben")]
    wipe = await ledger.wipes.get("w-1")
    assert wipe is not None
    assert (wipe.step, wipe.outcome, wipe.certificate_id) == (WipeStep.DISPOSED, "not-sanitized", "i-1")
    assert await phone_state(ledger) is State.DISPOSED
    assert await ledger.wipes.find(unfinished=True) == ()
    with pytest.raises(RefusedError):
        await bind(ledger, account=BOB, number="s-9", days=400)
    await ledger.phones.see([], START)
    await ledger.phones.see([domain()], START)
    assert await phone_state(ledger) is State.DISPOSED
