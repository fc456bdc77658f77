"""What people ask for, as the faces ask for it (R3 to R9, R14, R17): suspensions, requests, legal holds, drains. A part of `Service`.

Everything that takes two people goes through `approving`: the first one's wish is recorded with what it is about; the second one agrees to exactly that
(`agreeing`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from wiped.conduct import second_person
from wiped.conduct.sweep.sweep import Reconciler
from wiped.conduct.world import World
from wiped.decide import refusal
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.approvals import ASKED, GROUNDS, UNDISCLOSED, ApprovalKind, Drain, HoldGround, Person, RequestKind
from wiped.model.canonical import digest
from wiped.model.plan import RefusalCode
from wiped.model.records import COMMITTED_STEPS, PhoneRecord
from wiped.model.status import RequestsAsked
from wiped.model.subscription import AccountReference, Hold, WipeRequest


class Asking:
    """Mixed into `Service`, which owns the world."""

    _world: World
    _reconciler: Reconciler
    _nudge: Callable[[], None]

    async def _known(self, uuid: str) -> PhoneRecord:
        phone = await self._world.ledger.phones.get(uuid)
        if phone is None:
            raise NotFoundError("no such phone", where="phone")
        return phone

    # -- operators' own
    async def _mark(self, uuid: str, reason: str, person: Person, *, suspended: bool | None = None, protected: bool | None = None) -> PhoneRecord:
        await self._known(uuid)
        await self._world.ledger.phones.mark(uuid, suspended=suspended, protected=protected, reason=second_person.why(reason), operator=person.name)
        await self._reconciler.decide_now(uuid)
        self._nudge()
        return await self._known(uuid)

    async def suspend(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        """Stop and fence now, reversible until wiped (R17)."""
        return await self._mark(uuid, reason, person, suspended=True)

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

    # -- requests
    async def add_request(self, kind: str, ground: str, *, uuid: str = "", account: AccountReference | None = None, reference: str, reason: str,
                          confirm: str, person: Person) -> RequestsAsked:  # fmt: skip
        """A request on a phone, or on every phone of an account. What fences does so at once; what still takes a second person waits for one.

        Raises InputError (kind, ground, neither or both of phone and account), NotFoundError, RefusedError(wrong-confirmation, unbound)."""
        if kind not in ASKED:
            raise InputError(f"must be one of {', '.join(ASKED)}", where="kind")
        if ground not in GROUNDS[kind]:
            raise InputError(f"of {kind} must be one of {', '.join(GROUNDS[kind])}", where="ground")
        if not reference.strip():
            raise InputError("must not be empty: by what is this request known to whoever made it?", where="reference")
        if (account is None) == (not uuid):
            raise InputError("name a phone or an account, one of them", where="phone")
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
            await self._reconciler.decide_now(phone)
        self._nudge()
        waiting = await self._waits(asked, now) if kind != RequestKind.LEAK else ()
        approval = None
        if waiting:
            approval = await second_person.ask_for(self._world, self._world.ledger, person, kind=ApprovalKind.WIPE, subject=base, uuids=waiting, reason=reason)
        recorded = {request.id for _, request in asked}
        return RequestsAsked(tuple(item for item in await self._world.ledger.requests.find() if item[1].id in recorded), approval)

    async def _meant(self, uuid: str, account: AccountReference | None, confirm: str, person: Person) -> list[tuple[str, str]]:
        """(uuid, pseudonym) of the phones that a request is about, once the typed confirmation was right."""
        if account is None:
            phone = await self._known(uuid)
            wrong = refusal.confirmation(phone.name, confirm)
            if wrong is not None:
                raise await self._turned_down(uuid, person, wrong.code, "the typed name is not the phone's; nothing was changed")
            term = await self._world.ledger.subscriptions.get(uuid)
            if term is None:
                raise await self._turned_down(uuid, person, RefusalCode.UNBOUND, "nobody is bound to this phone: there is nothing to ask for")
            return [(uuid, term.account)]
        if confirm != account.value:
            raise await self._turned_down("", person, RefusalCode.WRONG_CONFIRMATION, "the typed reference is not the account's; nothing was changed")
        found = await self._world.ledger.subscriptions.living(account)
        if not found:
            raise NotFoundError("this account has no phone on this host", where="account")
        return [(phone, name) for phone, _, name in found]

    async def _turned_down(self, uuid: str, person: Person, code: RefusalCode, why: str) -> RefusedError:
        self._world.announcer.refused((code,))
        body = {"uuid": uuid, "operator": person.name, "what": "requests add", "codes": [str(code)]}
        await self._world.ledger.audit.note("refused", body, self._world.clock.now())
        return RefusedError(why, codes=(code,))

    async def _waits(self, asked: tuple[tuple[str, WipeRequest], ...], now: datetime) -> tuple[str, ...]:
        """Of the phones asked about, those whose term still runs and whose wipe has not begun."""
        found = []
        for uuid, _ in asked:
            term = await self._world.ledger.subscriptions.get(uuid)
            begun = any(wipe.step in COMMITTED_STEPS for wipe in await self._world.ledger.wipes.find(uuid, unfinished=True))
            if term is not None and now < term.expires_at and not begun:
                found.append(uuid)
        return tuple(found)

    async def ask_active_wipe(self, uuid: str, *, reason: str, ticket: str, person: Person) -> RefusedError:
        """A manual wipe of a phone whose term runs: nothing is touched, a second person is asked. The error to raise."""
        now, base = self._world.clock.now(), self._world.randomness.identifier()
        manual = {request.id for _, request in await self._world.ledger.requests.find(uuid=uuid) if request.kind == RequestKind.MANUAL}
        for waiting in await self._world.ledger.approvals.find():
            if waiting.subject in manual:  # it was asked for already, and waits
                raise second_person.needs_another(self._world, waiting, "wiping a phone whose term still runs")
        request = WipeRequest(base, RequestKind.MANUAL, GROUNDS[RequestKind.MANUAL][0], now, operator=person.name)
        await self._world.ledger.requests.add(uuid, request, reference=ticket, reason=reason, operator=person.name)
        asked = await second_person.ask_for(self._world, self._world.ledger, person, kind=ApprovalKind.WIPE, subject=base, uuids=(uuid,), reason=reason)
        await self._reconciler.decide_now(uuid)
        return second_person.needs_another(self._world, asked, "wiping a phone whose term still runs")

    async def requests(self, uuid: str = "") -> tuple[tuple[str, WipeRequest, dict[str, str]], ...]:
        """Open requests of one phone or of all, with what people wrote."""
        return tuple(
            [(phone, request, await self._world.ledger.words.about(request.id)) for phone, request in await self._world.ledger.requests.find(uuid=uuid)]
        )

    # -- legal holds
    async def add_hold(self, *, uuid: str = "", account: AccountReference | None = None, authority: str, reference: str, ground: str,
                       until: datetime | None, disclose: bool | None = None, reason: str = "", person: Person) -> Hold:  # fmt: skip
        """A legal hold on a phone, or on every phone that an account has and will have. Raises InputError, NotFoundError."""
        if ground not in set(HoldGround):
            raise InputError(f"must be one of {', '.join(HoldGround)}", where="ground")
        for name, value in (("authority", authority), ("reference", reference)):
            if not value.strip():
                raise InputError("must not be empty", where=name)
        if (account is None) == (not uuid):
            raise InputError("name a phone or an account, one of them", where="phone")
        now = self._world.clock.now()
        if until is not None and until <= now:
            raise InputError("lies in the past", where="until")
        told = ground not in UNDISCLOSED if disclose is None else disclose
        hold = Hold(self._world.randomness.identifier(), uuid, "", ground, until, authority, reference, told, now, person.name)
        if account is not None:
            hold = await self._world.ledger.holds.add_for_account(hold, account, now, person.name, reason=reason)
        else:
            await self._known(uuid)
            await self._world.ledger.holds.add(hold, now, person.name, reason=reason)
        self._nudge()
        return hold

    async def release_hold(self, hold_id: str, *, reason: str, person: Person) -> Hold:
        """Takes two people: records the first one's wish and raises RefusedError(needs-approval)."""
        hold = next((item for item in await self._world.ledger.holds.in_force() if item.id == hold_id), None)
        if hold is None:
            raise NotFoundError("no such hold is in force", where="hold")
        phones = (hold.uuid,) if hold.uuid else ()
        asked = await second_person.ask_for(self._world, self._world.ledger, person, kind=ApprovalKind.HOLD_RELEASE, subject=hold_id, uuids=phones,
                                        reason=second_person.why(reason), fingerprint=digest(["hold", hold_id]))  # fmt: skip
        raise second_person.needs_another(self._world, asked, "releasing a legal hold")

    # -- drains
    async def start_drain(self, at: datetime, *, product: str, reason: str, person: Person) -> Drain:
        """Announce the end of this host, or of a product on it: no new subscription from now on. At its date phones whose terms still run are wiped only if a
        second person approved; that is asked for at once (`approvals`)."""
        if at <= self._world.clock.now():
            raise InputError("must lie ahead: a drain is announced in advance", where="at")
        drain = Drain(self._world.randomness.identifier(), at, product, operator=person.name)
        drain = await self._world.ledger.drains.announce(drain, reason=second_person.why(reason))
        await second_person.ask_for(self._world, self._world.ledger, person, kind=ApprovalKind.DRAIN, subject=drain.id, uuids=(), reason=reason,
                                fingerprint=digest(["drain", drain.id]))  # fmt: skip
        self._nudge()
        return drain

    async def drains(self) -> tuple[Drain, ...]:
        """Those in force."""
        return await self._world.ledger.drains.in_force()

    async def cancel_drain(self, drain_id: str, *, reason: str, person: Person) -> Drain:
        """Takes two people, and can be done until its date: records the wish and raises RefusedError(needs-approval)."""
        drain = next((item for item in await self._world.ledger.drains.in_force() if item.id == drain_id), None)
        if drain is None:
            raise NotFoundError("no such drain is in force", where="drain")
        if self._world.clock.now() >= drain.at:
            raise InputError("it has begun: it can be cancelled until its date only", where="drain")
        asked = await second_person.ask_for(self._world, self._world.ledger, person, kind=ApprovalKind.DRAIN_CANCEL, subject=drain_id, uuids=(),
                                        reason=second_person.why(reason), fingerprint=digest(["drain", drain_id]))  # fmt: skip
        raise second_person.needs_another(self._world, asked, "cancelling a drain")
