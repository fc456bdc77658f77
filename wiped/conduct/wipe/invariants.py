"""I1 to I8 (docs/design.md, "The invariants"), as code: each raises InvariantError before the call that would break it.

I8 (the ledger alone is enough) is the shape of `execute`: it takes nothing over from one run to the next but a wipe's id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from wiped.decide.verdict import artefact_proven
from wiped.errors import InvariantError
from wiped.model.inventory import ArtefactKind
from wiped.model.outcome import Outcome, Verdict
from wiped.model.plan import Plan, Step
from wiped.model.records import ArtefactRecord, ArtefactState, WipeRecord, WipeStep

_SEED_BYTES = 32
#: The steps at which bytes may be changed: after the last word, before the verdict.
_HANDS = frozenset({WipeStep.ERASING, WipeStep.VERIFYING, WipeStep.REMOVING})


def intent_recorded(wipe: WipeRecord | None, step: Step) -> ArtefactRecord:
    """I1: plan, seed, rename target and ranges of this artefact are in the ledger, and the wipe is past its last word (I7)."""
    if wipe is None or wipe.plan is None or not wipe.snapshot_digest:
        raise InvariantError("I1", "no intent is recorded")
    if wipe.step not in _HANDS:
        raise InvariantError("I7", f"the wipe is at {wipe.step}: its last word is not spoken")
    record = next((item for item in wipe.artefacts if item.artefact_id == step.artefact_id), None)
    if record is None or len(record.seed.value) != _SEED_BYTES or not record.rename_to or not record.map_digest:
        raise InvariantError("I1", f"the intent of {step.artefact_id} is not complete")
    if not any(planned.artefact_id == step.artefact_id and planned.identity == step.identity for planned in wipe.plan.steps):
        raise InvariantError("I1", f"{step.artefact_id} is not in the recorded plan")
    return record


def lock_held(locked: Mapping[str, str], artefact_id: str) -> None:
    """I2: this very session holds the artefact's locks."""
    if locked.get(artefact_id) != "locked":
        raise InvariantError("I2", f"{artefact_id} is {locked.get(artefact_id, 'unknown')}, not locked")


def proven_before_removal(record: ArtefactRecord | None, step: Step) -> None:
    """I3: the ledger holds a result and an evidence that together prove this artefact."""
    if record is None or record.state is not ArtefactState.PROVEN or record.result is None or record.evidence is None:
        raise InvariantError("I3", f"{step.artefact_id} is not recorded as proven")
    reasons = artefact_proven(step, record.result, record.evidence)
    if reasons:
        raise InvariantError("I3", f"{step.artefact_id} is recorded as proven, but: {', '.join(reasons)}")


def worth_a_certificate(plan: Plan, verdict: Verdict, artefacts: Sequence[ArtefactRecord]) -> None:
    """I4: `clear` or `purge` only with passed evidence for every artefact of the plan, each of them removed."""
    if verdict.outcome is Outcome.NOT_SANITIZED:
        return
    records = {record.artefact_id: record for record in artefacts}
    if plan.refusals or not plan.steps:
        raise InvariantError("I4", "a plan with refusals or without steps cannot be certified")
    for step in plan.steps:
        record = records.get(step.artefact_id)
        if record is None or record.state is not ArtefactState.REMOVED or record.result is None or record.evidence is None:
            raise InvariantError("I4", f"{step.artefact_id} has no evidence or was not removed")
        if artefact_proven(step, record.result, record.evidence):
            raise InvariantError("I4", f"the evidence of {step.artefact_id} does not prove it")


def alone(plan: Plan, step: Step) -> None:
    """I5, the daemon's part: no plan with refusals is executed, no retained file is touched. The eraser finds out by itself whose a file is."""
    if plan.refusals:
        raise InvariantError("I5", "a plan with refusals is never executed")
    if any(kept.identity == step.identity or kept.location == step.location for kept in plan.retained):
        raise InvariantError("I5", f"{step.artefact_id} is also retained")
    # A block device is known by its number; its inode is zero.
    number = step.identity.device if step.kind is ArtefactKind.BLOCK_DEVICE else step.identity.inode
    if step.filesystem.fs_type == "" or number == 0:
        raise InvariantError("I5", f"{step.artefact_id} is not identified")


def fence_stands(standing: Collection[str], uuid: str) -> None:
    """I6: the fence file is there."""
    if uuid not in standing:
        raise InvariantError("I6", f"no fence stands for {uuid}")
