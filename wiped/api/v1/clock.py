"""The check of the host's clock: whether the clock is suspect and why, and that an operator accepts it as right."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel

from wiped.api.http.bodies import CALLER, MAX_BODY, as_json, bytes_of, parsed
from wiped.api.http.idempotency import Idempotency
from wiped.api.v1.fields import Instant, ReasonText, StrictIn
from wiped.decide import clock as rules
from wiped.model.clock import ClockMemory
from wiped.ports.service import ClockService


class TrustIn(StrictIn):
    """Body of `POST /v1/clock`. `reason` is for people, sealed in the ledger."""

    reason: ReasonText


class ClockOut(BaseModel):
    """The clock. `suspect` is "" or one word; `why` says what to do. `synchronised` null: the kernel does not say."""

    suspect: str
    why: str
    since: Instant | None
    at: Instant
    synchronised: bool | None
    was: str


def clock_out(memory: ClockMemory, *, trusted: bool = False) -> ClockOut:
    """The document of the clock; `trusted`: the suspicion was just ended, and `memory` is the state before."""
    return ClockOut(
        suspect="" if trusted else memory.suspect,
        why="" if trusted else rules.sentence(memory),
        since=None if trusted else memory.since,
        at=memory.seen_at,
        synchronised=memory.synchronised,
        was=memory.suspect if trusted else "",
    )


class ClockHandlers:
    """The routes of the clock check."""

    def __init__(self, clock: ClockService, idempotency: Idempotency) -> None:
        self._clock = clock
        self._idempotency = idempotency

    async def get(self, _request: web.Request) -> web.Response:
        """Whether the clock is suspect, and why."""
        return as_json(clock_out(await self._clock.get()))

    async def trust(self, request: web.Request) -> web.Response:
        """Accept that a suspect clock is right."""
        asked = parsed(TrustIn, await bytes_of(request, MAX_BODY))
        operator = request[CALLER].name

        async def act() -> BaseModel:
            return clock_out(await self._clock.trust(reason=asked.reason, operator=operator), trusted=True)

        return await self._idempotency.once(request, {}, act, 200)
