"""Answers that are remembered for an Idempotency-Key."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol


class AnswerStore(Protocol):
    """Answers that are remembered for an Idempotency-Key."""

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        """The remembered answer for an Idempotency-Key; InputError if the same key came with another body."""

    async def remember(self, key: str, digest: str, answer: dict[str, Any], now: datetime) -> None:
        """Remember an answer for an Idempotency-Key."""
