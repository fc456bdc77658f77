"""The ports that one daemon conducts, in one bundle, and the few conditions that hold for the whole host."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from wiped.decide.policies import Promises
from wiped.model.clock import ClockMemory
from wiped.model.policy import Policy, Safety, StorageRules
from wiped.model.subscription import FeedStatus
from wiped.ports.helpers import Eraser, Observer, Sheets
from wiped.ports.ledger import Ledger
from wiped.ports.libvirt import Fences, Hypervisor
from wiped.ports.machine import Announcer, Clock, Milestones, Randomness
from wiped.ports.outside import Feed
from wiped.ports.proofs import Signer

#: How long the eraser's locks are asked for before an image counts as in use (a killed eraser finishes its I/O first), and the pause between, seconds.
LOCK_PATIENCE = 30.0
LOCK_PAUSE = 1.0
#: How often a stopping domain and the decision behind it are looked at again, seconds.
STOP_PAUSE = 1.0
#: How long a domain that was destroyed may take to be gone, seconds.
GONE_PATIENCE = 60.0
#: Sweeps come every 30 s or more often: after so many seconds without a whole one something is wrong.
SWEEP_LATE = 60.0


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs: this host."""

    host: str
    residency: str
    version: str


@dataclass(slots=True)
class Conditions:
    """What is so for the whole host right now; written by the sweep, read by every decision."""

    feed: FeedStatus = field(default_factory=lambda: FeedStatus(complete_at=None))
    clock_suspect: str = ""
    """"" or why the clock cannot be trusted."""
    clock: ClockMemory | None = None
    """What is remembered of the clock; None before the first look."""
    clock_kept_at: float | None = None
    """Boottime at which that was last written to the ledger."""
    recorded_until: datetime | None = None
    """The instant of the newest audit entry from before the daemon's start: a clock that stands before it went back."""
    helper_fault: str = ""
    """"" or what the observer answered last instead of a survey."""
    last_sweep_at: datetime | None = None
    swept_at: float | None = None
    """Boottime of the end of the last sweep that looked at everything, seconds; before the first, of the daemon's first question for it."""
    emptied: set[str] = field(default_factory=set)
    """Running wipes that have removed all they had."""
    trimming: dict[int, asyncio.Lock] = field(default_factory=dict)
    """One turn per filesystem for making its free space unreadable."""
    refused: dict[str, str] = field(default_factory=dict)
    """Phone -> the last refusal in words, with file and domain; its codes are in the ledger, these only until the daemon ends."""
    promises: Promises = field(default_factory=dict)
    """What each policy's grace was, and since when (`conduct.policies`)."""
    without_policy: dict[str, str] = field(default_factory=dict)
    """Phone -> the policy that its term names and the configuration does not have."""
    orphan_images: int | None = None
    """How many images no domain reached when they were last counted; None: not counted yet."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside that `conduct` may touch. `pause` waits for that many seconds (asyncio.sleep; tests move their clock instead)."""

    clock: Clock
    randomness: Randomness
    hypervisor: Hypervisor
    fences: Fences
    observer: Observer
    eraser: Eraser
    feed: Feed
    ledger: Ledger
    sheets: Sheets
    signer: Signer
    milestones: Milestones
    announcer: Announcer
    policies: Mapping[str, Policy]
    safety: Safety
    rules: StorageRules
    issuer: Issuer
    pause: Callable[[float], Awaitable[None]]
    conditions: Conditions = field(default_factory=Conditions)
