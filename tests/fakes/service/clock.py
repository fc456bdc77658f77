"""The fake service's part about the clock check."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.service.desk import Desk
from wiped.model.clock import ClockMemory


class FakeClock:
    """Implements `wiped.ports.service.ClockService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def get(self) -> ClockMemory:
        self._desk.ask("clock")
        return self._desk.clocks

    async def trust(self, *, reason: str, operator: str) -> ClockMemory:
        self._desk.ask("trust_clock", reason, operator)
        before, self._desk.clocks = self._desk.clocks, replace(self._desk.clocks, suspect="", detail="", since=None)
        return before
