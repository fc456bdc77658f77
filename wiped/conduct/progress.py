"""News of wipes for their watchers: one hub that keeps the latest progress, feeds watchers through bounded queues, and passes everything on to sinks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from wiped.model.records import FINAL_STEPS, WipeRecord, WipeStep
from wiped.model.status import WipeNews
from wiped.ports.machine import Announcer, Clock

#: A watcher that does not read loses its oldest news after this many.
QUEUE_LENGTH = 256

_ENDS = frozenset({*FINAL_STEPS, WipeStep.QUARANTINED})


@dataclass(slots=True)
class _Moving:
    """Bytes of one wipe in one phase. `since`: boottime seconds at which the phase began; `already`: bytes done of it at that moment."""

    phase: str
    since: float
    artefact_id: str = ""
    bytes: dict[str, tuple[int, int]] = field(default_factory=dict)
    already: int = 0

    @property
    def done(self) -> int:
        return sum(done for done, _ in self.bytes.values())

    @property
    def total(self) -> int:
        return sum(total for _, total in self.bytes.values())


@dataclass(frozen=True, slots=True)
class Movement:
    """The latest progress of one wipe: bytes done and in all (of the artefacts begun so far), bytes a second."""

    phase: str
    artefact_id: str
    done: int
    total: int
    rate: int


class Hub:
    """Port Announcer: never blocks, never raises. `sinks` (metrics) get every call too."""

    def __init__(self, clock: Clock, sinks: Sequence[Announcer] = ()) -> None:
        self._clock = clock
        self._sinks = tuple(sinks)
        self._moving: dict[str, _Moving] = {}
        self._watchers: dict[str, set[asyncio.Queue[WipeNews]]] = {}

    def progress(self, wipe_id: str, artefact_id: str, phase: str, done: int, total: int) -> None:
        """Bytes of one artefact in one phase."""
        moving = self._moving.get(wipe_id)
        if moving is None or moving.phase != phase:
            moving = self._moving[wipe_id] = _Moving(phase=phase, since=self._clock.boottime(), already=done)
        moving.artefact_id = artefact_id
        moving.bytes[artefact_id] = (done, total)
        self._publish(WipeNews("progress", wipe_id, phase=phase, artefact_id=artefact_id, done=done, total=total))
        for sink in self._sinks:
            sink.progress(wipe_id, artefact_id, phase, done, total)

    def step(self, wipe_id: str, step: str) -> None:
        """A wipe reached a step; the last one ends every watcher's stream."""
        if step not in {WipeStep.ERASING, WipeStep.VERIFYING}:
            self._moving.pop(wipe_id, None)
        self._publish(WipeNews("end" if step in _ENDS else "step", wipe_id, step=step))
        for sink in self._sinks:
            sink.step(wipe_id, step)

    def finished(self, record: WipeRecord, expiry_to_unreadable: float | None) -> None:
        """An attempt was judged."""
        for sink in self._sinks:
            sink.finished(record, expiry_to_unreadable)

    def refused(self, codes: Sequence[str]) -> None:
        """Guards said no."""
        for sink in self._sinks:
            sink.refused(codes)

    def movement(self, wipe_id: str) -> Movement | None:
        """What moves right now; None if no bytes do."""
        moving = self._moving.get(wipe_id)
        if moving is None:
            return None
        spent = self._clock.boottime() - moving.since
        rate = int((moving.done - moving.already) / spent) if spent > 0 else 0
        return Movement(moving.phase, moving.artefact_id, moving.done, moving.total, max(rate, 0))

    @contextmanager
    def watching(self, wipe_id: str) -> Iterator[AsyncIterator[WipeNews]]:
        """News of one wipe from now on, until its end or until the context is left."""
        queue: asyncio.Queue[WipeNews] = asyncio.Queue(QUEUE_LENGTH)
        watchers = self._watchers.setdefault(wipe_id, set())
        watchers.add(queue)
        try:
            yield _until_end(queue)
        finally:
            watchers.discard(queue)
            if not watchers:
                self._watchers.pop(wipe_id, None)

    def _publish(self, news: WipeNews) -> None:
        for queue in self._watchers.get(news.wipe_id, ()):
            while queue.full():
                queue.get_nowait()
            queue.put_nowait(news)


async def _until_end(queue: asyncio.Queue[WipeNews]) -> AsyncIterator[WipeNews]:
    while True:
        news = await queue.get()
        yield news
        if news.event == "end":
            return
