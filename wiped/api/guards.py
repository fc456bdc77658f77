"""The documents of breaker and clock, and their shaping from the model's values. Pure."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from wiped.api.documents import Instant, _In
from wiped.decide import breaker as rules
from wiped.decide import clock as clock_rules
from wiped.model.breaker_and_clock import BreakerRecord, ClockMemory


class ReleaseIn(_In):
    """Body of `POST /v1/breaker`. `reason` is for people, sealed in the ledger; `fingerprint`: of the set that was looked at ("": whatever waits now)."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    fingerprint: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class TrustIn(_In):
    """Body of `POST /v1/clock`. `reason` is for people, sealed in the ledger."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]


class CountedOut(BaseModel):
    """A phone that waits behind the breaker."""

    uuid: str
    name: str
    generation: int
    counted_at: Instant
    due_at: Instant | None


class BreakerOut(BaseModel):
    """The breaker. The numbers are those of its last opening; `phones`: exactly whom a release lets go (after one: whom it let go)."""

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


class ClockOut(BaseModel):
    """The clock. `suspect` is "" or a word; `why` says what to do. `synchronised` null: the kernel does not tell."""

    suspect: str
    why: str
    since: Instant | None
    at: Instant
    synchronised: bool | None
    was: str


def breaker_out(record: BreakerRecord, *, released: bool = False) -> BreakerOut:
    """The breaker; `released`: it was just closed, and `record` is as it was before."""
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


def clock_out(memory: ClockMemory, *, trusted: bool = False) -> ClockOut:
    """The clock; `trusted`: it was just cleared, and `memory` is as it was before."""
    return ClockOut(
        suspect="" if trusted else memory.suspect,
        why="" if trusted else clock_rules.sentence(memory),
        since=None if trusted else memory.since,
        at=memory.seen_at,
        synchronised=memory.synchronised,
        was=memory.suspect if trusted else "",
    )
