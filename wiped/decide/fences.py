"""What stops and fences a phone before its time: another account, a suspension, and requests of customers and guardians; with its reasons. Pure."""

from __future__ import annotations

from wiped.decide import gate
from wiped.decide.conditions import BREAKER
from wiped.decide.gate import Act, Condition
from wiped.decide.triggers import asked_at
from wiped.model.approvals import FENCING
from wiped.model.instants import second_text
from wiped.model.subscription import Action, Flag, LifecycleFacts, Reason, WipeRequest

OCCUPIED = Reason("generation-occupied", "another account was recorded for this phone before it was wiped: fenced, settle it with billing")
SUSPENDED = Reason("suspended", "an operator suspended it, or a leak was reported: stopped and fenced, reversible (wipectl resume)")


def asked_reason(request: WipeRequest) -> Reason:
    """That something was asked for, and when."""
    return Reason(f"{request.kind}-requested", f"{request.kind} ({request.ground}) was asked for at {second_text(request.requested_at)}", asked_at(request))


def fencing(facts: LifecycleFacts) -> tuple[tuple[Reason, ...], Action, tuple[Flag, ...]]:
    """Why the phone is to be stopped and fenced, whatever its time; FENCE where that is done now; and flags. A fence that stands already is no new act."""
    reasons, action = [], Action.NONE
    flags: tuple[Flag, ...] = ()
    if facts.occupied_by_other:
        reasons.append(OCCUPIED)
        if facts.fenced or gate.ask(Act.STOP_OCCUPIED, {Condition.BREAKER_OPEN} if facts.breaker_open else ()).go:
            action = Action.FENCE
        else:
            reasons.append(BREAKER)
            flags = (Flag.BREAKER,)
    asked = [SUSPENDED] if facts.suspended else []
    asked.extend(asked_reason(request) for request in facts.requests if request.kind in FENCING)
    return (*reasons, *asked), Action.FENCE if asked else action, flags


def other_requests(facts: LifecycleFacts) -> tuple[Reason, ...]:
    """Requests that fence nothing: an operator's, a drain's."""
    return tuple(asked_reason(request) for request in facts.requests if request.kind not in FENCING)
