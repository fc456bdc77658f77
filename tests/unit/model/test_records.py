"""What the ledger remembers: the steps of a wipe, and secrets that are never printed."""

from __future__ import annotations

from wiped.model.records import COMMITTED_STEPS, FINAL_STEPS, Secret, WipeStep


def test_a_secret_is_masked() -> None:
    """repr and str show nothing of the bytes."""
    assert (repr(Secret(b"seed")), str(Secret(b"seed")), Secret(b"seed").value) == ("Secret(***)", "Secret(***)", b"seed")


def test_a_cancelled_wipe_alone_ended_without_touching_a_byte() -> None:
    """Every other end comes after the last word, and nothing before it counts as committed."""
    assert {WipeStep.CANCELLED} == FINAL_STEPS - COMMITTED_STEPS
    steps = list(WipeStep)
    assert not COMMITTED_STEPS & set(steps[: steps.index(WipeStep.ERASING)])
