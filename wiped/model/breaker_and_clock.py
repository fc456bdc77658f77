"""The guards of the whole host against mass mistakes, as values: the breaker and the clock. Instants UTC, spans seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class CountedPhone:
    """A phone that was counted as newly due and has neither been let go nor begun to be erased. `due_at` None: not concluded yet."""

    uuid: str
    name: str
    generation: int
    counted_at: datetime
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BreakerRecord:
    """The breaker. `id` 0: it was never opened. `newly_due`, `limit`, `bound`: as of its last opening. `waiting`: exactly the phones that a release lets
    go; `fingerprint` names that set. `released_at`/`released_by`: of the last opening, once it is released."""

    open: bool = False
    id: int = 0
    opened_at: datetime | None = None
    newly_due: int = 0
    limit: int = 0
    bound: int = 0
    window: int = 0
    waiting: tuple[CountedPhone, ...] = ()
    fingerprint: str = ""
    released_at: datetime | None = None
    released_by: str = ""


@dataclass(frozen=True, slots=True)
class DueCount:
    """What counting did: `counted` are the phones counted by this call, `opened` whether it opened the breaker, which is `breaker` after it."""

    counted: tuple[tuple[str, int], ...]
    opened: bool
    breaker: BreakerRecord


@dataclass(frozen=True, slots=True)
class ClockReading:
    """One look at the clocks. `boottime`: CLOCK_BOOTTIME; `boot_id`: "" where it cannot be read; `synchronised` None: not to be known here.
    `recorded_until`: the newest audit entry from before the daemon's start."""

    now: datetime
    boottime: float
    boot_id: str = ""
    synchronised: bool | None = None
    recorded_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClockMemory:
    """What is remembered of the clocks, in the ledger. `offset`: realtime minus boottime when the clock was last trusted, in this boot; `seen_at` and
    `boottime`: the last look; `seen_synchronised`: synchronisation was seen since boot. `suspect` is "" or a word of `decide.clock.SUSPICIONS`,
    `detail` its sentence. `healed_by_sync`: synchronisation would clear it now; `passes_at`: it clears by itself then."""

    boot_id: str
    offset: float
    seen_at: datetime
    boottime: float
    synchronised: bool | None = None
    seen_synchronised: bool = False
    suspect: str = ""
    detail: str = ""
    since: datetime | None = None
    healed_by_sync: bool = False
    passes_at: datetime | None = None
