"""Answers for Idempotency-Keys, in the fake ledger."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.fakes.ledger.state import Memo
from wiped.errors import InputError


class FakeAnswers:
    """`ports.ledger.AnswerStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        known = self._state.answers.get(key)
        if known is not None and known[0] != digest:
            raise InputError("the key came with another body")
        return known[1] if known else None

    async def remember(self, key: str, digest: str, answer: dict[str, Any], now: datetime) -> None:
        self._state.answers[key] = (digest, answer)
