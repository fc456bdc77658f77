"""Answers that are remembered by Idempotency-Key."""

from __future__ import annotations

from typing import Any

from wiped.conduct.world import World


class Answers:
    """What the faces may ask to be remembered."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        """The remembered answer for an Idempotency-Key."""
        return await self._world.ledger.answers.replay(key, digest)

    async def remember(self, key: str, digest: str, answer: dict[str, Any]) -> None:
        """Remember an answer for an Idempotency-Key."""
        await self._world.ledger.answers.remember(key, digest, answer, self._world.clock.now())
