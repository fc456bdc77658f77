"""When and how many: the queue of work on phones, and the clockwork that makes sweeps happen.

The queue: one piece of work per phone at a time, what moves no bytes (fencing, stopping, giving back) before any wipe; up to `parallel_wipes` wipes; no
second wipe on a device while a wipe for another device waits; unfinished ones first, then minors, then the overdue, then the longest due. Work that failed
for the moment comes again with back-off. Nothing of the queue is durable: it is filled from the ledger by every sweep (I8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import structlog

from wiped.conduct.results import Ending
from wiped.decide import backoff
from wiped.errors import TransientError, WipedError
from wiped.ports.machine import Clock

_log = structlog.get_logger(__name__)

#: Back-off after a passing failure, and after a refusal, seconds: doubled each time up to the last.
FIRST_AGAIN, LAST_AGAIN = 1.0, 300.0
FIRST_AFTER_REFUSAL, LAST_AFTER_REFUSAL = 60.0, 300.0
#: After this many passing failures in a row a wipe past its last word is judged as it is.
PATIENCE = 6
#: How far down the queue a wipe for a free device is looked for.
LOOK_AHEAD = 32
#: How many phones are fenced or given back at a time (no bytes are moved by that).
PARALLEL_FENCES = 8


class Kind(StrEnum):
    """What is to be done to a phone."""

    WIPE = "wipe"
    FENCE = "fence"
    LIFT = "lift"
    STOP = "stop"
    BACK = "back"
    """Give a phone back whose wipe is called off before its last word."""


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work. `rank` orders: (0 if erasing had begun, 0 if a minor's or a guardian's (R6), 0 if overdue, due instant). `devices`: None until
    looked up."""

    kind: Kind
    uuid: str
    wipe_id: str = ""
    begun: bool = False
    minor: bool = False
    overdue: bool = False
    due_at: datetime | None = None
    devices: frozenset[int] | None = None

    @property
    def key(self) -> tuple[str, bool]:
        """A phone has one wipe in the queue, and beside it one piece of what moves no bytes: neither is dropped for the other."""
        return self.uuid, self.kind is Kind.WIPE

    def rank(self) -> tuple[int, int, int, float, str]:
        """The order of the queue."""
        due = self.due_at.timestamp() if self.due_at is not None else float("inf")
        return (0 if self.begun else 1, 0 if self.minor else 1, 0 if self.overdue else 1, due, self.uuid)


@dataclass(slots=True)
class _Trouble:
    """Failures in a row of one phone's work."""

    count: int = 0
    not_before: float = 0.0


