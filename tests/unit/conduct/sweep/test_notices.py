"""Delivery: a real receiver that is down, flaps, hangs, lies and comes back; a clock that a test moves; a daemon that is killed in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from tests.fakes.clock import FakeClock, FakeRandomness
from tests.fakes.ports import PowerCut
from tests.fakes.receiver import SECRET, Received, Receiver, receiving, verified
from tests.patience import PATIENCE
from tests.unit.record.rig import OTHER, PHONE, Rig, rig_in, uuid_of
from wiped.conduct.sweep.notices import ATTEMPTS, GIVEN_UP, LAST_AGAIN, LEFT_ALONE, LOOK, Delivering, warn_of_ending_holds
from wiped.errors import LedgerError
from wiped.model.notices import Backlog, Delivery, Notice, NoticeKind, NoticeState
from wiped.model.policy import Safety
from wiped.model.subscription import Hold
from wiped.notify.signing import parse_secrets
from wiped.notify.webhook import Webhook
from wiped.ports.ledger.notices import NoticeStore
from wiped.ports.outside import Courier
from wiped.record import notices
from wiped.record.ledger import SqlLedger

HOUR = 3_600


@dataclass
class Hindered:
    """The ledger's outbox, with faults: `read` and `mark` are raised instead of looking and of marking."""

    ledger: SqlLedger
    read: list[BaseException] = field(default_factory=list)
    mark: BaseException | None = None

    async def due(self, now: datetime, limit: int) -> tuple[Notice, ...]:
        if self.read:
            raise self.read.pop(0)
        return await self.ledger.notices.due(now, limit)

    async def note_delivery(self, notice_id: str, now: datetime, *, delivered: bool, fault: str = "", retry_at: datetime | None = None) -> None:
        if self.mark is not None:
            raise self.mark
        await self.ledger.notices.note_delivery(notice_id, now, delivered=delivered, fault=fault, retry_at=retry_at)


@dataclass
class Post:
    """A ledger, and a daemon's delivering over it."""

    rig: Rig
    courier: Courier
    results: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.boot()

    @property
    def clock(self) -> FakeClock:
        return self.rig.clock

    def boot(self) -> None:
        """A new daemon: back-off of the receiver is forgotten, the outbox is not."""
        clock = self.clock
        self.outbox = Hindered(self.rig.ledger)
        self.delivering = Delivering(cast(NoticeStore, self.outbox), self.courier, clock, FakeRandomness(), clock.pause, self.results.append)

    async def put(self, subject: str, number: int, kind: NoticeKind = NoticeKind.FENCED) -> None:
        """The `number`-th notice of a phone, or of the host ("")."""

        def change(connection: Connection) -> None:
            notices.put(connection, kind, subject, 1, "p-1", {"count": number}, self.clock.now())

        await self.rig.ledger._db.write(change)

    async def until(self, seconds: float, done: Callable[[], Awaitable[bool]] | None = None, *, step: float = LOOK) -> None:
        """Deliver as `run` does, until that much time has passed (or `done`). `step`: how far the clock is moved where nothing is to be done."""
        end = self.clock.boottime() + seconds
        while self.clock.boottime() < end:
            if not await self.delivering.round():
                if done is not None and await done():
                    return
                await self.clock.pause(step)
        assert done is None, "it never came to an end"

    async def empty(self) -> bool:
        """Nothing waits."""
        return (await self.rig.ledger.notices.backlog()).pending == 0


@contextlib.asynccontextmanager
async def post_to(url: str, *, patience: float = 2) -> AsyncIterator[Post]:
    """A post whose receiver listens at `url`."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        async with rig_in(Path(folder)) as rig, Webhook(url, parse_secrets(SECRET), host="host-1", residency="eu", version="9", timeout=patience) as courier:
            await rig.ledger.notices.receive(tuple(NoticeKind))
            yield Post(rig, courier)


def numbers(received: list[Received]) -> dict[str, list[int]]:
    """What each phone's events say, in the order in which they came; an event that came twice counts once."""
    found: dict[str, list[int]] = {}
    seen = set()
    for one in received:
        event = one.event
        if event["id"] not in seen:
            seen.add(event["id"])
            found.setdefault(event.get("subject", ""), []).append(event["data"]["count"])
    return found


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A ledger that is open, where syncs cost nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        async with rig_in(Path(folder)) as opened:
            yield opened


