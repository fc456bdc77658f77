"""Values of the whole host, in the fake ledger."""

from __future__ import annotations

from typing import Any

from tests.fakes.ledger.state import Memo


class FakeConditions:
    """`ports.ledger.ConditionStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def get(self, key: str) -> Any:
        return self._state.conditions.get(key)

    async def keep(self, key: str, value: Any) -> None:
        self._state.write()
        self._state.conditions[key] = value
