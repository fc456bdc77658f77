"""What people ask for, hold and approve: kinds of requests with their grounds, grounds of legal holds, what takes two people, and drains.

Source of the words: docs/contract.md (hold grounds, request kinds), docs/design.md, "The life of a phone", R3 to R7, R9, R14, R17. Instants are aware UTC
datetimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType


class RequestKind(StrEnum):
    """A trigger other than expiry."""

    MANUAL = "manual"
    DELETION = "deletion"
    CANCELLATION = "cancellation"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    GUARDIAN = "guardian"
    LEAK = "leak"
    """Suspends now; never a reason to erase by itself (R17)."""
    DRAIN = "drain"
    """Made by `wipectl drain`, never by `requests add` (R7)."""


#: The grounds that each kind may name; the first is the default where there is only one.
GROUNDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        RequestKind.MANUAL: ("service-ended",),
        RequestKind.DELETION: ("unlawful-processing", "no-consent", "breach-of-agreement", "no-longer-used", "service-ended"),
        RequestKind.CANCELLATION: ("account-cancelled",),
        RequestKind.CONSENT_WITHDRAWN: ("consent-withdrawn",),
        RequestKind.GUARDIAN: ("guardian-notice",),
        RequestKind.LEAK: ("reported-leak",),
        RequestKind.DRAIN: ("operation-ends",),
    }
)

#: Kinds that stop and fence a phone whose term still runs, at once (docs/design.md, "The life of a phone").
FENCING = frozenset({RequestKind.DELETION, RequestKind.CANCELLATION, RequestKind.CONSENT_WITHDRAWN, RequestKind.GUARDIAN, RequestKind.LEAK})
#: Kinds that erase.
ERASING = frozenset(set(RequestKind) - {RequestKind.LEAK})
#: Kinds that `wipectl requests add` takes.
ASKED = (RequestKind.DELETION, RequestKind.CANCELLATION, RequestKind.CONSENT_WITHDRAWN, RequestKind.GUARDIAN, RequestKind.LEAK)
#: Kinds that go to the head of the queue (R6).
FIRST = frozenset({RequestKind.GUARDIAN})


class HoldGround(StrEnum):
    """The policy's exceptions to deletion (R9), closed."""

    LEGAL_DUTY = "legal-duty"
    NATIONAL_SECURITY = "national-security"
    PUBLIC_SECURITY = "public-security"
    CRIMINAL_INVESTIGATION = "criminal-investigation"
    LITIGATION = "litigation"
    VITAL_INTERESTS = "vital-interests"
    OTHERS_RIGHTS = "others-rights"
    BAD_FAITH = "bad-faith"
    TRADE_SECRET = "trade-secret"


#: Holds on these grounds are not told to the data subject unless the hold says so (a report names no more than their number).
UNDISCLOSED = frozenset({HoldGround.NATIONAL_SECURITY, HoldGround.PUBLIC_SECURITY, HoldGround.CRIMINAL_INVESTIGATION})


class ApprovalKind(StrEnum):
    """What takes two people (R14)."""

    WIPE = "wipe"
    """A request on a phone whose term still runs. Subject: the request's id."""
    SHORTEN = "shorten-term"
    """Bringing the end of a running term forward by hand. Subject: the phone's UUID; `terms` holds the new instants."""
    DISPOSE = "dispose"
    """Subject: the wipe's id; `terms` holds the reference of the decision."""
    BREAKER = "breaker-release"
    """Subject: the number of its opening; the fingerprint names the phones that wait."""
    HOLD_RELEASE = "hold-release"
    """Subject: the hold's id."""
    DRAIN = "drain"
    """That a drain may wipe phones whose terms still run at its date. Subject: the drain's id."""
    DRAIN_CANCEL = "drain-cancel"
    """Subject: the drain's id."""
    CLASSIFY = "classify-private"
    """Subject: the image's path; `terms` holds device and inode of the file."""


class ApprovalState(StrEnum):
    """Where an approval stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    """What it was for is gone (wiped, renewed, released otherwise) or its plan changed."""


@dataclass(frozen=True, slots=True)
class Person:
    """A member of staff as a face authenticated them: `name` for the audit log, `uid` (-1: not a local user), whether they have the approver's
    role. A token and a login of one person bear one `name`. uid 0 is nobody in particular: it asks, and never approves (docs/design.md)."""

    name: str
    uid: int = -1
    may_approve: bool = False

    @property
    def somebody(self) -> bool:
        """Whether this is one particular person."""
        return self.uid != 0 and self.name not in ("root", "daemon", "")


@dataclass(frozen=True, slots=True)
class Approval:
    """Something that waits for another person. `uuids`: the phones that it is about; `fingerprint`: of what is approved (a plan's, or of several:
    `decide.approval.combined`).

    `asked_by` asked; `approvals` are the names of those who agreed so far; `needed`: how many that takes (1; 2 where nobody in particular asked)."""

    id: str
    kind: ApprovalKind
    subject: str
    uuids: tuple[str, ...]
    fingerprint: str
    asked_by: str
    asked_uid: int
    asked_at: datetime
    expires_at: datetime
    state: ApprovalState = ApprovalState.PENDING
    approvals: tuple[str, ...] = ()
    needed: int = 1
    decided_at: datetime | None = None
    terms: Mapping[str, str] | None = None
    """What carrying it out needs beside its subject, as text: instants of a shortened term, the meaning of an image. Never a customer's words."""


@dataclass(frozen=True, slots=True)
class Drain:
    """An announced end of this host, or of one product on it (R7). Until `at` it may be cancelled; meanwhile no new subscription is accepted.

    `approved`: a second person agreed that at `at` phones whose terms still run are wiped too; without it those are not touched."""

    id: str
    at: datetime
    product: str = ""
    announced_at: datetime | None = None
    operator: str = ""
    approved: bool = False
    approver: str = ""
    cancelled_at: datetime | None = None
