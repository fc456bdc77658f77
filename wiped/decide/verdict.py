"""(plan, results, evidence) -> outcome and reasons. Nothing is called `clear` here without evidence for every artefact (I4)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from wiped.decide import backoff
from wiped.decide.provable import provability_reasons
from wiped.model.inventory import ArtefactKind
from wiped.model.outcome import (
    RETRYABLE_REASONS,
    ArtefactOutcome,
    EraseResult,
    Evidence,
    Outcome,
    ReasonCode,
    ResidualCode,
    Verdict,
    Via,
)
from wiped.model.plan import Plan, RefusalCode, Step

#: FIEMAP flags that end the recipe (docs/physics.md 2, step 2), by the words of `storage.extents`. `delalloc` and `unknown` come and go while a phone runs:
#: they are no forecast; the eraser stops on them when the phone is off.
_FLAG_REASONS = {
    "shared": ReasonCode.EXTENT_SHARED,
    "encoded": ReasonCode.EXTENT_ENCODED,
    "data-encrypted": ReasonCode.EXTENT_ENCODED,
    "not-aligned": ReasonCode.EXTENT_UNKNOWN,
    "data-inline": ReasonCode.EXTENT_INLINE,
    "data-tail": ReasonCode.EXTENT_INLINE,
}

_BLOCK_READ = frozenset(str(via) for via in Via)

#: What a guard said after the last word is the reason itself, with one older word; all but a hold may change without a person's doing.
_REASON_OF_REFUSAL = {RefusalCode.IN_USE: ReasonCode.IMAGE_IN_USE}
_REFUSALS = frozenset(str(code) for code in RefusalCode)
_RETRYABLE_REFUSALS = frozenset(RefusalCode) - {RefusalCode.LEGAL_HOLD, RefusalCode.EXTENT_SHARED}

FIRST_RETRY = 300
LAST_RETRY = 86_400


def expected_reasons(step: Step) -> tuple[str, ...]:
    """Why this artefact cannot be proven where it lies, known before the first byte; () if nothing speaks against it.

    Such an artefact is not overwritten: on a copy-on-write or data-journalling filesystem the old blocks would stay, and could not be named any more.
    """
    reasons: set[str] = set(provability_reasons(step.filesystem))
    reasons.update(_FLAG_REASONS[flag] for flag in step.extents.flags if flag in _FLAG_REASONS)
    return tuple(sorted(str(reason) for reason in reasons))


def artefact_proven(step: Step, result: EraseResult, evidence: Evidence) -> tuple[str, ...]:
    """Why this artefact is not proven, () if it is: only then may it be removed (I3).

    Proven: the eraser wrote everything without a complaint, the map was the same before, after and at the read-back, every mapped byte was read
    (a sample only where the plan allows one) and nothing differed from the keystream.
    """
    reasons: set[str] = {*result.reasons, *evidence.reasons}
    if result.artefact_id != step.artefact_id or evidence.artefact_id != step.artefact_id:
        reasons.add(ReasonCode.READBACK_IMPOSSIBLE)
    if evidence.mismatches:
        reasons.add(ReasonCode.READBACK_MISMATCH)
    if evidence.via not in _BLOCK_READ:
        reasons.add(ReasonCode.READBACK_IMPOSSIBLE)
    if not result.digest_before or not result.digest_before == result.digest_after == evidence.map_digest:
        reasons.add(ReasonCode.EXTENT_MOVED)
    if not evidence.sampled and evidence.bytes_verified * result.passes != result.bytes_overwritten:
        reasons.add(ReasonCode.READBACK_IMPOSSIBLE)
    if evidence.sampled and evidence.bytes_verified <= 0 < result.bytes_overwritten:
        reasons.add(ReasonCode.READBACK_IMPOSSIBLE)
    return tuple(sorted(str(reason) for reason in reasons))


def _artefact(step: Step, result: EraseResult | None, evidence: Evidence | None, plan: Plan, vanished: bool) -> ArtefactOutcome:
    if vanished:
        reasons: tuple[str, ...] = (ReasonCode.VANISHED,)
    elif result is None or evidence is None:
        known = (*(result.reasons if result else ()), *(evidence.reasons if evidence else ()), *expected_reasons(step))
        reasons = tuple(sorted(set(known))) or (ReasonCode.READBACK_IMPOSSIBLE,)
    else:
        reasons = artefact_proven(step, result, evidence)
        if evidence.sampled and plan.verify == "full":
            reasons = tuple(sorted({*reasons, ReasonCode.READBACK_IMPOSSIBLE}))
    return ArtefactOutcome(
        artefact_id=step.artefact_id,
        outcome=Outcome.NOT_SANITIZED if reasons else Outcome.CLEAR,
        reasons=tuple(str(reason) for reason in reasons),
        bytes_overwritten=result.bytes_overwritten if result else 0,
        bytes_verified=evidence.bytes_verified if evidence else 0,
        mismatches=evidence.mismatches if evidence else 0,
        verified_via=evidence.via if evidence else "",
    )


def judge(
    plan: Plan,
    results: Mapping[str, EraseResult],
    evidence: Mapping[str, Evidence],
    removed: Collection[str],
    vanished: Collection[str],
    *,
    trimmed: Collection[int] = (),
) -> Verdict:
    """The verdict on the phone: the worst of its artefacts (docs/physics.md 8). `vanished`: artefacts that were gone before they were proven; `trimmed`: device
    numbers of filesystems whose free space was made unreadable, and proven so, after everything was removed.

    A plan with refusals or without a step is never sanitized. A proven artefact that was not removed yet does not worsen the outcome.
    """
    artefacts = tuple(
        _artefact(
            step,
            results.get(step.artefact_id),
            evidence.get(step.artefact_id),
            plan,
            step.artefact_id in vanished and step.artefact_id not in removed,
        )
        for step in plan.steps
    )
    reasons = {reason for artefact in artefacts for reason in artefact.reasons}
    if plan.refusals or not plan.steps:
        reasons.add(ReasonCode.COPY_NOT_REACHED)
    residuals = set(plan.residuals)
    on_files = {step.identity.device for step in plan.steps if step.kind is not ArtefactKind.BLOCK_DEVICE}
    if ResidualCode.FREED_BLOCKS_UNTRACED in residuals and on_files and on_files <= set(trimmed) and {step.artefact_id for step in plan.steps} <= set(removed):
        residuals = residuals - {ResidualCode.FREED_BLOCKS_UNTRACED} | {str(ResidualCode.FREED_BLOCKS_REALLOCATED)}
    if any(item.sampled for item in evidence.values()):
        residuals.add("sampled")
    return Verdict(
        outcome=Outcome.NOT_SANITIZED if reasons else Outcome.CLEAR,
        reasons=tuple(sorted(reasons)),
        residuals=tuple(sorted(residuals)),
        artefacts=artefacts,
    )


def reasons_of_refusal(codes: Iterable[str]) -> tuple[str, ...]:
    """Why an artefact or an attempt is not sanitized when a guard refused it after the last word: the refusal's own words, sorted.

    `copy-not-reached` where there is none, and for a word that is no refusal code.
    """
    known = {RefusalCode(code) for code in codes if code in _REFUSALS}
    return tuple(sorted(str(_REASON_OF_REFUSAL.get(code, code)) for code in known)) or (str(ReasonCode.COPY_NOT_REACHED),)


def retry_after(reasons: Iterable[str], attempt: int) -> int | None:
    """Seconds until the next attempt after the `attempt`-th (from 1) failed; None when only a changed host can help (docs/design.md, "Quarantine")."""
    if not any(reason in RETRYABLE_REASONS or reason in _RETRYABLE_REFUSALS for reason in reasons):
        return None
    return int(backoff.wait(attempt - 1, first=FIRST_RETRY, longest=LAST_RETRY))
