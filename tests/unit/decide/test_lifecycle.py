"""The lifecycle decision: a table of situations, the last word, and properties over all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.decide.nouns import DAY, HOUR, NOON, PHONE, facts, subscription
from wiped.decide.approval import stands
from wiped.decide.lifecycle import decide, last_word
from wiped.decide.window import is_open, parse
from wiped.model.approvals import FENCING, GROUNDS, RequestKind
from wiped.model.policy import Policy, Safety
from wiped.model.subscription import Action, FeedStatus, Flag, Hold, State, WipeRequest

POLICY = Policy()
SAFETY = Safety()
NIGHT = parse("* 1-4 * * *", UTC)
SECOND = timedelta(seconds=1)
HOLD = Hold("h1", PHONE, "", "litigation")
MANUAL = WipeRequest("r1", "manual", "operator", NOON + HOUR)
DUE = NOON + DAY

# now, changes of the facts, expected state, action, next instant, a reason code that must be among the reasons
GONE = {"present": False, "remembered": True}

SITUATIONS = [
    ("long before", NOON - 20 * DAY, {}, State.ACTIVE, Action.NONE, NOON - 7 * DAY, "subscription-active"),
    ("the first notice", NOON - 7 * DAY, {}, State.NOTICE, Action.NONE, NOON - DAY, "subscription-active"),
    ("the second notice", NOON - DAY, {}, State.NOTICE, Action.NONE, NOON, "subscription-active"),
    ("a second before the end", NOON - SECOND, {}, State.NOTICE, Action.NONE, NOON, "subscription-active"),
    ("the end", NOON, {}, State.GRACE, Action.NONE, DUE, "in-grace"),
    ("a second before due", DUE - SECOND, {}, State.GRACE, Action.NONE, DUE, "in-grace"),
    ("due", DUE, {}, State.DUE, Action.WIPE, DUE + timedelta(seconds=60), "due"),
    ("overdue", NOON + 4 * DAY, {}, State.DUE, Action.WIPE, NOON + 4 * DAY + timedelta(seconds=60), "due"),
    ("recorded after its end", DUE, {"subscription": subscription(first_recorded_at=NOON + HOUR)}, State.GRACE, Action.NONE, DUE + HOUR, "in-grace"),
    ("held at due", DUE, {"holds": (HOLD,)}, State.DUE, Action.FENCE, NOON + 3 * DAY, "legal-hold"),
    ("hold that ended", DUE, {"holds": (replace(HOLD, until=DUE),)}, State.DUE, Action.WIPE, DUE + timedelta(seconds=60), "due"),
    ("held in grace", NOON, {"holds": (HOLD,)}, State.GRACE, Action.NONE, DUE, "in-grace"),
    ("protected at due", DUE, {"protected": True}, State.DUE, Action.FENCE, NOON + 3 * DAY, "protected"),
    ("suspect clock", DUE, {"clock_suspect": True, "recorded_state": State.DUE}, State.DUE, Action.NONE, DUE + timedelta(seconds=60), "clock-suspect"),
    ("open breaker", DUE, {"breaker_open": True}, State.DUE, Action.NONE, DUE + timedelta(seconds=60), "breaker-open"),
    ("feed never answered", DUE, {"feed": FeedStatus(None)}, State.DUE, Action.NONE, DUE + timedelta(seconds=60), "feed-stale"),
    ("feed stale since before due", DUE + HOUR, {"feed": FeedStatus(DUE - HOUR, 5)}, State.DUE, Action.NONE, DUE + HOUR + timedelta(seconds=60), "feed-stale"),
    ("feed stale, but confirmed after due", DUE + 2 * DAY, {"feed": FeedStatus(DUE + HOUR, 5)}, State.DUE, Action.WIPE, None, "due"),
    ("feed answered in the future", DUE, {"feed": FeedStatus(DUE + DAY, 5)}, State.DUE, Action.NONE, DUE + timedelta(seconds=60), "clock-suspect"),
    ("refused plan", DUE, {"refusals": ("shared-by-domain",)}, State.DUE, Action.WIPE, DUE + timedelta(seconds=300), "shared-by-domain"),
    ("no subscription", NOON, {"subscription": None}, State.UNBOUND, Action.NONE, None, "unbound"),
    ("no subscription, no domain", NOON, {"subscription": None, "present": False}, State.VANISHED, Action.NONE, None, "no-such-domain"),
    ("no domain", NOON + HOUR, {"present": False, "remembered": True}, State.VANISHED, Action.NONE, DUE, "no-such-domain"),
    ("no domain, due", DUE, {"present": False, "remembered": True}, State.DUE, Action.WIPE, DUE + timedelta(seconds=60), "vanished"),
    ("no domain, due, held", DUE, {**GONE, "holds": (HOLD,)}, State.DUE, Action.FENCE, NOON + 3 * DAY, "legal-hold"),
    ("no domain, due, feed stale", DUE, {**GONE, "feed": FeedStatus(None)}, State.DUE, Action.NONE, DUE + timedelta(seconds=60), "feed-stale"),
    ("a term for a UUID that was never here", DUE + 9 * DAY, {"present": False}, State.VANISHED, Action.NONE, None, "no-such-domain"),
    ("migrated away", DUE + 9 * DAY, {"present": False, "remembered": True, "migrated": True}, State.VANISHED, Action.NONE, None, "migrated-away"),
    ("occupied while active", NOON - HOUR, {"occupied_by_other": True}, State.NOTICE, Action.FENCE, NOON, "generation-occupied"),
    ("occupied in grace", NOON, {"occupied_by_other": True}, State.GRACE, Action.FENCE, DUE, "generation-occupied"),
    ("occupied, old generation due", DUE, {"occupied_by_other": True}, State.DUE, Action.WIPE, DUE + timedelta(seconds=60), "generation-occupied"),
    ("asked by hand while active", NOON - HOUR, {"requests": (MANUAL,)}, State.NOTICE, Action.NONE, NOON, "needs-approval"),
    ("asked by hand in grace, settling", NOON + HOUR, {"requests": (MANUAL,)}, State.GRACE, Action.NONE, NOON + HOUR + timedelta(minutes=15), "in-grace"),
    ("asked by hand in grace, settled", NOON + 2 * HOUR, {"requests": (MANUAL,)}, State.DUE, Action.WIPE, None, "due"),
    ("erasing", DUE, {"recorded_state": State.ERASING}, State.ERASING, Action.NONE, None, "is-erasing"),
    ("quarantined", DUE, {"recorded_state": State.QUARANTINED}, State.QUARANTINED, Action.NONE, None, "is-quarantined"),
    ("released", DUE, {"recorded_state": State.RELEASED}, State.RELEASED, Action.NONE, None, "is-released"),
]


@pytest.mark.parametrize(("what", "now", "changes", "state", "action", "next_at", "code"), SITUATIONS, ids=[row[0] for row in SITUATIONS])
def test_situation(what, now, changes, state, action, next_at, code):
    """Each situation has its state, action, next instant and reason."""
    decision = decide(facts(now, **changes), POLICY, SAFETY, now)
    assert (decision.state, decision.action) == (state, action)
    assert code in [reason.code for reason in decision.reasons]
    if next_at is not None:
        assert decision.next_at == next_at


def test_without_grace_settle_and_two_answers_are_needed():
    """No grace still waits for `settle` and for two complete answers of the feed."""
    policy = Policy(grace=0)
    settled = NOON + timedelta(seconds=SAFETY.settle)
    assert decide(facts(NOON), policy, SAFETY, NOON).state == State.GRACE
    once = facts(settled, feed=FeedStatus(settled, 1))
    assert decide(once, policy, SAFETY, settled).action == Action.NONE
    twice = facts(settled, feed=FeedStatus(settled, 2))
    assert decide(twice, policy, SAFETY, settled).action == Action.WIPE


def test_minor_has_the_shorter_grace():
    """A minor's phone skips grace (R6), settle excepted."""
    now = NOON + timedelta(seconds=SAFETY.settle)
    decision = decide(facts(now, subscription=subscription(minor=True)), POLICY, SAFETY, now)
    assert decision.action == Action.WIPE
    assert Flag.MINOR in decision.flags


