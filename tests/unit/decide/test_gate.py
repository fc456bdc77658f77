"""The gate: the table is whole, the strictest answer counts, and the decision about a phone is the table's."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.decide.nouns import DAY, NOON, facts
from tests.unit.decide.situations import POLICY, SAFETY, hold
from wiped.decide import gate
from wiped.decide.gate import ACTS, TABLE, Act, Answer, Condition
from wiped.decide.lifecycle import decide
from wiped.model.subscription import Action, FeedStatus, LifecycleFacts, State


def test_every_cell_has_an_answer_and_every_act_a_sentence() -> None:
    """Nothing goes because nobody thought of it."""
    assert set(TABLE) == {(act, condition) for act in Act for condition in Condition}
    assert set(ACTS) == set(Act)
    assert all(ACTS.values())


def test_what_cannot_be_undone_goes_under_no_condition() -> None:
    """Each condition stops the bytes; a hold, a protection and a running term are nobody's to overrule by waiting."""
    assert {condition: TABLE[Act.ERASE, condition] for condition in Condition if TABLE[Act.ERASE, condition] is Answer.GO} == {}
    assert TABLE[Act.FORGET, Condition.CLOCK_SUSPECT] is Answer.WAIT
    assert TABLE[Act.FORGET, Condition.LEGAL_HOLD] is Answer.NEVER


@pytest.mark.parametrize("act", Act)
def test_the_strictest_answer_counts(act: Act) -> None:
    """Whatever else would let it go; and it says why."""
    order = [Answer.NEVER, Answer.ASK, Answer.WAIT, Answer.GO]
    assert gate.ask(act, ()).go
    for number in (1, 2, 3):
        for conditions in combinations(Condition, number):
            verdict = gate.ask(act, conditions)
            assert verdict.answer is min((TABLE[act, each] for each in conditions), key=order.index)
            assert verdict.go == (not verdict.because)
            assert all(TABLE[act, each] is verdict.answer for each in verdict.because)


#: How a condition looks in the facts of a phone that is due.
SEEN = {
    Condition.CLOCK_SUSPECT: {"clock_suspect": True},
    Condition.LEGAL_HOLD: {"holds": (hold(),)},
    Condition.PROTECTED: {"protected": True},
    Condition.FEED_STALE: {"feed": FeedStatus(None)},
    Condition.BREAKER_OPEN: {"breaker_open": True},
}


@given(st.sets(st.sampled_from(list(SEEN))), st.booleans())
def test_a_due_phone_is_wiped_or_stopped_as_the_table_says(conditions: set[Condition], fenced: bool) -> None:
    """The lifecycle asks the gate, and nothing beside it."""
    changes: dict[str, object] = {}
    for condition in conditions:
        changes |= SEEN[condition]
    now = NOON + 2 * DAY
    decision = decide(facts(now, recorded_state=State.DUE, fenced=fenced, **changes), POLICY, SAFETY, now)
    assert (decision.action is Action.WIPE) == gate.ask(Act.ERASE, conditions).go
    kept = bool(conditions & {Condition.LEGAL_HOLD, Condition.PROTECTED})
    assert (decision.action is Action.FENCE) == (kept and (fenced or gate.ask(Act.STOP_DUE, conditions).go))
    assert decision.quiet != gate.ask(Act.TELL, conditions).go
    told = {reason.code for reason in decision.reasons}
    assert all(str(condition) in told for condition in gate.ask(Act.STOP_DUE, conditions).because[:1] if kept and not fenced)


@given(st.sampled_from([State.ACTIVE, State.NOTICE, State.GRACE, State.DUE]), st.integers(-40, 40), st.booleans(), st.booleans())
def test_no_phone_changes_by_a_suspect_clock(recorded: State, days: int, occupied: bool, suspended: bool) -> None:
    """In either direction; what people and billing said counts all the same."""
    now = NOON + timedelta(days=days)
    trusted = decide(facts(now, recorded_state=recorded, occupied_by_other=occupied, suspended=suspended), POLICY, SAFETY, now)
    seen = facts(now, recorded_state=recorded, occupied_by_other=occupied, suspended=suspended, clock_suspect=True, recorded_due_at=trusted.due_at)
    decision = decide(seen, POLICY, SAFETY, now)
    assert decision.state is recorded
    assert decision.quiet
    assert decision.action is not Action.WIPE
    assert decision.action is (Action.FENCE if suspended else Action.NONE) or occupied
    assert decision.next_at is not None
    assert decision.next_at <= now + timedelta(minutes=1)
    renewed, trusted = (decide(_later(each), POLICY, SAFETY, now).state for each in (seen, facts(now, recorded_state=recorded)))
    assert renewed is (trusted if trusted in (State.ACTIVE, State.NOTICE) else recorded)


def _later(seen: LifecycleFacts) -> LifecycleFacts:
    """The same, after a renewal of a hundred days, which is not by time."""
    assert seen.subscription is not None
    return replace(seen, subscription=replace(seen.subscription, expires_at=seen.subscription.expires_at + 100 * DAY))
