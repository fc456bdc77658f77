"""Notices leave the outbox: at least once, in order per phone, with patience, and never in the way of a wipe (R8).

One task of its own. A notice is tried, then marked; a daemon that dies in between tries it again under the same id. Of one phone's notices only the first
that is pending is ever tried, so the second waits for the first. A receiver that is unwell is asked by one notice at a time, less and less often, and by
all that wait as soon as it takes one; an event that it refuses for what it is holds back its own phone alone. What was tried `ATTEMPTS` times and is
`GIVEN_UP` old is a dead letter: an alarm, and its phone's next notice goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from wiped.decide import backoff
from wiped.errors import WipedError
from wiped.model.notices import Delivery, Notice
from wiped.model.policy import Safety
from wiped.ports.ledger.notices import NoticeStore
from wiped.ports.machine import Clock, Randomness
from wiped.ports.outside import Courier

_log = structlog.get_logger(__name__)

#: Back-off after the first failure and at most, seconds: doubled each time, then shortened at random by up to half.
FIRST_AGAIN, LAST_AGAIN = 5.0, 14_400.0
#: How long an unwell receiver is left alone at most, whatever waits, seconds.
LEFT_ALONE = 300.0
#: 5 s, 10 s ... 4 h, 4 h ... for three days; a receiver that flaps uses up attempts sooner, and time all the same.
ATTEMPTS, GIVEN_UP = 30, timedelta(days=3)
#: How many phones' notices are on their way at a time, and how many are looked up at once.
PARALLEL, BATCH = 4, 64
#: How often the outbox is looked into while nothing is to be done, seconds.
LOOK = 2.0


def _nobody(_: str) -> None:
    """No tally."""


@dataclass(slots=True)
class Delivering:
    """`pause` waits for seconds; `tally`: told `delivered`, `failed` or `dead` for every attempt."""

    outbox: NoticeStore
    courier: Courier
    clock: Clock
    randomness: Randomness
    pause: Callable[[float], Awaitable[None]]
    tally: Callable[[str], None] = _nobody
    _failures: int = 0
    _back: bool = False
    _not_before: float = 0.0
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PARALLEL))

    async def run(self) -> None:
        """Deliver until cancelled. What goes wrong here is logged, and tried again."""
        while True:
            try:
                busy = await self.round()
            except WipedError as error:
                _log.warning("notices wait", code=error.code, detail=str(error))
                busy = False
            except Exception:
                _log.exception("delivering failed unexpectedly")
                busy = False
            if not busy:
                await self.pause(LOOK)

    async def round(self) -> bool:
        """One look into the outbox; whether anything was delivered, so that more may be ready at once. Raises LedgerError."""
        if self.clock.boottime() < self._not_before:
            return False
        # An unwell receiver is asked by one notice; when that passes, the others follow, whatever their back-off.
        back, self._back = self._back, False
        until = self.clock.now() + timedelta(seconds=LAST_AGAIN if back else 0)
        ready = await self.outbox.due(until, 1 if self._failures else BATCH)
        if not ready:
            return False
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(notice), name=f"notice-{notice.id}") for notice in ready]
        delivered = any(task.result() for task in tasks)
        self._back = self._back or (back and delivered and len(ready) == BATCH)
        return delivered

    async def _one(self, notice: Notice) -> bool:
        async with self._turn:
            if self.clock.boottime() < self._not_before:
                return False  # another one of this batch has found the receiver unwell
            try:
                delivery = await self.courier.carry(notice, self.clock.now())
            except Exception:
                _log.exception("a courier failed unexpectedly", notice=notice.id)
                delivery = Delivery(False, "unexpected", alone=True)
            try:
                await self._mark(notice, delivery)
            except WipedError as error:
                # It will be sent again under the same id; not at once, and again, and again.
                self._leave_alone(0)
                _log.warning("how a notice went could not be recorded", notice=notice.id, code=error.code, detail=str(error))
                return False
            return delivery.delivered

    async def _mark(self, notice: Notice, delivery: Delivery) -> None:
        now = self.clock.now()
        if delivery.delivered:
            await self.outbox.note_delivery(notice.id, now, delivered=True)
            self._back = self._back or self._failures > 0
            self._failures, self._not_before = 0, 0.0
            self.tally("delivered")
            return
        if not delivery.alone:
            self._leave_alone(delivery.retry_after)
        attempts = notice.attempts + 1
        # A receiver that is unwell is asked often enough to notice that it is back; an event that it refuses for itself, less and less often.
        longest = LAST_AGAIN if delivery.alone else LEFT_ALONE
        wait = max(self._delay(notice.attempts, longest), min(float(delivery.retry_after), LAST_AGAIN))
        retry_at = None if attempts >= ATTEMPTS and now - notice.at >= GIVEN_UP else now + timedelta(seconds=wait)
        await self.outbox.note_delivery(notice.id, now, delivered=False, fault=delivery.fault, retry_at=retry_at)
        told = {"notice": notice.id, "kind": str(notice.kind), "uuid": notice.subject, "fault": delivery.fault, "attempts": attempts}
        if retry_at is None:
            self.tally("dead")
            _log.error("a notice was given up: dead letter", **told)
        else:
            self.tally("failed")
            _log.warning("a notice was not delivered", **told, again_in=round(wait))

    def _leave_alone(self, wish: int) -> None:
        if self.clock.boottime() >= self._not_before:  # several that fail together are one failure of the receiver
            self._failures += 1
            self._not_before = self.clock.boottime() + max(self._delay(self._failures - 1, LEFT_ALONE), min(float(wish), LEFT_ALONE))

    def _delay(self, failures: int, longest: float) -> float:
        """Seconds: exponential, with a random half (hosts that lost one receiver together do not come back together)."""
        share = int.from_bytes(self.randomness.seed()[:4], "big") / 2**32
        return backoff.wait(failures, first=FIRST_AGAIN, longest=longest, jitter=share)


async def warn_of_ending_holds(outbox: NoticeStore, clock: Clock, safety: Safety) -> None:
    """A chore: the alarm before a hold's end date lifts it (R9), once per hold and date: a notice, and a line in the log."""
    for hold_id in await outbox.tell_ending_holds(clock.now(), safety.hold_warning):
        _log.warning("a legal hold ends soon: what it keeps will be wiped as if it had not been", hold=hold_id)
