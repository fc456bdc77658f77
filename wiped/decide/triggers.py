"""What can make a phone due, each with its own clock: the end of its term, and requests. Pure; the earliest binding one wins, all are told.

expiry        max(expires, first recorded) + max(grace, settle)         deadline from max(expires, first recorded)
request       asked + settle, and not before its date (a drain's)       deadline from then; a minor's or guardian's is the shorter one
  while the term runs: only once a second person, or billing's signature, agreed; and not before they did
  after the end: by itself, and not before the end + settle
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from wiped.decide import approval
from wiped.model.approvals import ERASING, FIRST, RequestKind
from wiped.model.instants import NEVER
from wiped.model.policy import Policy, Safety
from wiped.model.subscription import LifecycleFacts, Subscription, WipeRequest


@dataclass(frozen=True, slots=True)
class Term:
    """The instants of one subscription under one policy, all UTC."""

    notices: tuple[tuple[datetime, int], ...]
    expires_at: datetime
    due_at: datetime
    overdue_at: datetime
    without_grace: bool


@dataclass(frozen=True, slots=True)
class Trigger:
    """One reason to wipe. `due_at`: from when on; `overdue_at`: when the promised deadline passes, never before `due_at`; `urgent`: head of the queue;
    `one_by_one`: a person named this phone by typing its name."""

    due_at: datetime
    overdue_at: datetime
    kind: str
    ground: str
    without_grace: bool
    request: WipeRequest | None = None
    urgent: bool = False

    @property
    def one_by_one(self) -> bool:
        """Whether a person asked for this very phone by hand."""
        return self.kind == RequestKind.MANUAL


def term(subscription: Subscription, policy: Policy, safety: Safety) -> Term:
    """The instants of `subscription`. `due` never lies before the end was first recorded plus grace, and grace never counts less than `settle`.

    A term without an end (`NEVER`) has no notices.
    """
    grace = policy.minor_grace if subscription.minor else policy.grace
    base = max(subscription.expires_at, subscription.first_recorded_at)
    due_at = base + timedelta(seconds=max(grace, safety.settle))
    before = sorted(policy.notice, reverse=True) if subscription.expires_at < NEVER else ()
    return Term(
        notices=tuple((subscription.expires_at - timedelta(seconds=n), n) for n in before),
        expires_at=subscription.expires_at,
        due_at=due_at,
        overdue_at=max(due_at, base + timedelta(seconds=deadline(policy, shortest=subscription.minor))),
        without_grace=grace == 0,
    )


def deadline(policy: Policy, *, shortest: bool) -> int:
    """The promise, seconds: how long after its ground a phone is wiped at the latest."""
    return min(policy.deadline, policy.minor_deadline) if shortest else policy.deadline


def asked_at(request: WipeRequest) -> datetime:
    """When a request took effect: a drain's not before its date."""
    return max(request.requested_at, request.effective_at or request.requested_at)


def of_request(request: WipeRequest, subscription: Subscription, policy: Policy, safety: Safety, now: datetime) -> Trigger:
    """What `request` means for a phone with this term: its clock as of now, whether it binds or not (`binds`)."""
    asked = asked_at(request)
    settle = timedelta(seconds=safety.settle)
    after_the_end = max(asked, subscription.expires_at) + settle
    due_at = after_the_end
    if approval.stands(request, now):
        due_at = min(after_the_end, max(asked + settle, request.approved_at or asked))
    urgent = subscription.minor or request.kind in FIRST
    overdue_at = max(due_at, asked + timedelta(seconds=deadline(policy, shortest=urgent)))
    return Trigger(due_at, overdue_at, request.kind, request.ground, without_grace=True, request=request, urgent=urgent)


def binds(request: WipeRequest, subscription: Subscription, now: datetime) -> bool:
    """Whether a request may lead to a wipe by itself: its kind erases, and the term is over or somebody else agreed (R4, R14)."""
    return request.kind in ERASING and (now >= subscription.expires_at or approval.stands(request, now))


def binding(facts: LifecycleFacts, subscription: Subscription, policy: Policy, safety: Safety, now: datetime) -> Trigger:
    """The earliest trigger that binds; the end of the term where nothing else does."""
    instants = term(subscription, policy, safety)
    best = Trigger(instants.due_at, instants.overdue_at, "expiry", "service-ended", instants.without_grace, urgent=subscription.minor)
    for request in facts.requests:
        found = of_request(request, subscription, policy, safety, now)
        if binds(request, subscription, now) and found.due_at < best.due_at:
            best = found
    return best
