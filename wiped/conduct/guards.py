"""The part of the counter (`service`) about the host's guards against mass mistakes: the breaker and the clock, and their only ways out."""

from __future__ import annotations

from collections.abc import Callable

from wiped.conduct import massmistakes
from wiped.conduct.reconcile import Reconciler
from wiped.conduct.world import World
from wiped.errors import InputError
from wiped.model.guards import BreakerRecord, ClockMemory
from wiped.model.records import COMMITTED_STEPS


class Guards:
    """Mixed into `Service`."""

    _world: World
    _reconciler: Reconciler
    _nudge: Callable[[], None]

    async def breaker(self) -> BreakerRecord:
        """The breaker, and while it is open the phones that wait behind it."""
        return await self._world.ledger.breaker()

    async def release_breaker(self, *, fingerprint: str, reason: str, operator: str) -> BreakerRecord:
        """Let exactly the waiting phones go; the breaker as it was. Raises InputError when it is not open, RefusedError(drift) when `fingerprint` (""
        for any) names another set than the one that waits."""
        before = await massmistakes.release(self._world, fingerprint=fingerprint, reason=reason, operator=operator)
        # Wipes that had begun before it opened need not sit out their back-off.
        for wipe in await self._world.ledger.wipes(unfinished=True):
            if wipe.step not in COMMITTED_STEPS:
                await self._reconciler.submit_again(wipe.id)
        self._nudge()
        return before

    async def clock(self) -> ClockMemory:
        """What is thought of the clock, as of a look made now."""
        await self._reconciler.look_at_clock()
        memory = self._world.conditions.clock
        if memory is None:
            raise InputError("nothing is known of the clock yet", where="clock")
        return memory

    async def trust_clock(self, *, reason: str, operator: str) -> ClockMemory:
        """The clock is right as it stands: what was held against it. Raises InputError when nothing is."""
        memory = await self.clock()
        if not memory.suspect:
            raise InputError("the clock is not suspect: there is nothing to trust", where="clock")
        before = await massmistakes.trust_clock(self._world, reason=reason, operator=operator)
        self._nudge()
        return before