def test_overdue_flag_comes_with_the_deadline():
    """`overdue` is set at expiry plus deadline and not a second before."""
    late = NOON + 3 * DAY
    assert Flag.OVERDUE not in decide(facts(late - SECOND), POLICY, SAFETY, late - SECOND).flags
    assert Flag.OVERDUE in decide(facts(late), POLICY, SAFETY, late).flags


@pytest.mark.parametrize("state", [State.ERASING, State.VERIFYING, State.QUARANTINED])
def test_last_word_resumes_what_has_begun_unless_held(state):
    """After the first byte a renewal no longer stops the wipe, a hold does (I7)."""
    renewed = subscription(expires_at=NOON + 300 * DAY)
    assert last_word(facts(DUE, recorded_state=state, subscription=renewed), POLICY, SAFETY, DUE).action == Action.WIPE
    assert last_word(facts(DUE, recorded_state=state, holds=(HOLD,)), POLICY, SAFETY, DUE).action == Action.FENCE
    assert last_word(facts(DUE, recorded_state=state, protected=True), POLICY, SAFETY, DUE).action == Action.FENCE


def test_last_word_before_the_first_byte_honours_a_renewal():
    """A renewal that is in the ledger before the last word stops the wipe (I7)."""
    renewed = subscription(expires_at=NOON + 300 * DAY)
    assert last_word(facts(DUE, subscription=renewed, recorded_state=State.DUE), POLICY, SAFETY, DUE).action == Action.NONE


