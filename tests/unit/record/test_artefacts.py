"""Artefacts of a wipe: results and removals need what came before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.attest.samples import EVIDENCE, RESULTS
from tests.unit.record.rig import PHONE, Rig, yes
from wiped.errors import InvariantError
from wiped.model.records import ArtefactState, WipeRecord, WipeStep
from wiped.model.subscription import State


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
