"""The verdict: nothing is clear without complete evidence (I4), and every lack has its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.decide.nouns import found, inventory, proof
from wiped.decide.plan import make_plan
from wiped.decide.verdict import artefact_proven, expected_reasons, judge, retry_after
from wiped.model.outcome import Outcome
from wiped.model.policy import StorageRules

PLAN = make_plan(inventory(found("/srv/phones/a", 1), found("/srv/phones/b", 2)), 1, StorageRules())
FIRST, SECOND = PLAN.steps


def test_everything_proven_is_clear():
    """Both artefacts proven: clear, with the plan's residuals."""
    proofs = {step.artefact_id: proof(step) for step in PLAN.steps}
    verdict = judge(PLAN, {k: v[0] for k, v in proofs.items()}, {k: v[1] for k, v in proofs.items()}, (), ())
    assert (verdict.outcome, verdict.reasons) == (Outcome.CLEAR, ())
    assert "freed-blocks-untraced" in verdict.residuals


RESULT, EVIDENCE = proof(FIRST)


@pytest.mark.parametrize(
    ("result", "evidence", "reason"),
    [
        (replace(RESULT, reasons=("io-error",)), EVIDENCE, "io-error"),
        (RESULT, replace(EVIDENCE, reasons=("readback-impossible",)), "readback-impossible"),
        (RESULT, replace(EVIDENCE, mismatches=1), "readback-mismatch"),
        (RESULT, replace(EVIDENCE, via=""), "readback-impossible"),
        (RESULT, replace(EVIDENCE, via="trust-me"), "readback-impossible"),
        (replace(RESULT, digest_after="n" * 64), EVIDENCE, "extent-moved"),
        (RESULT, replace(EVIDENCE, map_digest="n" * 64), "extent-moved"),
        (replace(RESULT, digest_before="", digest_after=""), replace(EVIDENCE, map_digest=""), "extent-moved"),
        (RESULT, replace(EVIDENCE, bytes_verified=2048), "readback-impossible"),
        (RESULT, replace(EVIDENCE, bytes_verified=0, sampled=True), "readback-impossible"),
        (RESULT, replace(EVIDENCE, artefact_id="other"), "readback-impossible"),
    ],
)
def test_each_lack_of_proof_has_its_reason(result, evidence, reason):
    """Any gap between what was written and what was read back keeps the artefact (I3)."""
    assert artefact_proven(FIRST, RESULT, EVIDENCE) == ()
    assert reason in artefact_proven(FIRST, result, evidence)


def test_a_lacking_vanished_or_empty_plan_is_not_sanitized():
    """One artefact without evidence, one that vanished, a refusal, or no artefact at all: not-sanitized."""
    proofs = {step.artefact_id: proof(step) for step in PLAN.steps}
    results, evidence = {k: v[0] for k, v in proofs.items()}, {k: v[1] for k, v in proofs.items()}
    del evidence[SECOND.artefact_id]
    assert judge(PLAN, results, evidence, (), ()).reasons == ("readback-impossible",)
    assert judge(PLAN, {}, {}, (), (FIRST.artefact_id, SECOND.artefact_id)).reasons == ("vanished",)
    assert judge(replace(PLAN, steps=()), {}, {}, (), ()).outcome == Outcome.NOT_SANITIZED


def test_a_sample_where_the_plan_says_full_is_not_enough():
    """A sampled read-back counts only when the plan allows sampling, and is then a residual."""
    result, evidence = proof(FIRST)
    sampled = replace(evidence, sampled=True, bytes_verified=1024)
    one = replace(PLAN, steps=(FIRST,))
    assert judge(one, {FIRST.artefact_id: result}, {FIRST.artefact_id: sampled}, (), ()).outcome == Outcome.NOT_SANITIZED
    allowed = judge(replace(one, verify="sample:0.1"), {FIRST.artefact_id: result}, {FIRST.artefact_id: sampled}, (), ())
    assert allowed.outcome == Outcome.CLEAR
    assert "sampled" in allowed.residuals


def test_what_cannot_be_proven_keeps_its_foretold_reason():
    """An artefact that was left alone on btrfs carries cow-filesystem, not a guess."""
    step = replace(FIRST, filesystem=replace(FIRST.filesystem, fs_type="btrfs", cow=True))
    assert judge(replace(PLAN, steps=(step,)), {}, {}, (), ()).reasons == ("cow-filesystem",)


def test_back_off_from_five_minutes_to_a_day():
    """Retryable reasons double from 5 minutes to 24 hours; the others wait for a changed host."""
    assert [retry_after(("io-error",), attempt) for attempt in (1, 2, 3, 9, 10, 99)] == [300, 600, 1200, 76_800, 86_400, 86_400]
    assert retry_after(("cow-filesystem",), 1) is None
    assert retry_after(("cow-filesystem", "image-in-use"), 1) == 300
    assert retry_after((), 1) is None


@given(st.sets(st.sampled_from([step.artefact_id for step in PLAN.steps])), st.integers(0, 3), st.sampled_from(["block-odirect", ""]))
def test_clear_needs_a_proof_of_every_artefact(proven, mismatches, via):
    """Over all subsets of evidence: clear exactly when every artefact is proven (I4)."""
    results, evidence = {}, {}
    for step in PLAN.steps:
        if step.artefact_id in proven:
            result, good = proof(step)
            results[step.artefact_id], evidence[step.artefact_id] = result, replace(good, mismatches=mismatches, via=via)
    verdict = judge(PLAN, results, evidence, (), ())
    whole = len(proven) == len(PLAN.steps) and mismatches == 0 and via != ""
    assert (verdict.outcome is Outcome.CLEAR) == whole


@pytest.mark.parametrize(("flag", "reason"), [("shared", "extent-shared"), ("encoded", "extent-encoded"), ("data-inline", "extent-inline")])
def test_extents_that_cannot_be_overwritten_in_place_are_foretold(flag, reason):
    """A reflinked, compressed or inline extent is known before the first byte; a delayed allocation is no forecast."""
    extents = replace(FIRST.extents, flags=(flag, "unwritten", "delalloc"))
    assert expected_reasons(replace(FIRST, extents=extents)) == (reason,)


@pytest.mark.parametrize(
    ("trimmed", "removed", "residual"),
    [
        ({7}, {"a", "b"}, "freed-blocks-reallocated"),
        ({7, 9}, {"a", "b"}, "freed-blocks-reallocated"),
        ({9}, {"a", "b"}, "freed-blocks-untraced"),
        (set(), {"a", "b"}, "freed-blocks-untraced"),
        ({7}, {"a"}, "freed-blocks-untraced"),
    ],
)
def test_freed_blocks_are_traced_only_where_every_filesystem_was_treated_after_every_removal(trimmed: set[int], removed: set[str], residual: str):
    """One that was not, or one artefact still in place, and they are untraced."""
    names = {name[-1]: step.artefact_id for name, step in zip(("a", "b"), PLAN.steps, strict=True)}
    proofs = {step.artefact_id: proof(step) for step in PLAN.steps}
    results, evidence = ({k: v[index] for k, v in proofs.items()} for index in (0, 1))
    verdict = judge(PLAN, results, evidence, {names[name] for name in removed}, (), trimmed=trimmed)
    assert [item for item in verdict.residuals if item.startswith("freed-blocks")] == [residual]