async def test_down_for_an_hour_then_flapping_every_event_arrives_in_order() -> None:
    """Ten phones of six events each, which arise while nobody listens and while the receiver drops, hangs, refuses and loses answers: each arrives, each
    verifies, each phone's in order; what came twice came under the same id."""
    chance = random.Random(4711)
    moods: list[int | str] = [204, 204, 503, "drop", 204, "lost", 429, 500]
    receiver = Receiver(lambda _: chance.choice(moods))
    await receiver.up()
    await receiver.down()  # the port is had, and nobody listens
    async with post_to(receiver.url) as post:
        phones = [uuid_of(100 + number) for number in range(10)]
        for number in range(3):
            for phone in phones:
                await post.put(phone, number)
            await post.until(HOUR / 3)
        assert receiver.asked == []
        assert (await post.rig.ledger.notices.backlog()).pending == 30
        # A receiver that is down is not stormed: one attempt at a time, less and less often.
        assert len(post.results) <= HOUR / (LEFT_ALONE / 2) + 10
        await receiver.up()
        began = post.clock.boottime()
        try:
            for number in range(3, 6):
                for phone in phones:
                    await post.put(phone, number)
                await post.until(120)
            await post.until(12 * HOUR, post.empty)
        finally:
            await receiver.down()
        assert numbers(receiver.taken) == {phone: list(range(6)) for phone in phones}
        assert all(verified(one) for one in receiver.asked)
        assert len({one.event["id"] for one in receiver.taken}) == 60
        assert len(receiver.asked) > len(receiver.taken) > 60  # it did flap, and answers were lost
        assert post.clock.boottime() - began < 3 * HOUR
        assert all(notice.state is NoticeState.DELIVERED for notice in await post.rig.ledger.notices.find())


async def test_a_receiver_that_comes_back_gets_all_within_minutes() -> None:
    """Each notice's own back-off may be hours; once one is taken, the others follow."""
    receiver = Receiver()
    await receiver.up()
    await receiver.down()
    async with post_to(receiver.url) as post:
        for number in range(5):
            await post.put(uuid_of(200 + number), 0)
        await post.until(24 * HOUR, step=60)
        await receiver.up()
        try:
            await post.until(LEFT_ALONE + 60, post.empty)
        finally:
            await receiver.down()
        assert len(receiver.taken) == 5


async def test_killed_between_answer_and_mark_it_is_sent_again_under_its_id() -> None:
    """At least once: the receiver took it, the ledger never heard of it; the next daemon sends the same bytes under the same id."""
    async with receiving() as receiver, post_to(receiver.url) as post:
        await post.put(PHONE, 0)
        await post.put(PHONE, 1)

        post.outbox.mark = PowerCut("before the mark")
        with pytest.raises(BaseExceptionGroup) as cut:
            await post.delivering.round()
        assert cut.group_contains(PowerCut)
        assert [one.event["data"]["count"] for one in receiver.taken] == [0]
        post.boot()
        await post.until(60, post.empty)
        assert [one.event["data"]["count"] for one in receiver.taken] == [0, 0, 1]
        first, second, third = receiver.taken
        assert first.body == second.body
        assert first.headers["webhook-id"] == second.headers["webhook-id"] != third.headers["webhook-id"]


async def test_an_event_that_is_refused_for_itself_holds_back_its_own_phone_alone() -> None:
    """And becomes a dead letter after days, with an alarm; then its phone's next one passes, and a revived one after it."""
    receiver = Receiver(lambda one: 422 if one.event["subject"] == PHONE and one.event["data"]["count"] == 0 else 204)
    await receiver.up()
    try:
        async with post_to(receiver.url) as post:
            for number in range(2):
                await post.put(PHONE, number)
                await post.put(OTHER, number)
            await post.until(60)
            assert numbers(receiver.taken) == {OTHER: [0, 1]}
            with capture_logs() as lines:
                await post.until(20 * 24 * HOUR, post.empty, step=600)
            assert numbers(receiver.taken) == {OTHER: [0, 1], PHONE: [1]}
            (alarm,) = [line for line in lines if line["log_level"] == "error"]
            assert (alarm["fault"], alarm["uuid"]) == ("http-422", PHONE)
            assert alarm["attempts"] >= ATTEMPTS
            dead = [notice for notice in await post.rig.ledger.notices.find() if notice.state is NoticeState.DEAD]
            (entry,) = [entry for entry in await post.rig.ledger.audit.entries() if entry.kind == "notice-dead"]
            assert [notice.id for notice in dead] == [entry.body["id"]]
            assert datetime.fromisoformat(entry.at) - dead[0].at >= GIVEN_UP
            assert post.results.count("dead") == 1
            receiver.mood = lambda _: 204
            assert await post.rig.ledger.notices.revive(post.clock.now(), "bob") == 1
            await post.until(60, post.empty)
            assert numbers(receiver.taken) == {OTHER: [0, 1], PHONE: [1, 0]}
    finally:
        await receiver.down()


