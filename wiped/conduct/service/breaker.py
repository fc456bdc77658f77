"""The circuit breaker against mass mistakes, and its release by two people."""

from __future__ import annotations

from wiped.conduct import checks
from wiped.conduct.deeds import breaker_release
from wiped.conduct.world import World
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import Person
from wiped.model.breaker import BreakerRecord
from wiped.model.plan import RefusalCode


class Breaker:
    """What the faces may ask about the breaker."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def get(self) -> BreakerRecord:
        """The breaker, and while it is open the phones that wait for its release."""
        return await self._world.ledger.breaker.get()

    async def release(self, *, fingerprint: str, reason: str, person: Person) -> BreakerRecord:
        """Takes two people: records the request to allow the wipe of exactly the waiting phones, and raises RefusedError(needs-approval).

        Raises InputError when it is not open, RefusedError(drift) when `fingerprint` ("" for any) names another set than the one that waits."""
        breaker = await self.get()
        if not breaker.open:
            raise InputError("the breaker is not open: there is nothing to release", where="breaker")
        if fingerprint and fingerprint != breaker.fingerprint:
            raise RefusedError("other phones wait for the breaker than those that were looked at", codes=(RefusalCode.DRIFT,),
                               hint="wipectl breaker status shows the phones that wait now")  # fmt: skip
        deed, phones = breaker_release.DEED, tuple(phone.uuid for phone in breaker.waiting)
        asked = await deed.ask(self._world, person, subject=str(breaker.id), uuids=phones, fingerprint=breaker.fingerprint,
                               reason=checks.given_reason(reason))  # fmt: skip
        raise deed.needs_another(self._world, asked)
