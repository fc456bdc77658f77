"""Time and randomness that a test moves by hand."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class FakeClock:
    """Ports Clock and `World.pause`. Realtime walks with boottime unless `step` moves it alone. `on_pause`: called at every pause, with boottime."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._boot = 1000.0
        self.boot = "boot-1"
        self.sync: bool | None = None
        self.on_pause: list[Callable[[float], None]] = []

    def now(self) -> datetime:
        return self._now

    def boottime(self) -> float:
        return self._boot

    def boot_id(self) -> str:
        return self.boot

    def synchronised(self) -> bool | None:
        return self.sync

    def reboot(self, seconds: float) -> None:
        """Off for `seconds`."""
        self._now += timedelta(seconds=seconds)
        self._boot = 10.0
        self.boot = f"boot-{int(self.boot.removeprefix('boot-')) + 1}"

    def move(self, seconds: float) -> None:
        self._boot += seconds
        self._now += timedelta(seconds=seconds)

    def step(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    async def pause(self, seconds: float) -> None:
        self.move(seconds)
        for call in tuple(self.on_pause):
            call(self._boot)
        await asyncio.sleep(0)


class FakeRandomness:
    """Port Randomness: different every time, the same in every run. `salt` tells two of them apart."""

    def __init__(self, salt: str = "") -> None:
        self._salt = salt
        self._count = 0

    def _next(self, what: str) -> bytes:
        self._count += 1
        return hashlib.sha256(f"{self._salt}/{what}/{self._count}".encode()).digest()

    def seed(self) -> bytes:
        return self._next("seed")

    def name(self) -> str:
        return ".wiped-" + self._next("name").hex()[:32]

    def identifier(self) -> str:
        text = self._next("id").hex()
        return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-8{text[17:20]}-{text[20:32]}"
