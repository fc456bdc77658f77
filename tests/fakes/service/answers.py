"""The fake service's part about remembered answers."""

from __future__ import annotations

from typing import Any

from tests.fakes.service.desk import Desk
from wiped.errors import InputError


class FakeAnswers:
    """Implements `wiped.ports.service.AnswersService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        if key not in self._desk.remembered:
            return None
        if self._desk.remembered[key][0] != digest:
            raise InputError("this key came with another request", where="Idempotency-Key")
        return self._desk.remembered[key][1]

    async def remember(self, key: str, digest: str, answer: dict[str, Any]) -> None:
        self._desk.remembered[key] = (digest, answer)
