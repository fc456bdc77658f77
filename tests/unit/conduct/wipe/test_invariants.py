"""I1 to I7 as code: each check lets the true case through and stops every false one before the call that would have broken it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.conduct.rig import Rig
from wiped.conduct.wipe import invariants
from wiped.decide.verdict import judge
from wiped.errors import InvariantError
from wiped.model.inventory import ArtefactKind, FileIdentity
from wiped.model.outcome import Verdict
from wiped.model.plan import Plan, Refusal, RefusalCode, Retained, Step
from wiped.model.records import ArtefactRecord, ArtefactState, Secret, WipeRecord, WipeStep


async def finished() -> tuple[WipeRecord, Plan, Step, ArtefactRecord]:
    """A wipe that ended well, its plan, its first step, and that step's record."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.run(wipe.id)
    wipe = await rig.wipe_of(uuid)
    assert wipe.plan is not None
    return wipe, wipe.plan, wipe.plan.steps[0], wipe.artefacts[0]


def stopped(invariant: str, call: Callable[[], object]) -> None:
    """The check says no, by its number."""
    with pytest.raises(InvariantError) as caught:
        call()
    assert caught.value.invariant == invariant


async def test_nothing_is_overwritten_without_its_whole_intent() -> None:
    """I1 and I7: plan, snapshot, seed, rename target, ranges, and a spoken last word."""
    wipe, plan, step, record = await finished()
    erasing = replace(wipe, step=WipeStep.ERASING)
    assert invariants.intent_recorded(erasing, step) == record
    stopped("I1", lambda: invariants.intent_recorded(None, step))
    stopped("I1", lambda: invariants.intent_recorded(replace(erasing, plan=None), step))
    stopped("I1", lambda: invariants.intent_recorded(replace(erasing, snapshot_digest=""), step))
    for before in (WipeStep.QUEUED, WipeStep.REOBSERVED, WipeStep.QUARANTINED, WipeStep.JUDGED, WipeStep.CANCELLED):
        stopped("I7", lambda before=before: invariants.intent_recorded(replace(wipe, step=before), step))  # type: ignore[misc]
    for broken in (replace(record, seed=Secret(b"short")), replace(record, rename_to=""), replace(record, map_digest="")):
        stopped("I1", lambda broken=broken: invariants.intent_recorded(replace(erasing, artefacts=(broken,)), step))  # type: ignore[misc]
    stopped("I1", lambda: invariants.intent_recorded(replace(erasing, artefacts=()), step))
    other = replace(step, identity=replace(step.identity, inode=7))
    stopped("I1", lambda: invariants.intent_recorded(erasing, other))
    stopped("I1", lambda: invariants.intent_recorded(replace(erasing, plan=replace(plan, steps=())), step))


def test_only_what_this_session_locked_is_overwritten() -> None:
    """I2."""
    invariants.lock_held({"a": "locked"}, "a")
    for locked in ({}, {"a": "renamed"}, {"a": "missing"}, {"b": "locked"}):
        stopped("I2", lambda locked=locked: invariants.lock_held(locked, "a"))  # type: ignore[misc]


async def test_only_what_is_recorded_and_really_proven_is_removed() -> None:
    """I3: the state alone is not believed: result and evidence are weighed again."""
    _, _, step, record = await finished()
    proven = replace(record, state=ArtefactState.PROVEN)
    assert proven.evidence is not None
    invariants.proven_before_removal(proven, step)
    stopped("I3", lambda: invariants.proven_before_removal(None, step))
    for state in (ArtefactState.PENDING, ArtefactState.ERASED, ArtefactState.LEFT, ArtefactState.REMOVED):
        stopped("I3", lambda state=state: invariants.proven_before_removal(replace(record, state=state), step))  # type: ignore[misc]
    for lie in (replace(proven.evidence, mismatches=1), replace(proven.evidence, via=""), replace(proven.evidence, map_digest="x")):
        stopped("I3", lambda lie=lie: invariants.proven_before_removal(replace(proven, evidence=lie), step))  # type: ignore[misc]
    stopped("I3", lambda: invariants.proven_before_removal(replace(proven, evidence=None), step))
    stopped("I3", lambda: invariants.proven_before_removal(replace(proven, result=None), step))


async def test_no_certificate_without_evidence_for_every_artefact() -> None:
    """I4: one artefact that is not removed, not evidenced or not proven, and there is no `clear`."""
    wipe, plan, _, record = await finished()
    rest = wipe.artefacts[1:]
    found: Verdict = judge(
        plan,
        {item.artefact_id: item.result for item in wipe.artefacts if item.result},
        {item.artefact_id: item.evidence for item in wipe.artefacts if item.evidence},
        {item.artefact_id for item in wipe.artefacts},
        (),
    )
    invariants.worth_a_certificate(plan, found, wipe.artefacts)
    assert record.evidence is not None
    for artefacts in (
        rest,
        (replace(record, state=ArtefactState.PROVEN), *rest),
        (replace(record, evidence=None), *rest),
        (replace(record, evidence=replace(record.evidence, mismatches=1)), *rest),
    ):
        stopped("I4", lambda artefacts=artefacts: invariants.worth_a_certificate(plan, found, artefacts))  # type: ignore[misc]
    refused = replace(plan, refusals=(Refusal(RefusalCode.SYMLINK, "", ""),))
    stopped("I4", lambda: invariants.worth_a_certificate(refused, found, wipe.artefacts))
    stopped("I4", lambda: invariants.worth_a_certificate(replace(plan, steps=()), found, ()))


async def test_nothing_retained_refused_or_unknown_is_touched() -> None:
    """I5, the daemon's part."""
    _, plan, step, _ = await finished()
    invariants.alone(plan, step)
    stopped("I5", lambda: invariants.alone(replace(plan, refusals=(Refusal(RefusalCode.SYMLINK, "", ""),)), step))
    stopped("I5", lambda: invariants.alone(replace(plan, retained=(Retained("/elsewhere", "golden-image", "", step.identity),)), step))
    stopped("I5", lambda: invariants.alone(replace(plan, retained=(Retained(step.location, "golden-image", ""),)), step))
    stopped("I5", lambda: invariants.alone(plan, replace(step, identity=replace(step.identity, inode=0))))
    volume = replace(step, kind=ArtefactKind.BLOCK_DEVICE, identity=FileIdentity(64768, 0))
    invariants.alone(plan, volume)
    stopped("I5", lambda: invariants.alone(plan, replace(volume, identity=FileIdentity(0, 0))))


def test_no_step_without_its_fence() -> None:
    """I6."""
    invariants.fence_stands(frozenset({"u"}), "u")
    stopped("I6", lambda: invariants.fence_stands(frozenset(), "u"))
