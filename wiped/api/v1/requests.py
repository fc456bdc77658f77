"""Requests: ask for the end of a phone, or of every phone of an account."""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from wiped.api.http.bodies import CALLER, MAX_BODY, as_items, bytes_of, may_read, parsed, person_of
from wiped.api.http.idempotency import Idempotency
from wiped.api.v1.approvals import ApprovalOut, approval_out
from wiped.api.v1.fields import AboutIn, Instant, Reference
from wiped.api.v1.phones import phone_of_query
from wiped.errors import InputError
from wiped.model.approvals import GROUNDS
from wiped.model.status import RequestsAsked
from wiped.model.subscription import WipeRequest
from wiped.ports.service import PhonesService, RequestsService


class RequestIn(AboutIn):
    """Body of `POST /v1/requests`. `confirm`: the phone's name, or the account reference, typed. `ground` may be left out where the kind has only one."""

    kind: Literal["deletion", "cancellation", "consent-withdrawn", "guardian", "leak"]
    ground: Annotated[str, Field(max_length=64)] = ""
    reference: Annotated[Reference, Field(min_length=1)]
    reason: Annotated[str, Field(max_length=2000)] = ""
    confirm: Annotated[SecretStr, Field(max_length=1024)]

    def checked_ground(self) -> str:
        """The ground of the request. Raises InputError for a ground that the kind does not have."""
        grounds = GROUNDS[self.kind]
        ground = self.ground or (grounds[0] if len(grounds) == 1 else "")
        if ground not in grounds:
            raise InputError(f"must be one of {', '.join(grounds)} for a request of kind {self.kind}", where="ground")
        return ground


class RequestOut(BaseModel):
    """A request for a wipe: its trigger is not the expiry of a term. `reference` and `reason` only for operators, approvers, auditors."""

    id: str
    phone: str
    kind: str
    ground: str
    requested_at: Instant
    effective_at: Instant | None
    approved: bool
    approved_until: Instant | None
    operator: str
    approver: str
    reference: str
    reason: str


class AskedForOut(BaseModel):
    """The answer to a request. `id`: the part that the ids of all its requests share; `approval` null: no other person is needed."""

    model_config = ConfigDict(extra="forbid")

    id: str
    items: list[RequestOut]
    approval: ApprovalOut | None


def request_out(uuid: str, request: WipeRequest, words: dict[str, str]) -> RequestOut:
    """The document of a request, with the `words` that may be shown."""
    return RequestOut(
        id=request.id,
        phone=uuid,
        kind=request.kind,
        ground=request.ground,
        requested_at=request.requested_at,
        effective_at=request.effective_at,
        approved=request.approved or request.signed,
        approved_until=request.approved_until,
        operator=request.operator,
        approver=request.approver,
        reference=words.get("reference", ""),
        reason=words.get("reason", ""),
    )


def asked_for_out(asked: RequestsAsked) -> AskedForOut:
    """The document of what was recorded, without the words that came with it: the requester knows them."""
    first = asked.requests[0][1].id if asked.requests else ""
    return AskedForOut(
        id=first.partition(":")[0],
        items=[request_out(uuid, request, {}) for uuid, request in asked.requests],
        approval=None if asked.approval is None else approval_out(asked.approval),
    )


class RequestHandlers:
    """The routes of requests."""

    def __init__(self, requests: RequestsService, phones: PhonesService, idempotency: Idempotency) -> None:
        self._requests = requests
        self._phones = phones
        self._idempotency = idempotency

    async def add(self, request: web.Request) -> web.Response:
        """Request the end of a phone, or of an account's phones."""
        asked = parsed(RequestIn, await bytes_of(request, MAX_BODY))
        uuid, account = asked.target()
        ground = asked.checked_ground()
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            found = await self._requests.add(
                asked.kind,
                ground,
                uuid=uuid,
                account=account,
                reference=asked.reference,
                reason=asked.reason,
                confirm=asked.confirm.get_secret_value(),
                person=person,
            )
            return asked_for_out(found)

        facts = {"phone": uuid, "account": self._idempotency.blinded(asked.account_text), "kind": asked.kind, "ground": ground}
        return await self._idempotency.once(request, facts, act, 201)

    async def find(self, request: web.Request) -> web.Response:
        """Open requests, with their words for those who may read them."""
        words = may_read(request[CALLER])
        found = await self._requests.find(await phone_of_query(request, self._phones))
        return as_items([request_out(uuid, item, said if words else {}) for uuid, item, said in found])