@dataclass(slots=True)
class WorkQueue:
    """`do`: does one piece of work; `give_up`: judges a begun wipe that keeps failing, by wipe id and reason; `devices`: on which devices a phone lies."""

    clock: Clock
    parallel: int
    do: Callable[[Work], Awaitable[Ending | None]]
    give_up: Callable[[Work, TransientError], Awaitable[None]]
    devices: Callable[[Work], Awaitable[frozenset[int]]]
    _waiting: dict[tuple[str, bool], Work] = field(default_factory=dict)
    _running: dict[str, Work] = field(default_factory=dict)
    _trouble: dict[tuple[str, bool], _Trouble] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def submit(self, work: Work, *, at_once: bool = False) -> None:
        """Ask for work. The same work again changes nothing, unless `at_once`, which forgets the back-off. Of what moves no bytes the newest counts."""
        if at_once:
            self._trouble.pop(work.key, None)
        known = self._waiting.get(work.key)
        if work.uuid in self._running and self._running[work.uuid].kind is work.kind and not at_once:
            return
        self._waiting[work.key] = replace(work, devices=known.devices) if known is not None else work
        self._wake.set()

    @property
    def running(self) -> tuple[Work, ...]:
        """Work in progress."""
        return tuple(self._running.values())

    @property
    def queued(self) -> int:
        """Wipes that wait for their turn."""
        return sum(1 for work in self._waiting.values() if work.kind is Kind.WIPE)

    def busy_with(self, uuid: str) -> bool:
        """Whether work on this phone is in progress."""
        return uuid in self._running

    async def run(self) -> None:
        """Work until cancelled; a task per piece of work, all owned here. On cancellation all are cancelled and waited for."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                while (work := await self._next()) is not None:
                    self._waiting.pop(work.key, None)
                    self._running[work.uuid] = work
                    group.create_task(self._one(work), name=f"{work.kind}-{work.uuid}")
                try:
                    async with asyncio.timeout(self._until_ready()):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _next(self) -> Work | None:
        ready = sorted(self._ready(), key=Work.rank)
        for work in ready:
            if work.kind is not Kind.WIPE and sum(1 for item in self._running.values() if item.kind is not Kind.WIPE) < PARALLEL_FENCES:
                return work
        wipes = [work for work in ready if work.kind is Kind.WIPE]
        running = [work for work in self._running.values() if work.kind is Kind.WIPE]
        if not wipes or len(running) >= self.parallel:
            return None
        taken: set[int] = set().union(*(work.devices or () for work in running))
        for work in wipes[:LOOK_AHEAD]:
            known = await self._looked_up(work)
            if not (known.devices or frozenset()) & taken:
                return known
        return await self._looked_up(wipes[0])

    async def _looked_up(self, work: Work) -> Work:
        if work.devices is not None:
            return work
        known = replace(work, devices=await self.devices(work))
        if self._waiting.get(work.key) == work:
            self._waiting[work.key] = known
        return known

    def _ready(self) -> Iterable[Work]:
        now = self.clock.boottime()
        for work in self._waiting.values():
            trouble = self._trouble.get(work.key)
            if work.uuid not in self._running and (trouble is None or trouble.not_before <= now):
                yield work

    def _until_ready(self) -> float | None:
        now = self.clock.boottime()
        waits = [
            trouble.not_before - now
            for key, trouble in self._trouble.items()
            if key in self._waiting and key[0] not in self._running and trouble.not_before > now
        ]
        return max(0.01, min(waits)) if waits else None

    async def _one(self, work: Work) -> None:
        try:
            ending = await self.do(work)
        except TransientError as error:
            await self._again(work, error)
        except WipedError as error:
            _log.error("work failed", kind=str(work.kind), uuid=work.uuid, wipe_id=work.wipe_id, code=error.code, detail=str(error))
            self._hold_back(work, LAST_AGAIN, LAST_AGAIN)
        except Exception:
            _log.exception("work failed unexpectedly", kind=str(work.kind), uuid=work.uuid, wipe_id=work.wipe_id)
            self._hold_back(work, LAST_AGAIN, LAST_AGAIN)
        else:
            if ending in {Ending.REFUSED, Ending.WAITING}:
                self._hold_back(work, FIRST_AFTER_REFUSAL, LAST_AFTER_REFUSAL)
            else:
                self._trouble.pop(work.key, None)
        finally:
            self._running.pop(work.uuid, None)
            self._wake.set()

    async def _again(self, work: Work, error: TransientError) -> None:
        trouble = self._hold_back(work, FIRST_AGAIN, LAST_AGAIN)
        _log.warning(
            "work failed for now", kind=str(work.kind), uuid=work.uuid, wipe_id=work.wipe_id, code=error.code, detail=str(error), failures=trouble.count
        )
        if work.kind is Kind.WIPE and trouble.count >= PATIENCE:
            try:
                await self.give_up(work, error)
            except WipedError as second:
                _log.error("could not be judged", uuid=work.uuid, wipe_id=work.wipe_id, code=second.code, detail=str(second))

    def _hold_back(self, work: Work, first: float, last: float) -> _Trouble:
        trouble = self._trouble.setdefault(work.key, _Trouble())
        trouble.count += 1
        trouble.not_before = self.clock.boottime() + backoff.wait(trouble.count - 1, first=first, longest=last)
        self._waiting.setdefault(work.key, work)
        return trouble
