"""The policy: what state a phone is in, what is to be done, when that changes by itself, and every reason.

The clock of a term (`decide.triggers` has those of requests):

    expires - longest notice      expires           due = max(expires, first recorded) + max(grace, settle)
    ──── active ────┼──── notice ────┼──── grace ────┼──── due ─── erasing ─ verifying ─ wiped
                                                     action WIPE unless a guard below says no

Stopped and fenced, reversibly, before any of that: a suspended phone (R17), and one whose deletion, cancellation, withdrawn consent or guardian's
notice was asked for (R3 to R6). While its term runs such a request erases only after a second person (R14).

Guards on a due phone, in this order: a legal hold (R9) or protection (stop and fence, keep), a suspect clock, a stale feed, a trigger that has not
settled, an open breaker, a closed maintenance window. Unknown, missing or stale input never leads to a wipe. Which of them stop which act is the table of
`decide.gate`. While the clock is suspect no phone changes its state by time, in either direction; what people and billing record still counts.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from wiped.decide import approval, gate
from wiped.decide.conditions import SUSPECT, conditions
from wiped.decide.fences import OCCUPIED, SUSPENDED, asked_reason, fencing, other_requests
from wiped.decide.gate import Act, Condition
from wiped.decide.holds import active_holds, with_holds
from wiped.decide.triggers import Term, Trigger, asked_at, binding, binds, of_request, term
from wiped.model.approvals import FENCING, RequestKind
from wiped.model.instants import NEVER, second_text
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
)

#: A due phone that a guard stops is decided again after this many seconds.
LOOK_AGAIN = 60
#: A due phone whose plan was refused is planned again after this many seconds.
PLAN_AGAIN = 300

#: States that the wipe itself determines; time and feed do not change them.
_OF_THE_WIPE = frozenset({State.ERASING, State.VERIFYING, State.QUARANTINED})
#: States that follow each other by time alone.
_OF_TIME = frozenset({State.ACTIVE, State.NOTICE, State.GRACE, State.DUE})
_FLAG_ORDER = {flag: order for order, flag in enumerate(Flag)}
_ENDED = frozenset({State.WIPED, State.RELEASED, State.RECYCLED})
_DISPOSED = (
    "two people accepted that it cannot be proven: files, domain and fence stay, and no new subscription is bound to this UUID. Destroy the medium, then "
    "virsh undefine the domain, then remove its file in /var/lib/wiped/fence: only then is the fence lifted for good"
)


def _flags(facts: LifecycleFacts, held: bool, *extra: Flag) -> tuple[Flag, ...]:
    found = set(extra)
    if held:
        found.add(Flag.HELD)
    if facts.protected:
        found.add(Flag.PROTECTED)
    if facts.suspended:
        found.add(Flag.SUSPENDED)
    if facts.fenced:
        found.add(Flag.FENCED)
    if facts.refusals or facts.occupied_by_other:
        found.add(Flag.REFUSED)
    if facts.subscription is not None and facts.subscription.minor:
        found.add(Flag.MINOR)
    return tuple(sorted(found, key=_FLAG_ORDER.__getitem__))


def _still(facts: LifecycleFacts, state: State, held: bool, *reasons: Reason, action: Action = Action.NONE) -> Decision:
    return Decision(state=state, flags=_flags(facts, held), action=action, next_at=None, next_state=None, reasons=reasons)


def _without_term(facts: LifecycleFacts, held: bool) -> Decision:
    if not facts.present:
        return _still(facts, State.VANISHED, held, Reason("no-such-domain", "no domain with this UUID is on the host and no term is known"))
    why_fenced, action, flags = fencing(facts)
    unbound = Reason("unbound", "no subscription is recorded: nothing is concluded about this domain")
    decision = _still(facts, State.UNBOUND, held, *why_fenced, unbound, action=action)
    return replace(decision, flags=_flags(facts, held, *flags))


# -- the decision
def decide(facts: LifecycleFacts, policy: Policy, safety: Safety, now: datetime) -> Decision:
    """The decision for one phone at `now` (aware UTC). Pure; total: every combination of facts has an answer.

    A state that the wipe itself determines (erasing, verifying, quarantined) or that ended the generation is returned as it is, with action NONE:
    retries are the conductor's, through `last_word`.
    """
    holds = active_holds(facts.holds, now)
    return with_holds(_decided(facts, holds, policy, safety, now), holds, safety, now)


def _decided(facts: LifecycleFacts, holds: tuple[Hold, ...], policy: Policy, safety: Safety, now: datetime) -> Decision:
    held = bool(holds)
    state = facts.recorded_state
    if state in _OF_THE_WIPE:
        return _still(facts, state, held, Reason(f"is-{state}", "the wipe has begun; its own steps decide what happens next"))
    if state is State.DISPOSED:
        return _still(facts, state, held, Reason("is-disposed", _DISPOSED))
    if state in _ENDED:
        return _still(facts, state, held, Reason(f"is-{state}", "this generation has ended; a new subscription begins the next one"))
    subscription = facts.subscription
    if subscription is None:
        return _without_term(facts, held)
    instants = term(subscription, policy, safety)
    trigger = binding(facts, subscription, policy, safety, now)
    if not facts.present:
        decision = _vanished(facts, trigger, holds, policy=policy, safety=safety, now=now)
    elif now >= trigger.due_at:
        decision = _due(facts, trigger, holds, policy=policy, safety=safety, now=now)
    elif now < instants.expires_at:
        decision = _before_expiry(facts, subscription, instants, trigger, policy=policy, safety=safety, now=now)
    else:
        decision = _in_grace(facts, instants, trigger)
    reached = tuple(seconds for at, seconds in instants.notices if at <= now)
    if decision.state is State.VANISHED:  # its notices fall due all the same
        coming = [at for at in (*(at for at, _ in instants.notices), decision.next_at) if at is not None and at > now]
        decision = replace(decision, next_at=min(coming, default=None))
    if not gate.ask(Act.TELL, {Condition.CLOCK_SUSPECT} if facts.clock_suspect else ()).go:
        decision = _not_by_time(facts, decision, now)
    return replace(decision, notices=reached, flags=_flags(facts, held, *decision.flags), overdue_at=decision.overdue_at or trigger.overdue_at)


def as_recorded(facts: LifecycleFacts, why: Reason, again: datetime) -> Decision:
    """Nothing can be concluded about a phone: it stays as it is recorded, `why` is said, people's and customers' requests fence it all the same, and it is
    decided again at `again`. A wipe that has begun waits."""
    why_fenced, action, flags = fencing(facts) if facts.recorded_state not in _OF_THE_WIPE | _ENDED else ((), Action.NONE, ())
    return Decision(
        state=facts.recorded_state,
        flags=_flags(facts, bool(facts.holds), Flag.REFUSED, *flags),
        action=action,
        next_at=again,
        next_state=facts.recorded_state,
        reasons=(why, *why_fenced),
        due_at=facts.recorded_due_at,
        quiet=True,
    )


def _not_by_time(facts: LifecycleFacts, decision: Decision, now: datetime) -> Decision:
    """While the clock is suspect: told to nobody; and as recorded, where nothing but the time would have changed it. That a term is over is always by time."""
    again = now + timedelta(seconds=LOOK_AGAIN)
    decision = replace(decision, quiet=True, next_at=min(again, decision.next_at or again))
    moved = decision.state is not facts.recorded_state and {decision.state, facts.recorded_state} <= _OF_TIME
    if not moved or (decision.due_at != facts.recorded_due_at and decision.state in (State.ACTIVE, State.NOTICE)):
        return decision
    why_fenced, action, flags = fencing(facts)
    return replace(
        decision,
        state=facts.recorded_state,
        flags=flags,
        action=action,
        next_at=again,
        next_state=facts.recorded_state,
        reasons=(SUSPECT, *why_fenced, *other_requests(facts)),
        trigger="",
        ground="",
        request_id="",
        approved=False,
        urgent=False,
    )


_GONE = Reason("no-such-domain", "libvirt knows no domain with this UUID; vanishing never makes a phone due")


def _vanished(facts: LifecycleFacts, trigger: Trigger, holds: tuple[Hold, ...], *, policy: Policy, safety: Safety, now: datetime) -> Decision:
    """The domain disappeared. Its own time comes as if it had not; then what is left of it is wiped, under the same guards as a phone that is there."""
    held = bool(holds)
    if facts.migrated:
        return _still(facts, State.VANISHED, held, Reason("migrated-away", "it left by migration: nothing of it is wiped on this host"))
    if not facts.remembered:
        return _still(facts, State.VANISHED, held, _GONE)
    if now < trigger.due_at:
        waiting = _still(facts, State.VANISHED, held, _GONE)
        return replace(waiting, next_at=trigger.due_at, next_state=State.DUE, due_at=trigger.due_at)
    due = _due(facts, trigger, holds, policy=policy, safety=safety, now=now)
    gone = Reason("vanished", "the domain is gone: only what was remembered of it and is still there can be wiped")
    return replace(due, reasons=(due.reasons[0], gone, *due.reasons[1:]))


def _before_expiry(
    facts: LifecycleFacts, subscription: Subscription, instants: Term, trigger: Trigger, *, policy: Policy, safety: Safety, now: datetime
) -> Decision:  # fmt: skip
    """The term runs. Requests fence; they erase once a second person agreed."""
    endless = instants.expires_at >= NEVER
    reasons = [
        Reason("subscription-active", "the term has no end")
        if endless
        else Reason("subscription-active", f"the term ends at {second_text(instants.expires_at)}", instants.expires_at)
    ]
    why_fenced, action, flags = fencing(facts)
    reasons.extend(why_fenced)
    reasons.extend(other_requests(facts))
    coming = [at for at, _ in instants.notices if at > now]
    changes = [(min(coming), State.NOTICE)] if coming else [(instants.expires_at, State.GRACE)]
    extra = [*flags]
    for request in facts.requests:
        found = of_request(request, subscription, policy, safety, now)
        if binds(request, subscription, now):
            reasons.append(Reason("settling", f"agreed to; the phone is wiped from {second_text(found.due_at)} on", found.due_at))
            changes.append((found.due_at, State.DUE))
            if request.approved_until is not None and not request.signed:
                changes.append((request.approved_until, State.ACTIVE))
        elif request.kind != RequestKind.LEAK:
            if request.effective_at is not None and now < asked_at(request):
                reasons.append(Reason("draining", f"announced for {second_text(asked_at(request))}", asked_at(request)))
                changes.append((asked_at(request), State.NOTICE))
                continue
            extra.append(Flag.AWAITING_APPROVAL)
            reasons.append(Reason("needs-approval", "the term still runs: erasing it takes a second person (wipectl approvals list)"))
            late = asked_at(request) + timedelta(seconds=min(policy.deadline, policy.minor_deadline) if found.urgent else policy.deadline)
            if now >= late:
                extra.append(Flag.OVERDUE)
            else:
                changes.append((late, State.NOTICE))
    at, following = min((change for change in changes if change[0] > now), default=(instants.expires_at, State.GRACE))
    never = at >= NEVER  # a term without an end: nothing changes by time alone
    state = State.NOTICE if any(at <= now for at, _ in instants.notices) else State.ACTIVE
    return Decision(
        state=state,
        flags=tuple(extra),
        action=action,
        next_at=None if never else at,
        next_state=None if never else following if following in (State.DUE, State.GRACE) or at in coming else state,
        reasons=tuple(reasons),
        due_at=trigger.due_at,
    )


def _in_grace(facts: LifecycleFacts, instants: Term, trigger: Trigger) -> Decision:
    why_fenced, action, flags = fencing(facts)
    offer = "a renewal is accepted until" if trigger.kind == "expiry" else "it settles until"
    return Decision(
        state=State.GRACE,
        flags=flags,
        action=action,
        next_at=trigger.due_at,
        next_state=State.DUE,
        reasons=(
            Reason("expired", f"the term ended at {second_text(instants.expires_at)}", instants.expires_at),
            Reason("in-grace", f"{offer} {second_text(trigger.due_at)}, then the phone is wiped", trigger.due_at),
            *why_fenced,
            *other_requests(facts),
        ),
        due_at=trigger.due_at,
    )


def _due(facts: LifecycleFacts, trigger: Trigger, holds: tuple[Hold, ...], *, policy: Policy, safety: Safety, now: datetime) -> Decision:
    """Its time has come: wiped, unless a guard says no."""
    reasons = [Reason("due", f"due since {second_text(trigger.due_at)} by {trigger.kind} ({trigger.ground})", trigger.due_at)]
    reasons.extend(asked_reason(request) for request in facts.requests if request is not trigger.request)
    found = conditions(facts, trigger, holds, policy=policy, safety=safety, now=now)
    stopped = next((why for condition, why in found.items() if not gate.ask(Act.ERASE, {condition}).go), ())
    reasons.extend(stopped)
    extra = [Flag.OVERDUE] if now >= trigger.overdue_at else []
    fenced = Action.FENCE if facts.suspended or any(request.kind in FENCING for request in facts.requests) else Action.NONE
    again: datetime | None = now + timedelta(seconds=LOOK_AGAIN)
    if holds or facts.protected:
        keep = gate.ask(Act.STOP_DUE, found)
        if keep.go or facts.fenced:  # a fence that stands already is no new act
            action, again = (Action.FENCE if policy.fence_held or not holds else fenced), _lapse(trigger, now)
        else:
            action = fenced
            reasons.extend(why for condition in keep.because[:1] for why in found[condition])
            extra += [Flag.BREAKER] if Condition.BREAKER_OPEN in keep.because[:1] else []
    elif stopped:
        action = fenced
        if stopped[0].code == "breaker-open":
            extra.append(Flag.BREAKER)
        if stopped[0].code == "outside-window":
            again = stopped[0].at
    else:
        action = Action.WIPE
        if facts.refusals:
            again = now + timedelta(seconds=PLAN_AGAIN)
            again_soon = "the last plan was refused; it is made again (wipectl plan tells which file, and which domain)"
            reasons.extend(Reason(code, again_soon) for code in facts.refusals)
    if facts.suspended:
        reasons.append(SUSPENDED)
    if facts.occupied_by_other:
        reasons.append(OCCUPIED)
    if Flag.OVERDUE not in extra and (again is None or trigger.overdue_at < again):
        again = trigger.overdue_at
    return Decision(
        state=State.DUE,
        flags=tuple(extra),
        action=action,
        next_at=again,
        next_state=State.DUE,
        reasons=tuple(reasons),
        trigger=trigger.kind,
        ground=trigger.ground,
        due_at=trigger.due_at,
        request_id=trigger.request.id if trigger.request else "",
        approved=trigger.request is not None and trigger.request.approved and approval.stands(trigger.request, now),
        urgent=trigger.urgent or Flag.OVERDUE in extra,
        overdue_at=trigger.overdue_at,
    )


def _lapse(trigger: Trigger, now: datetime) -> datetime | None:
    """When what was agreed to lapses, and the phone is not due any more, if nothing else changes it before."""
    request = trigger.request
    until = request.approved_until if request is not None and not request.signed else None
    return until if until is not None and until > now else None


def last_word(facts: LifecycleFacts, policy: Policy, safety: Safety, now: datetime) -> Decision:
    """Step 5 of the order of a wipe (I7), asked inside the transaction that writes `erasing`, and before every retry.

    Before the first byte it is `decide`. Once erasing had begun time and renewal no longer matter (the data is already partly gone), but a hold or
    protection still stops the hands; and so does a suspect clock, by which a hold's end cannot be told.
    """
    if facts.recorded_state not in _OF_THE_WIPE:
        return decide(facts, policy, safety, now)
    holds = active_holds(facts.holds, now)
    if holds or facts.protected:
        code = "legal-hold" if holds else "protected"
        return _still(facts, facts.recorded_state, bool(holds), Reason(code, "kept as it is: fenced, not erased any further"), action=Action.FENCE)
    if facts.clock_suspect:
        suspect = Reason("clock-suspect", "this host's clock cannot be trusted, nor the end of a hold: nothing is erased any further until it can")
        return _still(facts, facts.recorded_state, False, suspect, action=Action.FENCE)
    resume = Reason("resume", "erasing had begun: it is finished")
    return _still(facts, facts.recorded_state, False, resume, action=Action.WIPE)