instants = st.integers(-40 * 86_400, 40 * 86_400).map(lambda seconds: NOON + timedelta(seconds=seconds))
feeds = st.builds(FeedStatus, st.none() | instants, st.integers(0, 4))
any_request = st.builds(
    lambda kind, at, effective, approved, signed, approved_at, until: WipeRequest(
        "r",
        kind,
        GROUNDS[kind][0],
        at,
        approved=approved,
        signed=signed,
        effective_at=effective if kind == RequestKind.DRAIN else None,
        approved_at=approved_at if approved else None,
        approved_until=until if approved else None,
    ),
    st.sampled_from(RequestKind),
    instants,
    instants,
    st.booleans(),
    st.booleans(),
    instants,
    instants,
)
any_facts = st.builds(
    facts,
    instants,
    subscription=st.none()
    | st.builds(lambda end, first, minor: subscription(expires_at=end, first_recorded_at=first, minor=minor), instants, instants, st.booleans()),
    recorded_state=st.sampled_from(State),
    feed=feeds,
    holds=st.lists(st.builds(lambda until: replace(HOLD, until=until), st.none() | instants), max_size=2).map(tuple),
    requests=st.lists(any_request, max_size=3).map(tuple),
    present=st.booleans(),
    protected=st.booleans(),
    suspended=st.booleans(),
    fenced=st.booleans(),
    remembered=st.booleans(),
    migrated=st.booleans(),
    clock_suspect=st.booleans(),
    breaker_open=st.booleans(),
    occupied_by_other=st.booleans(),
    refusals=st.sampled_from([(), ("drift",)]),
)
policies = st.builds(
    lambda grace, closed, fence_held: replace(POLICY, grace=grace, window=NIGHT if closed else None, fence_held=fence_held),
    st.integers(0, 10 * 86_400),
    st.booleans(),
    st.booleans(),
)


