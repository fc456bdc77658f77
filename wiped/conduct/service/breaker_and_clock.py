"""The part of the counter (`service`) about the host's guards against mass mistakes: the breaker and the clock, and their only ways out."""

from __future__ import annotations

from collections.abc import Callable

from wiped.conduct import massmistakes, second_person
from wiped.conduct.sweep.sweep import Reconciler
from wiped.conduct.world import World
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import ApprovalKind, Person
from wiped.model.breaker_and_clock import BreakerRecord, ClockMemory
from wiped.model.plan import RefusalCode


class Guards:
    """Mixed into `Service`."""

    _world: World
    _reconciler: Reconciler
    _nudge: Callable[[], None]

    async def breaker(self) -> BreakerRecord:
        """The breaker, and while it is open the phones that wait behind it."""
        return await self._world.ledger.breaker.get()

    async def release_breaker(self, *, fingerprint: str, reason: str, person: Person) -> BreakerRecord:
        """Takes two people: records the wish to let exactly the waiting phones go, and raises RefusedError(needs-approval).

        Raises InputError when it is not open, RefusedError(drift) when `fingerprint` ("" for any) names another set than the one that waits."""
        breaker = await self.breaker()
        if not breaker.open:
            raise InputError("the breaker is not open: there is nothing to release", where="breaker")
        if fingerprint and fingerprint != breaker.fingerprint:
            raise RefusedError("other phones wait behind the breaker than those that were looked at: look again", codes=(RefusalCode.DRIFT,))
        asked = await second_person.ask_for(self._world, self._world.ledger, person, kind=ApprovalKind.BREAKER, subject=str(breaker.id),
                                        uuids=tuple(phone.uuid for phone in breaker.waiting), reason=second_person.why(reason),
                                        fingerprint=breaker.fingerprint)  # fmt: skip
        raise second_person.needs_another(self._world, asked, "releasing the breaker")

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
