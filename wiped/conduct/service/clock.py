"""The check of the host's clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from wiped.conduct.sweep import clock
from wiped.conduct.world import World
from wiped.errors import InputError
from wiped.model.clock import ClockMemory


class Clock:
    """What the faces may ask about the clock. `look`: looks at the clock out of turn."""

    def __init__(self, world: World, look: Callable[[], Awaitable[None]], nudge: Callable[[], None]) -> None:
        self._world = world
        self._look = look
        self._nudge = nudge

    async def get(self) -> ClockMemory:
        """What is known of the clock, as of a look made now."""
        await self._look()
        memory = self._world.conditions.clock
        if memory is None:
            raise InputError("nothing is known of the clock yet", where="clock", hint="ask again after the first sweep")
        return memory

    async def trust(self, *, reason: str, operator: str) -> ClockMemory:
        """Accept that a suspect clock is right; returns the clock as it was before. Raises InputError when the clock is not suspect."""
        memory = await self.get()
        if not memory.suspect:
            raise InputError("the clock is not suspect: there is nothing to trust", where="clock")
        before = await clock.trust(self._world, reason=reason, operator=operator)
        self._nudge()
        return before
