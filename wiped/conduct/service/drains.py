"""Drains: announced ends of this host, or of a product on it (R7)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from wiped.conduct import checks
from wiped.conduct.deeds import drain as drain_deed
from wiped.conduct.deeds import drain_cancel
from wiped.conduct.world import World
from wiped.errors import InputError, NotFoundError
from wiped.model.approvals import Drain, Person


class Drains:
    """What the faces may ask about drains."""

    def __init__(self, world: World, nudge: Callable[[], None]) -> None:
        self._world = world
        self._nudge = nudge

    async def start(self, at: datetime, *, product: str, reason: str, person: Person) -> Drain:
        """Announce the end of this host, or of a product on it: no new subscription from now on. At its date phones whose terms still run are wiped only if
        a second person approved; that is asked for at once (`approvals`)."""
        if at <= self._world.clock.now():
            raise InputError("must be in the future: a drain is announced in advance", where="at")
        drain = Drain(self._world.randomness.identifier(), at, product, operator=person.name)
        drain = await self._world.ledger.drains.announce(drain, reason=checks.given_reason(reason))
        await drain_deed.DEED.ask(self._world, person, subject=drain.id, uuids=(), fingerprint=drain_deed.fingerprint_of(drain.id), reason=reason)
        self._nudge()
        return drain

    async def in_force(self) -> tuple[Drain, ...]:
        """Drains in force."""
        return await self._world.ledger.drains.in_force()

    async def cancel(self, drain_id: str, *, reason: str, person: Person) -> Drain:
        """Takes two people, and can be done until its date: records the request and raises RefusedError(needs-approval). Raises NotFoundError."""
        drain = next((item for item in await self._world.ledger.drains.in_force() if item.id == drain_id), None)
        if drain is None:
            raise NotFoundError("no such drain is in force", where="drain", hint="wipectl drain status shows those in force")
        if self._world.clock.now() >= drain.at:
            raise InputError("it has begun: it can be cancelled until its date only", where="drain")
        asked = await drain_cancel.DEED.ask(self._world, person, subject=drain_id, uuids=(), fingerprint=drain_cancel.fingerprint_of(drain_id),
                                            reason=checks.given_reason(reason))  # fmt: skip
        raise drain_cancel.DEED.needs_another(self._world, asked)
