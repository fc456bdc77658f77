"""Wipes: asked for by an operator, looked at, followed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from wiped.conduct import checks, decisions
from wiped.conduct.deeds import wipe as deed
from wiped.conduct.deeds.deed import Work
from wiped.conduct.progress import Hub
from wiped.conduct.service.quarantine import Quarantine
from wiped.conduct.world import World
from wiped.decide import refusal
from wiped.errors import NotFoundError, RefusedError
from wiped.model.approvals import GROUNDS, Person, RequestKind
from wiped.model.plan import RefusalCode
from wiped.model.records import COMMITTED_STEPS, FINAL_STEPS, WipeRecord, WipeStep
from wiped.model.status import WipeAsked, WipeNews
from wiped.model.subscription import Action, Decision, State, WipeRequest

_ENDED = frozenset({State.WIPED, State.RELEASED, State.RECYCLED, State.DISPOSED})
#: Reasons of a decision that are not refusal codes by name, as the code that a caller can act on.
_CODES = {"no-such-domain": RefusalCode.MISSING, "protected": RefusalCode.LEGAL_HOLD, "unknown-policy": RefusalCode.NEEDS_APPROVAL}
#: A wipe of a phone whose term runs is not refused for good: a second person is asked.
_ASKED_OF_TWO = frozenset({RefusalCode.SUBSCRIPTION_ACTIVE, RefusalCode.NEEDS_APPROVAL})


class Wipes:
    """What the faces may ask about wipes."""

    def __init__(self, world: World, work: Work, hub: Hub, nudge: Callable[[], None], quarantine: Quarantine) -> None:
        self._world = world
        self._work = work
        self._hub = hub
        self._nudge = nudge
        self._quarantine = quarantine

    async def ask(self, uuid: str, *, reason: str, ticket: str, confirm: str, person: Person) -> WipeAsked:
        """A manual wipe. Raises RefusedError: wrong-confirmation, subscription-active (the term runs), unbound, missing, legal-hold...

        A phone in grace becomes due after `settle`; one that is due begins at once; a wipe that waits in quarantine is tried again; an ended one is shown.
        """
        phone, operator = await checks.known_phone(self._world, uuid), person.name
        wrong = refusal.confirmation(phone.name, confirm)
        if wrong is not None:
            raise await checks.refused(self._world, "the typed name is not the phone's; nothing was changed", (wrong.code,), operator=operator, uuid=uuid)
        found = await decisions.fresh(self._world, uuid)
        if found is None:
            raise NotFoundError("no such phone", where="phone")
        _, decision = found
        known = (await self._world.ledger.wipes.find(uuid))[:1]
        if decision.state in _ENDED and known:
            return WipeAsked("", known[0], decision)
        if known and known[0].step in COMMITTED_STEPS and known[0].step not in FINAL_STEPS:
            if known[0].step is WipeStep.QUARANTINED:
                return WipeAsked("", await self._quarantine.retry(uuid, operator), decision)
            return WipeAsked("", known[0], decision)
        codes = _refusals(decision)
        if codes and set(codes) <= _ASKED_OF_TWO:
            raise await self._ask_two(uuid, reason=reason, ticket=ticket, person=person)
        if codes:
            raise await checks.refused(self._world, decision.reasons[-1].detail, codes, operator=operator, uuid=uuid)
        request = WipeRequest(self._world.randomness.identifier(), "manual", "service-ended", self._world.clock.now(), reference=ticket, operator=operator)
        await self._world.ledger.requests.add(uuid, request, reference=ticket, reason=reason, operator=operator)
        await self._world.ledger.decisions.touch(uuid)
        await self._work.decide_now(uuid)
        self._nudge()
        _, decision = await decisions.fresh(self._world, uuid) or found
        running = next((wipe for wipe in await self._world.ledger.wipes.find(uuid) if wipe.step not in FINAL_STEPS), None)
        if running is not None:
            await self._work.submit_again(running.id)  # one that was refused before does not wait for its back-off
        return WipeAsked(request.id, running, decision)

    async def _ask_two(self, uuid: str, *, reason: str, ticket: str, person: Person) -> RefusedError:
        """A manual wipe of a phone whose term runs: nothing is touched, a second person is asked. The error to raise."""
        now, base = self._world.clock.now(), self._world.randomness.identifier()
        manual = {request.id for _, request in await self._world.ledger.requests.find(uuid=uuid) if request.kind == RequestKind.MANUAL}
        for waiting in await self._world.ledger.approvals.find():
            if waiting.subject in manual:  # it was asked for already, and waits
                return deed.DEED.needs_another(self._world, waiting)
        request = WipeRequest(base, RequestKind.MANUAL, GROUNDS[RequestKind.MANUAL][0], now, operator=person.name)
        await self._world.ledger.requests.add(uuid, request, reference=ticket, reason=reason, operator=person.name)
        asked = await deed.ask(self._world, person, request_id=base, uuids=(uuid,), reason=reason)
        await self._work.decide_now(uuid)
        return deed.DEED.needs_another(self._world, asked)

    async def find(self, uuid: str = "") -> tuple[WipeRecord, ...]:
        """Wipes, newest first: all, or one phone's."""
        return await self._world.ledger.wipes.find(uuid)

    async def get(self, wipe_id: str) -> WipeRecord:
        """One wipe. Raises NotFoundError."""
        found = await self._world.ledger.wipes.get(wipe_id)
        if found is None:
            raise NotFoundError("no such wipe", where="wipe", hint="wipectl wipes list shows every wipe")
        return found

    async def events(self, wipe_id: str) -> AsyncIterator[WipeNews]:
        """News of a wipe: first the step that it is at, then what happens, until it ends or waits in quarantine."""
        with self._hub.watching(wipe_id) as news:
            wipe = await self.get(wipe_id)
            at_rest = wipe.step in FINAL_STEPS or (wipe.step is WipeStep.QUARANTINED and not self._work.busy_with(wipe.uuid))
            yield WipeNews("end" if at_rest else "step", wipe_id, step=wipe.step)
            if at_rest:
                return
            async for item in news:
                yield item


def _refusals(decision: Decision) -> tuple[str, ...]:
    """Why a manual request cannot be taken for a phone in this state; () if it can."""
    known = {str(code) for code in RefusalCode}
    codes = [str(_CODES.get(reason.code, reason.code)) for reason in decision.reasons]
    said = tuple(dict.fromkeys(code for code in codes if code in known))
    if decision.state in {State.ACTIVE, State.NOTICE}:
        return tuple(dict.fromkeys((str(RefusalCode.SUBSCRIPTION_ACTIVE), *said)))
    if decision.action is Action.FENCE or decision.state in {State.UNBOUND, State.VANISHED}:
        return said or (str(RefusalCode.UNBOUND),)
    return ()
