"""Drains: announced ends of this host or of a product on it, cancelled by two people."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel

from wiped.api.http.bodies import CALLER, MAX_BODY, as_items, bytes_of, parsed, person_of
from wiped.api.http.idempotency import Idempotency
from wiped.api.v1.fields import Instant, InstantIn, ReasonIn, ReasonText, StrictIn, Text
from wiped.model.approvals import Drain
from wiped.ports.service import DrainsService


class DrainIn(StrictIn):
    """Body of `POST /v1/drain`. `product` "": the whole host."""

    at: InstantIn
    product: Text = ""
    reason: ReasonText


class DrainOut(BaseModel):
    """An announced end. `product` "": the whole host; `approved`: phones whose terms still run at `at` are wiped too."""

    id: str
    at: Instant
    product: str
    announced_at: Instant | None
    operator: str
    approved: bool
    approver: str
    cancelled_at: Instant | None


def drain_out(drain: Drain) -> DrainOut:
    """The document of a drain."""
    return DrainOut(
        id=drain.id,
        at=drain.at,
        product=drain.product,
        announced_at=drain.announced_at,
        operator=drain.operator,
        approved=drain.approved,
        approver=drain.approver,
        cancelled_at=drain.cancelled_at,
    )


class DrainHandlers:
    """The routes of drains."""

    def __init__(self, drains: DrainsService, idempotency: Idempotency) -> None:
        self._drains = drains
        self._idempotency = idempotency

    async def start(self, request: web.Request) -> web.Response:
        """Announce the end of this host, or of a product on it."""
        asked = parsed(DrainIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            return drain_out(await self._drains.start(asked.at, product=asked.product, reason=asked.reason, person=person))

        return await self._idempotency.once(request, {"at": asked.at.isoformat(), "product": asked.product}, act, 201)

    async def in_force(self, _request: web.Request) -> web.Response:
        """Drains in force."""
        return as_items([drain_out(item) for item in await self._drains.in_force()])

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel a drain. Takes two people."""
        asked = parsed(ReasonIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            return drain_out(await self._drains.cancel(request.match_info["id"], reason=asked.reason, person=person))

        return await self._idempotency.once(request, {}, act, 200)
