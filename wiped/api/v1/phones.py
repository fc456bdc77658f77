"""Phones: as last concluded, and what an operator may do to one directly (suspend, resume, protect, unprotect)."""

from __future__ import annotations

from typing import Protocol

from aiohttp import web
from pydantic import BaseModel

from wiped.api.http.bodies import CALLER, MAX_BODY, as_items, as_json, bytes_of, parsed, person_of, uuid_of
from wiped.api.http.idempotency import Idempotency
from wiped.api.v1.fields import Change, Instant, ReasonIn, ReasonOut, change_out, reasons_out
from wiped.model.approvals import Person
from wiped.model.records import PhoneRecord
from wiped.model.subscription import Flag
from wiped.ports.service import PhonesService


class PhoneOut(BaseModel):
    """One phone as last concluded."""

    uuid: str
    name: str
    generation: int
    state: str
    flags: list[str]
    since: Instant
    present: bool
    due_at: Instant | None
    next: Change | None
    refusals: list[str]
    reasons: list[ReasonOut]


def flags_out(record: PhoneRecord) -> list[str]:
    """The flags of the last decision, and those that are facts of the record."""
    facts = {Flag.PROTECTED: record.protected, Flag.SUSPENDED: record.suspended, Flag.FENCED: record.fenced, Flag.REFUSED: bool(record.refusals)}
    flags = {str(flag) for flag in record.flags} | {str(flag) for flag, so in facts.items() if so}
    return [str(flag) for flag in Flag if flag in flags]


def phone_out(record: PhoneRecord) -> PhoneOut:
    """The document of one phone."""
    return PhoneOut(
        uuid=record.uuid,
        name=record.name,
        generation=record.generation,
        state=str(record.state),
        flags=flags_out(record),
        since=record.since,
        present=record.present,
        due_at=record.due_at,
        next=change_out(record.next_state, record.next_at),
        refusals=list(record.refusals),
        reasons=reasons_out(record.reasons),
    )


async def phone_of_query(request: web.Request, phones: PhonesService) -> str:
    """The UUID of the phone that the query parameter `phone` names by UUID or name, "" for none. Raises NotFoundError."""
    phone = request.query.get("phone", "")
    return (await phones.resolve(phone)).uuid if phone else ""


class _Mark(Protocol):
    """What suspends, resumes, protects or unprotects a phone."""

    async def __call__(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord: ...


class PhoneHandlers:
    """The routes of phones."""

    def __init__(self, phones: PhonesService, idempotency: Idempotency) -> None:
        self._phones = phones
        self._idempotency = idempotency

    async def find(self, request: web.Request) -> web.Response:
        """All phones, by state or by name."""
        if (name := request.query.get("name")) is not None:
            return as_items([phone_out(await self._phones.resolve(name))])
        return as_items([phone_out(phone) for phone in await self._phones.find(request.query.getall("state", []))])

    async def get(self, request: web.Request) -> web.Response:
        """One phone."""
        return as_json(phone_out(await self._phones.resolve(uuid_of(request))))

    async def _mark(self, request: web.Request, mark: _Mark) -> web.Response:
        uuid = uuid_of(request)
        asked = parsed(ReasonIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            return phone_out(await mark(uuid, reason=asked.reason, person=person))

        return await self._idempotency.once(request, {}, act, 200)

    async def suspend(self, request: web.Request) -> web.Response:
        """Stop and fence the phone now."""
        return await self._mark(request, self._phones.suspend)

    async def resume(self, request: web.Request) -> web.Response:
        """End the phone's suspension."""
        return await self._mark(request, self._phones.resume)

    async def protect(self, request: web.Request) -> web.Response:
        """Protect the phone from wipes."""
        return await self._mark(request, self._phones.protect)

    async def unprotect(self, request: web.Request) -> web.Response:
        """End the phone's protection."""
        return await self._mark(request, self._phones.unprotect)
