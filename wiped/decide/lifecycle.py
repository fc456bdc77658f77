"""The policy: what state a phone is in, what is to be done, when that changes by itself, and every reason.

The clock of a term:

    expires - longest notice      expires           due = max(expires, first recorded) + max(grace, settle)
    ──── active ────┼──── notice ────┼──── grace ────┼──── due ─── erasing ─ verifying ─ wiped
                                                     action WIPE unless a guard below says no

Guards on a due phone, in this order: a legal hold or protection (stop and fence, keep), a suspect clock, a stale feed, an open breaker, a trigger
that has not settled. Unknown, missing or stale input never leads to a wipe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from wiped.model.policy import Policy, Safety
from wiped.model.subscription import (
    Action,
    Decision,
    Flag,
    Hold,
    LifecycleFacts,
    Reason,
    State,
    Subscription,
    WipeRequest,
)

#: A due phone that a guard stops is decided again after this many seconds.
LOOK_AGAIN = 60
#: A due phone whose plan was refused is planned again after this many seconds.
PLAN_AGAIN = 300
#: A trigger without grace waits for this many complete answers of the feed (DESIGN).
ANSWERS_WITHOUT_GRACE = 2

#: States that the wipe itself determines; time and feed do not change them.
_OF_THE_WIPE = frozenset({State.ERASING, State.VERIFYING, State.QUARANTINED})
_FLAG_ORDER = {flag: order for order, flag in enumerate(Flag)}
_ENDED = frozenset({State.WIPED, State.RELEASED, State.RECYCLED, State.DISPOSED})


@dataclass(frozen=True, slots=True)
class Term:
    """The instants of one subscription under one policy, all UTC."""

    notices: tuple[tuple[datetime, int], ...]
    expires_at: datetime
    due_at: datetime
    overdue_at: datetime
    without_grace: bool


def term(subscription: Subscription, policy: Policy, safety: Safety) -> Term:
    """The instants of `subscription`. `due` never lies before the end was first recorded plus grace, and grace never counts less than `settle`."""
    grace = policy.minor_grace if subscription.minor else policy.grace
    base = max(subscription.expires_at, subscription.first_recorded_at)
    due_at = base + timedelta(seconds=max(grace, safety.settle))
    return Term(
        notices=tuple((subscription.expires_at - timedelta(seconds=n), n) for n in sorted(policy.notice, reverse=True)),
        expires_at=subscription.expires_at,
        due_at=due_at,
        overdue_at=max(due_at, base + timedelta(seconds=policy.deadline)),
        without_grace=grace == 0,
    )


@dataclass(frozen=True, slots=True)
class _Binding:
    """The earliest trigger that makes the phone due."""

    due_at: datetime
    kind: str
    ground: str
    without_grace: bool


def _binding(instants: Term, requests: tuple[WipeRequest, ...], safety: Safety) -> _Binding:
    best = _Binding(instants.due_at, "expiry", "service-ended", instants.without_grace)
    for request in requests:
        at = max(request.requested_at, instants.expires_at) + timedelta(seconds=safety.settle)
        if at < best.due_at:
            best = _Binding(at, request.kind, request.ground, True)
    return best


def _text(at: datetime) -> str:
    """RFC 3339, whole seconds, UTC."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def active_holds(holds: tuple[Hold, ...], now: datetime) -> tuple[Hold, ...]:
    """The holds in force at `now`."""
    return tuple(hold for hold in holds if hold.until is None or now < hold.until)


def _flags(facts: LifecycleFacts, held: bool, *extra: Flag) -> tuple[Flag, ...]:
    found = list(extra)
    if held:
        found.append(Flag.HELD)
    if facts.protected:
        found.append(Flag.PROTECTED)
    if facts.suspended:
        found.append(Flag.SUSPENDED)
    if facts.fenced:
        found.append(Flag.FENCED)
    if facts.refusals or facts.occupied_by_other:
        found.append(Flag.REFUSED)
    if facts.subscription is not None and facts.subscription.minor:
        found.append(Flag.MINOR)
    return tuple(sorted(found, key=_FLAG_ORDER.__getitem__)) if found else ()


def _still(facts: LifecycleFacts, state: State, held: bool, reason: Reason, action: Action = Action.NONE) -> Decision:
    return Decision(state=state, flags=_flags(facts, held), action=action, next_at=None, next_state=None, reasons=(reason,))


def _occupied() -> Reason:
    return Reason("generation-occupied", "another account was recorded for this phone before it was wiped: fenced, settle it with billing")


