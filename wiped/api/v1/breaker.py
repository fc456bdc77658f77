"""The circuit breaker: whether it is open, the phones that wait for its release, and the release by two people."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from wiped.api.http.bodies import CALLER, MAX_BODY, as_json, bytes_of, parsed, person_of
from wiped.api.http.idempotency import Idempotency
from wiped.api.v1.fields import Instant, ReasonText, StrictIn
from wiped.decide import breaker as rules
from wiped.model.breaker import BreakerRecord
from wiped.ports.service import BreakerService


class ReleaseIn(StrictIn):
    """Body of `POST /v1/breaker`. `reason` is for people, sealed in the ledger; `fingerprint`: of the set of phones that the requester looked at
    ("": the set that waits now)."""

    reason: ReasonText
    fingerprint: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class CountedOut(BaseModel):
    """A phone that waits for the breaker's release."""

    uuid: str
    name: str
    generation: int
    counted_at: Instant
    due_at: Instant | None


class BreakerOut(BaseModel):
    """The breaker. The numbers are those of its last opening; `phones`: exactly those whose wipe a release allows (after a release: those
    whose wipe it allowed)."""

    open: bool
    why: str
    opened_at: Instant | None
    newly_due: int
    limit: int
    bound: int
    window_seconds: int
    phones: list[CountedOut]
    fingerprint: str
    released_at: Instant | None
    released_by: str


def breaker_out(record: BreakerRecord, *, released: bool = False) -> BreakerOut:
    """The document of the breaker; `released`: the breaker was just closed, and `record` is its state before."""
    return BreakerOut(
        open=record.open and not released,
        why="" if released else rules.why(record),
        opened_at=record.opened_at,
        newly_due=record.newly_due,
        limit=record.limit,
        bound=record.bound,
        window_seconds=record.window,
        phones=[
            CountedOut(uuid=phone.uuid, name=phone.name, generation=phone.generation, counted_at=phone.counted_at, due_at=phone.due_at)
            for phone in record.waiting
        ],
        fingerprint=record.fingerprint,
        released_at=record.released_at,
        released_by=record.released_by,
    )


class BreakerHandlers:
    """The routes of the circuit breaker."""

    def __init__(self, breaker: BreakerService, idempotency: Idempotency) -> None:
        self._breaker = breaker
        self._idempotency = idempotency

    async def get(self, _request: web.Request) -> web.Response:
        """The breaker, and the phones that wait for its release."""
        return as_json(breaker_out(await self._breaker.get()))

    async def release(self, request: web.Request) -> web.Response:
        """Allow the wipe of exactly the waiting phones. Takes two people."""
        asked = parsed(ReleaseIn, await bytes_of(request, MAX_BODY))
        person = person_of(request[CALLER])

        async def act() -> BaseModel:
            before = await self._breaker.release(fingerprint=asked.fingerprint, reason=asked.reason, person=person)
            return breaker_out(before, released=True)

        return await self._idempotency.once(request, {"fingerprint": asked.fingerprint}, act, 200)
