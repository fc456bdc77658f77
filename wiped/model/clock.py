"""What is read and remembered of this host's clocks. Instants UTC, spans seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
    `boottime`: the last look; `seen_synchronised`: synchronisation was seen since boot. `suspect` is "" or a suspicion of `decide.clock`,
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
