"""The clock check, in the fake ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.fakes.ledger.state import Memo
from wiped.errors import InputError
from wiped.model.clock import ClockMemory


class FakeClockStore:
    """`ports.ledger.ClockStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def memory(self) -> ClockMemory | None:
        return self._state.clock

    async def keep(self, memory: ClockMemory, now: datetime, told: dict[str, Any] | None = None) -> None:
        self._state.write()
        self._state.clock = memory
        if told is not None:
            self._state.touched.update(self._state.phones)
            self._state.log("clock", told, now)

    async def trust(self, memory: ClockMemory, now: datetime, *, reason: str, operator: str) -> None:
        if not reason:
            raise InputError("must not be empty", where="reason")
        await self.keep(memory, now, {"suspect": "", "operator": operator})
        self._state.keep_words("clock", reason=reason)