async def test_a_notice_of_the_host_that_is_refused_holds_back_its_own_noun_alone() -> None:
    """The receiver refuses `drain.announced` for what it is: that the breaker opened arrives all the same; the end of that drain waits for its beginning."""
    async with receiving(lambda one: 422 if one.event["type"] == "wiped.drain.announced" else 204) as receiver, post_to(receiver.url) as post:
        for number, kind in enumerate((NoticeKind.DRAIN_ANNOUNCED, NoticeKind.BREAKER_OPENED, NoticeKind.DRAIN_CANCELLED, NoticeKind.BREAKER_OPENED)):
            await post.put("", number, kind)
        await post.until(60)
        assert numbers(receiver.taken) == {"": [1, 3]}
        receiver.mood = lambda _: 204
        await post.until(2 * HOUR, post.empty)
        assert numbers(receiver.taken) == {"": [1, 3, 0, 2]}


async def test_the_wish_of_the_receiver_is_granted_within_bounds() -> None:
    """Retry-After lengthens the pause, to five minutes for the receiver and four hours for an event at most."""
    async with receiving(lambda _: 429) as receiver, post_to(receiver.url) as post:
        receiver.headers["Retry-After"] = "200"
        await post.put(PHONE, 0)
        await post.until(190)
        assert len(receiver.asked) == 1
        await post.until(30)
        assert len(receiver.asked) == 2


@dataclass
class Slow:
    """A courier that counts how many attempts are under way."""

    now: int = 0
    most: int = 0
    fail: Exception | None = None

    async def carry(self, notice: Notice, now: datetime) -> Delivery:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001)
        self.now -= 1
        if self.fail is not None:
            raise self.fail
        return Delivery(True)


async def test_few_are_on_their_way_at_a_time_and_one_of_each_phone(rig: Rig) -> None:
    """A hundred phones do not mean a hundred connections."""
    slow = Slow()
    post = Post(rig, slow)
    await rig.ledger.notices.receive(tuple(NoticeKind))
    for number in range(100):
        await post.put(uuid_of(300 + number), 0)
    await post.until(60, post.empty)
    assert slow.most == 4


async def test_what_fails_unexpectedly_is_told_and_tried_again(rig: Rig) -> None:
    """A fault of ours in a courier is one notice's trouble, not the task's end."""
    slow = Slow(fail=ValueError("ours"))
    post = Post(rig, slow)
    await rig.ledger.notices.receive(tuple(NoticeKind))
    await post.put(PHONE, 0)
    with capture_logs() as lines:
        await post.until(30)
    assert "a courier failed unexpectedly" in {line["event"] for line in lines}
    slow.fail = None
    await post.until(LAST_AGAIN, post.empty)


async def test_a_full_disk_does_not_make_it_send_the_same_again_and_again() -> None:
    """What cannot be marked is sent again, with patience; the task goes on, and nothing is lost."""
    async with receiving() as receiver, post_to(receiver.url) as post:
        await post.put(PHONE, 0)

        post.outbox.mark = LedgerError("no space left on device")
        running = asyncio.create_task(post.delivering.run())
        while post.clock.boottime() < 1000 + HOUR:
            await asyncio.sleep(0)
        assert 5 <= len(receiver.asked) <= 2 * HOUR / LEFT_ALONE + 10
        post.outbox.mark = None
        while not await post.empty():
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        assert len({one.event["id"] for one in receiver.taken}) == 1


async def test_the_task_outlives_a_ledger_that_cannot_be_read(rig: Rig) -> None:
    """It waits and looks again; a stop ends it at once."""
    post = Post(rig, Slow())
    post.outbox.read = [LedgerError("unreadable"), RuntimeError("a bug"), LedgerError("unreadable")]
    with capture_logs() as lines:
        running = asyncio.create_task(post.delivering.run())
        while post.outbox.read:
            await asyncio.sleep(0)
        assert not running.done()
        running.cancel()
        await asyncio.wait([running], timeout=PATIENCE)
    assert running.cancelled()
    assert {"notices wait", "delivering failed unexpectedly"} <= {line["event"] for line in lines}


async def test_a_hold_that_ends_soon_is_an_alarm(rig: Rig) -> None:
    """Once, in the log and as a notice; without the words of the authority."""
    hold = Hold("h-1", PHONE, "", "litigation", rig.now + timedelta(days=2), authority="the court")
    await rig.ledger.holds.add(hold, rig.now, "op")
    with capture_logs() as lines:
        for _ in range(2):
            await warn_of_ending_holds(rig.ledger.notices, rig.clock, Safety())
    assert [(line["log_level"], line["hold"]) for line in lines] == [("warning", "h-1")]
    (notice,) = await rig.ledger.notices.find()
    assert notice.kind is NoticeKind.HOLD_ENDING
    assert "court" not in json.dumps(notice.data)
    assert await rig.ledger.notices.backlog() == Backlog()
