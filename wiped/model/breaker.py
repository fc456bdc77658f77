"""The circuit breaker of the whole host, which opens when too many phones fall due at once. Instants UTC, spans seconds."""

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