def _without_term(facts: LifecycleFacts, held: bool) -> Decision:
    if not facts.present:
        return _still(facts, State.VANISHED, held, Reason("no-such-domain", "no domain with this UUID is on the host and no term is known"))
    if facts.occupied_by_other:
        return _still(facts, State.UNBOUND, held, _occupied(), Action.FENCE)
    return _still(facts, State.UNBOUND, held, Reason("unbound", "no subscription is recorded: nothing is concluded about this domain"))


def decide(facts: LifecycleFacts, policy: Policy, safety: Safety, now: datetime) -> Decision:
    """The decision for one phone at `now` (aware UTC). Pure; total: every combination of facts has an answer.

    A state that the wipe itself determines (erasing, verifying, quarantined) or that ended the generation is returned as it is, with action NONE:
    retries are the conductor's, through `last_word`.
    """
    holds = active_holds(facts.holds, now)
    held = bool(holds)
    state = facts.recorded_state
    if state in _OF_THE_WIPE:
        return _still(facts, state, held, Reason(f"is-{state}", "the wipe has begun; its own steps decide what happens next"))
    if state in _ENDED:
        return _still(facts, state, held, Reason(f"is-{state}", "this generation has ended; a new subscription begins the next one"))
    if facts.subscription is None:
        return _without_term(facts, held)
    instants = term(facts.subscription, policy, safety)
    if not facts.present:
        return _vanished(facts, instants, _binding(instants, facts.requests, safety), holds, safety=safety, now=now)
    if now < instants.expires_at:
        return _before_expiry(facts, instants, held, now)
    binding = _binding(instants, facts.requests, safety)
    if now < binding.due_at:
        return _in_grace(facts, instants, binding, held, now)
    return _due(facts, instants, binding, holds=holds, safety=safety, now=now)


_GONE = Reason("no-such-domain", "libvirt knows no domain with this UUID; vanishing never makes a phone due")


def _vanished(facts: LifecycleFacts, instants: Term, binding: _Binding, holds: tuple[Hold, ...], *, safety: Safety, now: datetime) -> Decision:
    """The domain disappeared. Its own time comes as if it had not; then what is left of it is wiped, under the same guards as a phone that is there."""
    held = bool(holds)
    if facts.migrated:
        return _still(facts, State.VANISHED, held, Reason("migrated-away", "it left by migration: nothing of it is wiped on this host"))
    if not facts.remembered:
        return _still(facts, State.VANISHED, held, _GONE)
    due_at = binding.due_at if now >= instants.expires_at else instants.due_at
    if now < due_at or now < instants.expires_at:
        waiting = _still(facts, State.VANISHED, held, _GONE)
        return replace(waiting, next_at=due_at, next_state=State.DUE, due_at=due_at)
    due = _due(facts, instants, binding, holds=holds, safety=safety, now=now)
    gone = Reason("vanished", "the domain is gone: only what was remembered of it and is still there can be wiped")
    return replace(due, reasons=(due.reasons[0], gone, *due.reasons[1:]))


def _before_expiry(facts: LifecycleFacts, instants: Term, held: bool, now: datetime) -> Decision:
    reached = tuple(seconds for at, seconds in instants.notices if at <= now)
    coming = [at for at, _ in instants.notices if at > now]
    reasons = [Reason("subscription-active", f"the term ends at {_text(instants.expires_at)}", instants.expires_at)]
    extra: tuple[Flag, ...] = ()
    if facts.requests:
        extra = (Flag.AWAITING_APPROVAL,)
        reasons.append(Reason("needs-approval", "a wipe was requested while the term is active: that takes a second person"))
    action = Action.NONE
    if facts.occupied_by_other:
        action = Action.FENCE
        reasons.append(_occupied())
    return Decision(
        state=State.NOTICE if reached else State.ACTIVE,
        flags=_flags(facts, held, *extra),
        action=action,
        next_at=min(coming) if coming else instants.expires_at,
        next_state=State.NOTICE if coming else State.GRACE,
        reasons=tuple(reasons),
        due_at=instants.due_at,
        notices=reached,
    )


def _in_grace(facts: LifecycleFacts, instants: Term, binding: _Binding, held: bool, now: datetime) -> Decision:
    reasons = [
        Reason("expired", f"the term ended at {_text(instants.expires_at)}", instants.expires_at),
        Reason("in-grace", f"a renewal is accepted until {_text(binding.due_at)}, then the phone is wiped", binding.due_at),
    ]
    if facts.occupied_by_other:
        reasons.append(_occupied())
    return Decision(
        state=State.GRACE,
        flags=_flags(facts, held),
        action=Action.FENCE if facts.occupied_by_other else Action.NONE,
        next_at=binding.due_at,
        next_state=State.DUE,
        reasons=tuple(reasons),
        due_at=binding.due_at,
        notices=tuple(seconds for at, seconds in instants.notices if at <= now),
    )


