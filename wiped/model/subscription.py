"""Subscriptions, phones, and everything that the lifecycle decision reads and returns. Instants are aware UTC datetimes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """The life of a phone (docs/design.md): exactly one."""

    UNBOUND = "unbound"
    ACTIVE = "active"
    NOTICE = "notice"
    GRACE = "grace"
    DUE = "due"
    ERASING = "erasing"
    VERIFYING = "verifying"
    WIPED = "wiped"
    RELEASED = "released"
    RECYCLED = "recycled"
    QUARANTINED = "quarantined"
    DISPOSED = "disposed"
    VANISHED = "vanished"


#: The generation has ended: nothing of it is wiped any more.
ENDED_STATES = frozenset({State.RELEASED, State.RECYCLED, State.DISPOSED})
#: States that a wipe sets; a decision made from facts of before cannot take them back.
WIPE_STATES = frozenset({State.ERASING, State.VERIFYING, State.WIPED, State.QUARANTINED, *ENDED_STATES})


class Flag(StrEnum):
    """Flags of a phone (docs/design.md): any number."""

    HELD = "held"
    PROTECTED = "protected"
    SUSPENDED = "suspended"
    FENCED = "fenced"
    REFUSED = "refused"
    AWAITING_APPROVAL = "awaiting-approval"
    BREAKER = "breaker"
    OVERDUE = "overdue"
    MINOR = "minor"


class Action(StrEnum):
    """What the conductor should do now."""

    NONE = "none"
    WIPE = "wipe"
    FENCE = "fence"
    """Stop and fence, keep the data (held phone whose time has come, occupied generation)."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One term of one account on one phone. `account` is the pseudonym; the reference is never stored (R11).

    `first_recorded_at`: when this host first recorded this end; `due` never lies before it plus grace (docs/design.md).
    """

    uuid: str
    generation: int
    subscription_id: str
    account: str
    starts_at: datetime
    expires_at: datetime
    first_recorded_at: datetime
    policy: str = "default"
    minor: bool = False
    revision: int = 0
    source: str = "local"
    product: str = ""
    """The product that the phone is sold as, for drains; a label of the provider's."""
    feed_revision: int | None = None
    """The feed's own revision of its newest record; an older one is refused."""


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """A subscription as a feed, file or operator hands it in, before it has a generation. `account` is the *reference*: it is turned into a
    pseudonym at once and never logged (its repr is hidden)."""

    uuid: str
    subscription_id: str
    account: AccountReference
    starts_at: datetime
    expires_at: datetime
    policy: str = "default"
    minor: bool = False
    product: str = ""
    revision: int | None = None
    """The feed's own; None where it counts none."""
    signed: bool = False
    """Billing's signature over this record was verified."""
    left_out: frozenset[str] = frozenset()
    """Of `policy`, `minor` and `product`, what the source did not say: a term that goes on keeps it (I10)."""

    def completed(self, term: Subscription) -> SubscriptionRecord:
        """With what was left out as `term`, which goes on, has it."""
        kept: dict[str, Any] = {name: getattr(term, name) for name in self.left_out}
        return replace(self, **kept, left_out=frozenset())


@dataclass(frozen=True, slots=True, repr=False)
class AccountReference:
    """A customer's account reference in the clear, on its way to becoming a pseudonym. Never printed: its repr and str are masks."""

    value: str

    def __repr__(self) -> str:
        return "AccountReference(***)"

    def __str__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold that blocks every path to a wipe (R9), by phone or by account pseudonym."""

    id: str
    uuid: str
    account: str
    ground: str
    until: datetime | None = None
    authority: str = ""
    """Who ordered it; sealed at rest, "" once anonymised."""
    reference: str = ""
    """The authority's own; sealed at rest."""
    disclose: bool = True
    """Whether a subject report may name it."""
    added_at: datetime | None = None
    operator: str = ""
    note: str = ""
    """To whoever adds it: which of its phones lose bytes already. Not kept."""


