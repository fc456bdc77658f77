"""Phones: found, explained, and suspended or protected by an operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from wiped.conduct import checks, decisions
from wiped.conduct.deeds import table
from wiped.conduct.deeds.deed import Work
from wiped.conduct.wipe import fence
from wiped.conduct.world import World
from wiped.errors import InputError, NotFoundError
from wiped.model.approvals import Person, RequestKind
from wiped.model.instants import parse_instant
from wiped.model.records import PhoneRecord
from wiped.model.status import Explanation, Mark
from wiped.model.subscription import WIPE_STATES, State

#: What an operator sets on a phone by hand, or takes back.
_MARKS = ("suspended", "protected")


class Phones:
    """What the faces may ask about phones."""

    def __init__(self, world: World, work: Work, nudge: Callable[[], None]) -> None:
        self._world = world
        self._work = work
        self._nudge = nudge

    async def find(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        """All phones, or those in `states`. Raises InputError for a state that does not exist."""
        if set(states) - {str(state) for state in State}:
            raise InputError("no such state", where="state", hint=f"states are {', '.join(State)}")
        return await self._world.ledger.phones.find(states)

    async def resolve(self, name: str) -> PhoneRecord:
        """A phone by UUID (in any spelling) or exact name. Raises NotFoundError; for an ambiguous name with the candidates."""
        try:
            uuid = str(UUID(name))
        except ValueError:
            pass
        else:
            found = await self._world.ledger.phones.get(uuid)
            if found is not None:
                return found
        named = await self._world.ledger.phones.named(name)
        present = [item for item in named if item.present] or list(named)
        if not present:
            raise NotFoundError("no such phone", where="phone", hint="give its UUID or its exact name: wipectl phones list shows both")
        if len(present) > 1:
            candidates = ", ".join(f"{item.uuid} ({item.state})" for item in present)
            raise NotFoundError(f"several phones have this name: {candidates}", where="phone", hint="give the UUID of one of them")
        return present[0]

    async def explain(self, uuid: str) -> Explanation:
        """A phone with a decision made now. Changes nothing. Raises NotFoundError."""
        world = self._world
        phone = await checks.known_phone(world, uuid)
        found = await decisions.fresh(world, uuid)
        if found is None:
            raise NotFoundError("no such phone", where="phone")
        facts, decision = found
        ids = [*(hold.id for hold in facts.holds), *(request.id for request in facts.requests)]
        words = {item: await world.ledger.words.about(item) for item in ids}
        product = facts.subscription.product if facts.subscription else None
        return Explanation(
            phone,
            decision,
            facts.subscription,
            facts.holds,
            facts.requests,
            await world.ledger.wipes.find(uuid),
            approvals=tuple(table.shown(item) for item in await world.ledger.approvals.find() if uuid in item.uuids or item.subject in words),
            drains=tuple(drain for drain in await world.ledger.drains.in_force() if drain.product in ("", product)),
            words=words,
            refused=world.conditions.refused.get(uuid, "") if phone.refusals else "",
            marks=await self._marks(phone),
        )

    async def _marks(self, phone: PhoneRecord) -> tuple[Mark, ...]:
        """Who marked the phone last in its present generation, in either way, and why; oldest first."""
        found = []
        for kind in _MARKS:
            words = await self._world.ledger.words.about(f"mark:{kind}:{phone.uuid}:{phone.generation}")
            if "at" in words:
                mark = Mark(kind, words.get("set") == "true", words.get("reason", ""), words.get("operator", ""), parse_instant(words["at"]))
                if getattr(phone, kind) or not mark.on:  # the end of a wipe ends a suspension without a word
                    found.append(mark)
        return tuple(sorted(found, key=lambda mark: mark.at))

    async def suspend(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """Stop and fence now, reversible until wiped (R17).

        The phone is fenced by its UUID before anything else is asked, also before a sweep that is at work: whatever goes wrong in deciding about the
        phone, it cannot start again once this has answered. Stopping it, and fencing its disks too, is the sweep's.
        """
        phone = await checks.known_phone(self._world, uuid)
        said = checks.given_reason(reason)
        await self._world.ledger.phones.mark(uuid, suspended=True, reason=said, operator=person.name)
        if phone.state not in WIPE_STATES and uuid not in await self._world.fences.standing():
            await fence.put(self._world, uuid, None, None)
            await self._world.ledger.phones.mark(uuid, fenced=True, reason="suspended")
        return await self._decided(uuid)

    async def resume(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """Give a suspended phone back; what else fences it stays. Reported leaks of it are answered by that."""
        for asked, request in await self._world.ledger.requests.find(uuid=uuid):
            if request.kind == RequestKind.LEAK and asked == uuid:
                await self._world.ledger.requests.close(request.id, self._world.clock.now(), code="resumed", operator=person.name)
        return await self._mark(uuid, reason, person, suspended=False)

    async def protect(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """An operator's hold, weaker than a legal one: one person lifts it."""
        return await self._mark(uuid, reason, person, protected=True)

    async def unprotect(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """Lift it."""
        return await self._mark(uuid, reason, person, protected=False)

    async def _mark(self, uuid: str, reason: str, person: Person, *, suspended: bool | None = None, protected: bool | None = None) -> PhoneRecord:
        await checks.known_phone(self._world, uuid)
        await self._world.ledger.phones.mark(uuid, suspended=suspended, protected=protected, reason=checks.given_reason(reason), operator=person.name)
        return await self._decided(uuid)

    async def _decided(self, uuid: str) -> PhoneRecord:
        await self._work.decide_now(uuid)
        self._nudge()
        return await checks.known_phone(self._world, uuid)