@given(any_facts, instants, policies)
def test_a_wipe_is_only_decided_when_nothing_forbids_it(fact, now, policy):
    """Whatever the facts: WIPE means a term that is over or a second person, settled, not held, not protected, a sane clock, a closed breaker, a feed that
    answered, a phone that is or was here, and a window that is open unless it may not wait."""
    decision = decide(fact, policy, SAFETY, now)
    if decision.action is not Action.WIPE:
        return
    term = fact.subscription
    assert term is not None
    assert fact.present or (fact.remembered and not fact.migrated)
    erasing = [request for request in fact.requests if request.kind != "leak"]
    agreed = [request for request in erasing if stands(request, now)]
    settle = timedelta(seconds=SAFETY.settle)
    if now < term.expires_at + settle:
        assert any(max(request.requested_at, request.effective_at or request.requested_at) + settle <= now for request in agreed)
    assert not fact.protected
    assert not fact.clock_suspect
    assert not fact.breaker_open
    assert all(hold.until is not None and hold.until <= now for hold in fact.holds)
    assert fact.feed.complete_at is not None
    assert decision.due_at is not None
    assert decision.due_at <= now
    assert fact.feed.complete_at >= min(decision.due_at, now - timedelta(seconds=SAFETY.feed_max_age))
    if not erasing and not term.minor:
        assert max(term.expires_at, term.first_recorded_at) + timedelta(seconds=policy.grace) <= now
    if not is_open(policy.window, now):
        assert decision.urgent or decision.trigger == "manual"


@given(any_facts, instants, policies)
def test_what_was_asked_for_is_fenced_until_it_is_settled(fact, now, policy):
    """While a deletion, cancellation, withdrawn consent, guardian's notice or leak is open, a phone that is there is never left running."""
    decision = decide(fact, policy, SAFETY, now)
    open_ones = any(request.kind in FENCING for request in fact.requests) or fact.suspended
    if open_ones and fact.present and decision.state in (State.UNBOUND, State.ACTIVE, State.NOTICE, State.GRACE, State.DUE):
        assert decision.action in (Action.FENCE, Action.WIPE)


@given(any_facts, instants, policies)
def test_the_next_instant_is_ahead_and_changes_something(fact, now, policy):
    """`next_at` lies in the future: the schedule can never spin on one phone."""
    decision = decide(fact, policy, SAFETY, now)
    assert decision.next_at is None or decision.next_at > now
    assert decision.reasons


@given(any_facts, instants, instants, policies)
def test_nothing_changes_before_the_next_instant(fact, now, at, policy):
    """Between now and `next_at` time alone changes neither state nor action nor flags (the sweep may sleep)."""
    first = decide(fact, policy, SAFETY, now)
    if not now <= at or (first.next_at is not None and at >= first.next_at):
        return
    if first.state is State.DUE:  # a due phone is looked at again every minute; the feed's age counts from its answer
        return
    again = decide(fact, policy, SAFETY, at)
    assert (again.state, again.action, again.notices, again.flags) == (first.state, first.action, first.notices, first.flags)


@pytest.mark.parametrize("kept", [{"protected": True}, {"holds": (HOLD,)}])
def test_a_kept_phone_is_decided_again_when_what_was_agreed_to_lapses(kept: dict[str, object]) -> None:
    """Found by the simulation (K3): due by an agreed request, and protected, it was due for ever in lists, and not due by explain."""
    until = NOON - 8 * DAY
    request = WipeRequest("r", "deletion", "no-consent", NOON - 20 * DAY, approved=True, approver="b", approved_at=NOON - 20 * DAY, approved_until=until)
    now = NOON - 10 * DAY
    due = decide(facts(now, requests=(request,), **kept), Policy(), Safety(), now)
    assert (due.state, due.next_at) == (State.DUE, until)
    assert decide(facts(until, requests=(request,), **kept), Policy(), Safety(), until).state is not State.DUE
