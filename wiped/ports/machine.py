"""The machine and the daemon's own surroundings, handed in: clock, randomness, milestones of a wipe, news for faces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from wiped.model.records import (
    WipeRecord,
)


class Clock(Protocol):
    """Real time, handed in."""

    def now(self) -> datetime:
        """Now, aware, UTC."""

    def boottime(self) -> float:
        """Seconds since boot, suspended time included (CLOCK_BOOTTIME): cannot be stepped."""

    def boot_id(self) -> str:
        """Which boot `boottime` counts from; "" where that is not to be known."""

    def synchronised(self) -> bool | None:
        """Whether the kernel says that realtime is synchronised; None where that is not to be known."""


class Randomness(Protocol):
    """Secrets and identifiers, handed in."""

    def seed(self) -> bytes:
        """32 bytes from the kernel's generator."""

    def name(self) -> str:
        """A random file name of 32 hex digits with a fixed prefix, for the rename before unlink."""

    def identifier(self) -> str:
        """A UUIDv7."""


class Milestones(Protocol):
    """Told at every named step of a wipe, after it became durable. The daemon's is silent; tests kill processes here."""

    async def reached(self, step: str, wipe_id: str, **facts: Any) -> None:
        """`step` is a WipeStep or a finer name such as `erase-progress`; `facts` may hold `eraser_pid`, `artefact_id`, `done`."""


class Announcer(Protocol):
    """Progress and facts for faces: metrics and server-sent events. Never blocks, never raises."""

    def progress(self, wipe_id: str, artefact_id: str, phase: str, done: int, total: int) -> None:
        """`phase` is `erase` or `read-back`; bytes."""

    def step(self, wipe_id: str, step: str) -> None:
        """A wipe reached a step."""

    def finished(self, record: WipeRecord, expiry_to_unreadable: float | None) -> None:
        """A wipe attempt was judged."""

    def refused(self, codes: Sequence[str]) -> None:
        """Guards said no."""
