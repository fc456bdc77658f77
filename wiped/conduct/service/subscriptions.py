"""Subscriptions, as operators record them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wiped.conduct.deeds import shorten_term
from wiped.conduct.deeds.deed import Work
from wiped.conduct.world import World
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import Person
from wiped.model.plan import RefusalCode
from wiped.model.subscription import Subscription, SubscriptionRecord


class Subscriptions:
    """What the faces may ask about subscriptions."""

    def __init__(self, world: World, work: Work, nudge: Callable[[], None]) -> None:
        self._world = world
        self._work = work
        self._nudge = nudge

    async def set(self, record: SubscriptionRecord, person: Person) -> Subscription:
        """Record one term. Raises InputError, RefusedError(generation-occupied | subscription-renewed | needs-approval: an earlier end of a running term
        is recorded as a request, and takes a second person)."""
        try:
            recorded = await self._record((record,), person.name, "local")
        except RefusedError as error:
            if error.codes != (RefusalCode.NEEDS_APPROVAL,):
                raise
            raise await shorten_term.ask(self._world, record, person) from error
        return recorded[0]

    async def record_all(self, records: Sequence[SubscriptionRecord], operator: str) -> tuple[Subscription, ...]:
        """Record many terms, all or none. Raises as `set`."""
        return await self._record(records, operator, "import")

    async def current(self) -> tuple[Subscription, ...]:
        """All current subscriptions."""
        return await self._world.ledger.subscriptions.current()

    async def _record(self, records: Sequence[SubscriptionRecord], operator: str, source: str) -> tuple[Subscription, ...]:
        if {record.policy for record in records} - set(self._world.policies):
            raise InputError("no such policy", where="policy", hint=f"the configuration has {', '.join(sorted(self._world.policies))}")
        try:
            recorded = await self._world.ledger.subscriptions.record(records, self._world.clock.now(), source=source, operator=operator)
        except RefusedError as error:
            self._world.announcer.refused(error.codes)
            self._nudge()
            raise
        if len(recorded) == 1:
            await self._work.decide_now(recorded[0].uuid)
        self._nudge()
        return recorded
