"""What the faces show: the host at a glance, one phone explained, a wipe asked for, a wipe's news. Sizes in bytes, spans in seconds, instants UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from wiped.model.approvals import Approval, Drain
from wiped.model.records import PhoneRecord, WipeRecord, WipeStep
from wiped.model.subscription import Decision, Hold, Subscription, WipeRequest


@dataclass(frozen=True, slots=True)
class WipeProgress:
    """A running wipe. `phase` is `erase`, `read-back` or "" (no bytes are moving); `done` of `total` bytes over all its artefacts in that phase;
    `rate` in bytes a second; `eta_seconds` None while unknown."""

    wipe_id: str
    uuid: str
    name: str
    step: WipeStep
    phase: str = ""
    artefact_id: str = ""
    done: int = 0
    total: int = 0
    rate: int = 0
    eta_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class HostStatus:
    """The host at a glance. `phones` counts by state (all states present), `flags` by flag over phones whose time has come. `feed_age_seconds` None: never
    answered. `hook_fault` "" when libvirt has our hook loaded. `last_sweep_at` None: no sweep has succeeded yet."""

    host: str
    version: str
    at: datetime
    phones: dict[str, int]
    flags: dict[str, int] = field(default_factory=dict)
    overdue: int = 0
    oldest_overdue_seconds: int = 0
    running: tuple[WipeProgress, ...] = ()
    queued: int = 0
    quarantined: int = 0
    holds: int = 0
    feed_kind: str = "local"
    feed_age_seconds: int | None = None
    libvirt_up: bool = False
    hook_fault: str = ""
    breaker_open: bool = False
    clock_suspect: bool = False
    last_sweep_at: datetime | None = None
    orphan_images: int | None = None
    notices_pending: int = 0
    notices_dead: int = 0
    notices_oldest_seconds: int = 0
    """Since when the oldest pending notice waits."""
    faults: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """What an operator last did to a phone by hand, until its account is anonymised. `kind`: `suspended` or `protected`; `on`: whether that was set or taken
    back; `reason`: what the operator typed."""

    kind: str
    on: bool
    reason: str
    operator: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Explanation:
    """One phone with a decision made now, and everything that it was made from. `wipes` newest first; `approvals` that wait and concern it; `drains` in
    force that will reach it; `words`: id of a request or hold -> what people wrote with it, unsealed; `refused`: the last refusal in words, naming file
    and domain, "" where there is none or this daemon has not met it yet; `marks`: who suspended, resumed, protected or unprotected the phone last, and why."""

    phone: PhoneRecord
    decision: Decision
    subscription: Subscription | None
    holds: tuple[Hold, ...]
    requests: tuple[WipeRequest, ...]
    wipes: tuple[WipeRecord, ...]
    approvals: tuple[Approval, ...] = ()
    drains: tuple[Drain, ...] = ()
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: str = ""
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestsAsked:
    """What `add_request` recorded: (uuid, request) of each phone, and what waits for a second person (None: nothing does)."""

    requests: tuple[tuple[str, WipeRequest], ...]
    approval: Approval | None


@dataclass(frozen=True, slots=True)
class WipeAsked:
    """The answer to a manual request: its id, the wipe once one has begun (None: accepted, but not begun, `decision` says why and until when)."""

    request_id: str
    wipe: WipeRecord | None
    decision: Decision


@dataclass(frozen=True, slots=True)
class WipeNews:
    """One event of a wipe for whoever watches it. `event` is `progress`, `step` or `end` (no more events follow)."""

    event: str
    wipe_id: str
    step: str = ""
    phase: str = ""
    artefact_id: str = ""
    done: int = 0
    total: int = 0
    eta_seconds: int | None = None