def _confirmed(facts: LifecycleFacts, binding: _Binding, safety: Safety, now: datetime) -> Reason | None:
    """Why the feed does not confirm that this phone is due; None if it does. A stale feed confirms what it last answered after the due instant."""
    complete_at = facts.feed.complete_at
    if complete_at is None:
        return Reason("feed-stale", "the feed has not given a complete answer yet: absent is not expired")
    fresh = now - complete_at <= timedelta(seconds=safety.feed_max_age)
    if complete_at > now + timedelta(seconds=safety.max_clock_step):
        return Reason("clock-suspect", "the feed's last complete answer lies in the future")
    if not fresh and complete_at < binding.due_at:
        return Reason("feed-stale", f"no complete answer since {_text(complete_at)}: a renewal may have been missed", complete_at)
    if binding.without_grace and facts.feed.complete_answers < ANSWERS_WITHOUT_GRACE:
        return Reason("not-settled", "a trigger without grace waits for two complete answers of the feed")
    return None


def _due(facts: LifecycleFacts, instants: Term, binding: _Binding, *, holds: tuple[Hold, ...], safety: Safety, now: datetime) -> Decision:
    reasons = [Reason("due", f"due since {_text(binding.due_at)} by {binding.kind} ({binding.ground})", binding.due_at)]
    extra: list[Flag] = [Flag.OVERDUE] if now >= instants.overdue_at else []
    wait: int | None = LOOK_AGAIN
    stop = _confirmed(facts, binding, safety, now)
    if holds:
        action, wait = Action.FENCE, None
        reasons.extend(Reason("legal-hold", f"hold {hold.id} on ground {hold.ground}: stopped, fenced and kept", hold.until) for hold in holds)
    elif facts.protected:
        action, wait = Action.FENCE, None
        reasons.append(Reason("protected", "an operator protects this phone: stopped, fenced and kept"))
    elif facts.clock_suspect:
        action = Action.NONE
        reasons.append(Reason("clock-suspect", "this host's clock cannot be trusted: nothing is concluded from time; see wipectl clock status"))
    elif stop is not None:
        action = Action.NONE
        reasons.append(stop)
    elif facts.breaker_open:
        action = Action.NONE
        extra.append(Flag.BREAKER)
        reasons.append(Reason("breaker-open", "too many phones fell due at once, which may be a mistake; see wipectl breaker status"))
    else:
        action = Action.WIPE
        if facts.refusals:
            wait = PLAN_AGAIN
            again_soon = "the last plan was refused; it is made again (wipectl plan tells which file, and which domain)"
            reasons.extend(Reason(code, again_soon) for code in facts.refusals)
    if facts.occupied_by_other:
        reasons.append(_occupied())
    again = None if wait is None else now + timedelta(seconds=wait)
    lifts = [hold.until for hold in holds if hold.until is not None]
    if lifts and len(lifts) == len(holds):
        again = max(lifts)
    if Flag.OVERDUE not in extra and (again is None or instants.overdue_at < again):
        again = instants.overdue_at
    return Decision(
        state=State.DUE,
        flags=_flags(facts, bool(holds), *extra),
        action=action,
        next_at=again,
        next_state=State.DUE,
        reasons=tuple(reasons),
        trigger=binding.kind,
        ground=binding.ground,
        due_at=binding.due_at,
        notices=tuple(seconds for at, seconds in instants.notices if at <= now),
    )


def last_word(facts: LifecycleFacts, policy: Policy, safety: Safety, now: datetime) -> Decision:
    """Step 5 of the order of a wipe (I7), asked inside the transaction that writes `erasing`, and before every retry.

    Before the first byte it is `decide`. Once erasing had begun time and renewal no longer matter (the data is already partly gone), but a hold or
    protection still stops the hands.
    """
    if facts.recorded_state not in _OF_THE_WIPE:
        return decide(facts, policy, safety, now)
    holds = active_holds(facts.holds, now)
    if holds or facts.protected:
        code = "legal-hold" if holds else "protected"
        return _still(facts, facts.recorded_state, bool(holds), Reason(code, "kept as it is: fenced, not erased any further"), Action.FENCE)
    resume = Reason("resume", "erasing had begun: it is finished")
    return _still(facts, facts.recorded_state, False, resume, Action.WIPE)
