"""Legal holds: added on a phone or an account, released by two people."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from wiped.api.http.bodies import CALLER, MAX_BODY, as_items, bytes_of, may_read, parsed, person_of
from wiped.api.http.idempotency import Idempotency
from wiped.api.v1.fields import AboutIn, HeldAccount, Instant, InstantIn, ReasonIn, Reference
from wiped.model.approvals import UNDISCLOSED, HoldGround
from wiped.model.subscription import Hold
from wiped.ports.service import HoldsService


class HoldIn(AboutIn):
    """Body of `POST /v1/holds`. `until`: the hold ends by itself then; `disclose` null: as the ground says
    (`model.approvals.UNDISCLOSED`)."""

    account: HeldAccount | None = None
    authority: Annotated[Reference, Field(min_length=1)]
    reference: Annotated[Reference, Field(min_length=1)]
    ground: HoldGround
    until: InstantIn | None = None
    disclose: Annotated[bool, Field(strict=True)] | None = None
    reason: Annotated[str, Field(max_length=2000)] = ""


class HoldOut(BaseModel):
    """A legal hold. `phone` "": on an account. `note`: in the answer to adding it, which of its phones lose bytes already. `authority` and `reference` only
    in lists and explanations, and only for operators, approvers, auditors."""

    id: str
    phone: str
    account_pseudonym: str
    ground: str
    until: Instant | None
    authority: str
    reference: str
    disclose: bool
    added_at: Instant | None
    operator: str
    note: str = ""


def hold_out(hold: Hold, *, words: bool) -> HoldOut:
    """The document of a hold; without `words` it holds nothing that a person wrote."""
    return HoldOut(
        id=hold.id,
        phone=hold.uuid,
        account_pseudonym=hold.account,
        ground=hold.ground,
        until=hold.until,
        authority=hold.authority if words else "",
        reference=hold.reference if words else "",
        disclose=hold.disclose,
        added_at=hold.added_at,
        operator=hold.operator,
        note=hold.note,
    )


class HoldHandlers:
    """The routes of legal holds. An answer to a change repeats none of the words that people wrote."""

    def __init__(self, holds: HoldsService, idempotency: Idempotency) -> None:
        self._holds = holds
        self._idempotency = idempotency

    async def add(self, request: web.Request) -> web.Response:
        """Add a legal hold on a phone or on an account's phones."""
        asked = parsed(HoldIn, await bytes_of(request, MAX_BODY))
        uuid, account = asked.target()
        person = person_of(request[CALLER])
        disclose = asked.ground not in UNDISCLOSED if asked.disclose is None else asked.disclose

        async def act() -> BaseModel:
            hold = await self._holds.add(
                uuid=uuid,
                account=account,
                authority=asked.authority,
                reference=asked.reference,
                ground=asked.ground,
                until=asked.until,
                disclose=disclose,
                reason=asked.reason,
                person=person,
            )
            return hold_out(hold, words=False)

        blinded = self._idempotency.blinded(asked.account_text)
        facts = {"phone": uuid, "account": blinded, "ground": asked.ground, "until": str(asked.until), "disclose": disclose}
        return await self._idempotency.once(request, facts, act, 201)

    async def in_force(self, request: web.Request) -> web.Response:
        """Holds in force, with their words for those who may read them."""
        words = may_read(request[CALLER])
        return as_items([hold_out(hold, words=words) for hold in await self._holds.in_force()])

    async def release(self, request: web.Request) -> web.Response:
        """Release a legal hold. Takes two people."""
        asked = parsed(ReasonIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            return hold_out(await self._holds.release(request.match_info["id"], reason=asked.reason, person=person), words=False)

        return await self._idempotency.once(request, {}, act, 200)
