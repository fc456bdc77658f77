"""Requests for the end of a phone, or of every phone of an account (R3 to R6, R17)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from wiped.conduct import checks
from wiped.conduct.deeds import table, wipe
from wiped.conduct.deeds.deed import Work
from wiped.conduct.world import World
from wiped.decide import refusal
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.approvals import ASKED, GROUNDS, Person, RequestKind
from wiped.model.plan import RefusalCode
from wiped.model.records import COMMITTED_STEPS
from wiped.model.status import RequestsAsked
from wiped.model.subscription import AccountReference, WipeRequest


class Requests:
    """What the faces may ask about requests."""

    def __init__(self, world: World, work: Work, nudge: Callable[[], None]) -> None:
        self._world = world
        self._work = work
        self._nudge = nudge

    async def add(self, kind: str, ground: str, *, uuid: str = "", account: AccountReference | None = None, reference: str, reason: str,
                          confirm: str, person: Person) -> RequestsAsked:  # fmt: skip
        """A request on a phone, or on every phone of an account. What fences does so at once; what still takes a second person waits for one.

        Raises InputError (kind, ground, neither or both of phone and account), NotFoundError, RefusedError(wrong-confirmation, unbound)."""
        if kind not in ASKED:
            raise InputError(f"must be one of {', '.join(ASKED)}", where="kind")
        if ground not in GROUNDS[kind]:
            raise InputError(f"of {kind} must be one of {', '.join(GROUNDS[kind])}", where="ground")
        if not reference.strip():
            raise InputError("required", where="reference", hint="the requester's own case number")
        if (account is None) == (not uuid):
            raise InputError("a phone or an account is required, and only one of them", where="phone")
        found = await self._meant(uuid, account, confirm, person)
        now, base = self._world.clock.now(), self._world.randomness.identifier()
        asked = tuple(
            (phone, WipeRequest(f"{base}:{number}" if account else base, kind, ground, now, operator=person.name, account=name if account else ""))
            for number, (phone, name) in enumerate(found, start=1)
        )
        if account is not None:
            await self._world.ledger.requests.add_for_account(account, asked, reference=reference, reason=reason, operator=person.name)
        else:
            await self._world.ledger.requests.add(uuid, asked[0][1], reference=reference, reason=reason, operator=person.name)
        for phone, _ in asked:
            await self._work.decide_now(phone)
        self._nudge()
        waiting = await self._waits(asked, now) if kind != RequestKind.LEAK else ()
        approval = None
        if waiting:
            approval = table.shown(await wipe.ask(self._world, person, request_id=base, uuids=waiting, reason=reason))
        recorded = {request.id for _, request in asked}
        return RequestsAsked(tuple(item for item in await self._world.ledger.requests.find() if item[1].id in recorded), approval)

    async def _meant(self, uuid: str, account: AccountReference | None, confirm: str, person: Person) -> list[tuple[str, str]]:
        """(uuid, pseudonym) of the phones that a request is about, once the typed confirmation was right."""
        if account is None:
            phone = await checks.known_phone(self._world, uuid)
            wrong = refusal.confirmation(phone.name, confirm)
            if wrong is not None:
                raise await self._turned_down(uuid, person, wrong.code, "the typed name is not the phone's; nothing was changed")
            term = await self._world.ledger.subscriptions.get(uuid)
            if term is None:
                raise await self._turned_down(uuid, person, RefusalCode.UNBOUND, "the phone has no subscription: there is nothing to ask for")
            return [(uuid, term.account)]
        if confirm != account.value:
            raise await self._turned_down("", person, RefusalCode.WRONG_CONFIRMATION, "the typed reference is not the account's; nothing was changed")
        found = await self._world.ledger.subscriptions.living(account)
        if not found:
            raise NotFoundError("this account has no phone on this host", where="account")
        return [(phone, name) for phone, _, name in found]

    async def _turned_down(self, uuid: str, person: Person, code: RefusalCode, why: str) -> RefusedError:
        return await checks.refused(self._world, why, (code,), operator=person.name, uuid=uuid, what="requests add")

    async def _waits(self, asked: tuple[tuple[str, WipeRequest], ...], now: datetime) -> tuple[str, ...]:
        """Of the phones asked about, those whose term still runs and whose wipe has not begun."""
        found = []
        for uuid, _ in asked:
            term = await self._world.ledger.subscriptions.get(uuid)
            begun = any(wipe.step in COMMITTED_STEPS for wipe in await self._world.ledger.wipes.find(uuid, unfinished=True))
            if term is not None and now < term.expires_at and not begun:
                found.append(uuid)
        return tuple(found)

    async def find(self, uuid: str = "") -> tuple[tuple[str, WipeRequest, dict[str, str]], ...]:
        """Open requests of one phone or of all, with what people wrote."""
        ledger = self._world.ledger
        return tuple([(phone, request, await ledger.words.about(request.id)) for phone, request in await ledger.requests.find(uuid=uuid)])
