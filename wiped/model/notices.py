"""Notices to the provider's own systems (R8, R19): CloudEvents whose data carries pseudonyms and outcomes, and nothing else of a customer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class NoticeKind(StrEnum):
    """CloudEvents types, without the prefix `wiped.`."""

    EXPIRING = "phone.expiring"
    """Before expiry; data.notice_seconds says which of the policy's instants."""
    EXPIRED = "phone.expired"
    WIPE_SCHEDULED = "phone.wipe-scheduled"
    """Grace, or a settling trigger, has begun: data.due_at."""
    FENCED = "phone.fenced"
    WIPED = "phone.wiped"
    NOT_SANITIZED = "phone.not-sanitized"
    HELD = "phone.held"
    REFUSED = "phone.refused"
    RENEWED_TOO_LATE = "phone.renewed-too-late"
    """A renewal that came after the last word (issue: answered with the truth and an event)."""
    APPROVAL_ASKED = "approval.asked"
    DRAIN_ANNOUNCED = "drain.announced"
    DRAIN_CANCELLED = "drain.cancelled"
    HOLD_ENDING = "hold.ending"
    """A hold with an end date lifts soon."""
    BREAKER_OPENED = "breaker.opened"


class NoticeState(StrEnum):
    """Where a notice stands. `kept`: no receiver was configured when it arose; it is told in reports only."""

    KEPT = "kept"
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Notice:
    """One event. `seq` orders all notices of one `subject` (a phone's UUID; "" for the host, in order for each noun of its kinds); `id` is the
    CloudEvents and webhook id, the same at every attempt.

    `data`: JSON of codes, instants, ids and pseudonyms; checked by `notify.events` before it leaves."""

    id: str
    seq: int
    kind: NoticeKind
    subject: str
    generation: int
    account: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)
    state: NoticeState = NoticeState.PENDING
    attempts: int = 0
    next_at: datetime | None = None
    delivered_at: datetime | None = None
    last_fault: str = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many notices wait, since when the oldest does (None: none waits), and how many were given up."""

    pending: int = 0
    oldest_at: datetime | None = None
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one attempt ended. `fault`: a code, "" when it was delivered; `retry_after`: seconds that the receiver asked for; `alone`: the receiver
    refused this very notice and may take others."""

    delivered: bool
    fault: str = ""
    retry_after: int = 0
    alone: bool = False
