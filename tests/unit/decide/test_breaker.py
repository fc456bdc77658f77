"""The breaker's rule: who counts, how many are too many, and the name of a set."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wiped.decide import breaker
from wiped.model.breaker import BreakerRecord
from wiped.model.policy import Safety
from wiped.model.subscription import Action, Decision, State

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SETS = st.lists(st.tuples(st.uuids().map(str), st.integers(1, 9)), unique=True, max_size=20)


def _decision(action: Action = Action.WIPE, state: State = State.DUE, trigger: str = "expiry") -> Decision:
    return Decision(state, (), action, None, None, (), trigger=trigger)


@pytest.mark.parametrize(("bound", "limit"), [(0, 5), (1, 5), (25, 5), (29, 5), (30, 6), (50, 10), (500, 100)])
def test_few_phones_have_a_floor_and_many_a_ratio(bound: int, limit: int) -> None:
    """max(5, a fifth rounded down)."""
    assert breaker.limit(bound, Safety()) == limit


@given(st.integers(0, 2_000), st.integers(0, 10_000), st.integers(1, 1_000), st.integers(0, 100))
def test_it_opens_exactly_above_both_bounds(count: int, bound: int, most: int, percent: int) -> None:
    """In whole numbers, without a rounding that could let one phone more through."""
    safety = Safety(breaker_max=most, breaker_ratio_percent=percent)
    assert breaker.opens(count, bound, safety) == (count > most and 100 * count >= percent * bound - percent * bound % 100 + 100)


@given(st.sampled_from(Action), st.sampled_from(State), st.sampled_from(["expiry", "manual", "deletion", "cancellation"]))
def test_only_what_would_be_wiped_by_time_or_feed_counts(action: Action, state: State, trigger: str) -> None:
    """Whatever an open breaker would hold back; a single manual wipe, with the phone's name typed, is not counted, nor what was agreed to."""
    decision = _decision(action, state, trigger)
    for held in Action:
        counts = breaker.newly_due(decision, _decision(held, state, trigger))
        assert counts == (action is not Action.NONE and held is not action and trigger != "manual")
    assert not breaker.newly_due(replace(decision, approved=True), _decision(Action.NONE, state, trigger))


@given(SETS, st.randoms(use_true_random=False))
def test_a_set_has_one_name_whatever_its_order(phones: list[tuple[str, int]], chance: object) -> None:
    """And another set another."""
    turned = list(phones)
    chance.shuffle(turned)  # type: ignore[attr-defined]
    assert breaker.fingerprint(turned) == breaker.fingerprint(phones)
    if phones:
        assert breaker.fingerprint(phones[1:]) != breaker.fingerprint(phones)
        uuid, generation = phones[0]
        assert breaker.fingerprint([(uuid, generation + 1), *phones[1:]]) != breaker.fingerprint(phones)


def test_an_open_breaker_says_what_to_do_and_a_closed_one_nothing() -> None:
    """With the numbers."""
    said = breaker.why(BreakerRecord(True, 1, NOW, 50, 10, 52, 3_600))
    assert [word in said for word in ("50 phones", "at most 10 of 52", "wipectl breaker release --reason")] == [True] * 3
    assert breaker.why(BreakerRecord()) == ""
