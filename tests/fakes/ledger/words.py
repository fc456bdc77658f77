"""The words that people wrote, in the fake ledger: in clear, in memory."""

from __future__ import annotations

from tests.fakes.ledger.state import Memo


class FakeWords:
    """`ports.ledger.WordStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def about(self, about: str) -> dict[str, str]:
        return dict(self._state.words.get(about, {}))

    async def reason(self, about: str) -> str:
        return self._state.words.get(about, {}).get("reason", "")