@dataclass(frozen=True, slots=True)
class WipeRequest:
    """A trigger other than expiry (`model.asks.RequestKind`).

    `approved`: a second person (or billing's signature: `signed`) agreed to the plan with `fingerprint`, until `approved_until`; without it nothing active
    is ever erased. `effective_at`: not before then (a drain's date). `account`: the pseudonym, where every phone of an account was meant. `reference`: the
    request's own id, as certificates name it (what the requester wrote is sealed apart, docs/decisions/0011); `operator`, `approver`: staff identities.
    """

    id: str
    kind: str
    ground: str
    requested_at: datetime
    approved: bool = False
    reference: str = ""
    operator: str = ""
    account: str = ""
    effective_at: datetime | None = None
    signed: bool = False
    approver: str = ""
    approved_at: datetime | None = None
    approved_until: datetime | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """`complete_at`: when the feed last gave a complete answer (None: never); `complete_answers`: how many complete answers in a row."""

    complete_at: datetime | None
    complete_answers: int = 0
    kind: str = "local"
    fault: str = ""
    """Why the last answer was not taken (`decide.feed_answer.FeedFault`)."""


@dataclass(frozen=True, slots=True)
class FeedTaken:
    """What became of a feed's records: how many changed something, how many stood already so, and (uuid, code) of the refused."""

    changed: int = 0
    unchanged: int = 0
    refused: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LifecycleFacts:
    """Everything `decide.lifecycle` may look at, for one phone.

    `recorded_state` is the ledger's last state; the states from `erasing` on are facts of the wipe, not of time, and are passed through.
    `clock_suspect`, `breaker_open`, `occupied_by_other` come from the conductor. `present`: libvirt knows the domain. `wipe_committed`: the last word
    (step 5) was spoken; nothing turns back. `complete_answers_since_recorded` counts complete feed answers since the binding end was first recorded.
    """

    uuid: str
    generation: int
    subscription: Subscription | None
    recorded_state: State
    feed: FeedStatus
    holds: tuple[Hold, ...] = ()
    requests: tuple[WipeRequest, ...] = ()
    present: bool = True
    protected: bool = False
    suspended: bool = False
    fenced: bool = False
    clock_suspect: bool = False
    breaker_open: bool = False
    occupied_by_other: bool = False
    refusals: tuple[str, ...] = ()
    migrated: bool = False
    """libvirt told that the phone left by migration: none of its files is wiped here."""
    draining: bool = False
    """A drain of this host, or of the phone's product, was announced and not cancelled; its own trigger stands among `requests`."""
    remembered: bool = False
    """It was looked at on this host in its generation: a vanished phone is known by that. A term alone, for a UUID never seen here, is none."""
    stopped: bool = False
    """A fence stopped it while it ran, and it was not started again."""
    recorded_due_at: datetime | None = None
    """The due instant of the last decision: another one now means that a record changed, not the time."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as data: a stable code, a sentence for people, and since when."""

    code: str
    detail: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is so, what to do, and when it changes by itself next (`next_at` None: never by time alone).

    `trigger` and `ground` name the binding trigger when `action` is wipe. `notices` are the notice instants (seconds before expiry) already reached.
    """

    state: State
    flags: tuple[Flag, ...]
    action: Action
    next_at: datetime | None
    next_state: State | None
    reasons: tuple[Reason, ...]
    trigger: str = ""
    ground: str = ""
    due_at: datetime | None = None
    notices: tuple[int, ...] = ()
    request_id: str = ""
    """Of the binding trigger, where that is a request."""
    approved: bool = False
    """The binding trigger was agreed to by a second person."""
    urgent: bool = False
    """Head of the queue: a minor's phone, a guardian's notice, or a passed deadline (R6)."""
    overdue_at: datetime | None = None
    """When the promised deadline passes."""
    quiet: bool = False
    """Nothing is told to a customer that follows from time (`gate.Act.TELL` waits)."""
