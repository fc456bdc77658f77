"""The work queue: how many at once, who first, on which device, and what happens to work that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.ports import PowerCut
from wiped.conduct.results import Ending
from wiped.conduct.sweep.queue import PATIENCE, Kind, Work, WorkQueue
from wiped.errors import HelperError, InvariantError, TransientError


class Hands:
    """Does work when told to: each piece waits for its gate."""

    def __init__(self, parallel: int = 2, devices: dict[str, int] | None = None) -> None:
        self.clock = FakeClock()
        self.began: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.fails: dict[str, list[BaseException]] = {}
        self.endings: dict[str, Ending] = {}
        self.given_up: list[str] = []
        self._devices = devices or {}
        self.queue = WorkQueue(self.clock, parallel, self.do, self.give_up, self.devices)

    async def do(self, work: Work) -> Ending | None:
        self.began.append(work.uuid)
        if self.fails.get(work.uuid):
            raise self.fails[work.uuid].pop(0)
        await self.gates.setdefault(work.uuid, asyncio.Event()).wait()
        return self.endings.get(work.uuid, Ending.RELEASED)

    async def give_up(self, work: Work, error: TransientError) -> None:
        self.given_up.append(work.uuid)

    async def devices(self, work: Work) -> frozenset[int]:
        return frozenset({self._devices[work.uuid]}) if work.uuid in self._devices else frozenset()

    def finish(self, *uuids: str) -> None:
        for uuid in uuids:
            self.gates.setdefault(uuid, asyncio.Event()).set()


async def during(hands: Hands, story: Callable[[], Awaitable[None]]) -> None:
    """The queue runs while the story is told."""
    task = asyncio.create_task(hands.queue.run(), name="queue")
    try:
        await story()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def settle() -> None:
    """Everything that can happen without time passing has happened."""
    for _ in range(30):
        await asyncio.sleep(0)


def wipe(uuid: str, **facts: object) -> Work:
    return Work(Kind.WIPE, uuid, "w-" + uuid, **facts)  # type: ignore[arg-type]


async def test_no_more_wipes_at_once_than_allowed() -> None:
    """Five wait, two run; as one ends the next begins."""
    hands = Hands(parallel=2)

    async def story() -> None:
        for name in "abcde":
            hands.queue.submit(wipe(name))
        await settle()
        assert (hands.began, hands.queue.queued) == (["a", "b"], 3)
        hands.finish("a")
        await settle()
        assert hands.began == ["a", "b", "c"]
        assert {work.uuid for work in hands.queue.running} == {"b", "c"}

    await during(hands, story)


async def test_begun_ones_first_then_minors_then_the_longest_due() -> None:
    """The order of the queue, whatever the order of asking."""
    hands = Hands(parallel=1)
    old, new = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)

    async def story() -> None:
        hands.queue.submit(wipe("new", due_at=new))
        hands.queue.submit(wipe("old", due_at=old))
        hands.queue.submit(wipe("minor", due_at=new, minor=True))
        hands.queue.submit(wipe("begun", due_at=new, begun=True))
        hands.finish("new", "old", "minor", "begun")
        await settle()
        assert hands.began == ["begun", "minor", "old", "new"]

    await during(hands, story)


async def test_no_second_wipe_on_a_device_while_another_device_waits() -> None:
    """Two slots: one on each disk, though three phones of the first disk were due earlier."""
    hands = Hands(parallel=2, devices={"a1": 1, "a2": 1, "a3": 1, "b1": 2})

    async def story() -> None:
        for name in ("a1", "a2", "a3", "b1"):
            hands.queue.submit(wipe(name, due_at=datetime(2026, 1, ord(name[0]) - 96, tzinfo=UTC)))
        await settle()
        assert set(hands.began) == {"a1", "b1"}
        hands.finish("b1")
        await settle()
        assert hands.began[2] == "a2", "nothing else waits: a free slot is used"

    await during(hands, story)


async def test_the_same_work_twice_is_done_once() -> None:
    """Every sweep asks again for what runs or waits already."""
    hands = Hands()

    async def story() -> None:
        for _ in range(3):
            hands.queue.submit(wipe("a"))
            await settle()
        assert hands.began == ["a"]
        hands.finish("a")
        await settle()
        assert hands.began == ["a"]

    await during(hands, story)


async def test_fencing_does_not_wait_for_wipes() -> None:
    """All slots are taken by long wipes: a phone is fenced all the same, but never while its own wipe runs."""
    hands = Hands(parallel=1)

    async def story() -> None:
        hands.queue.submit(wipe("a"))
        await settle()
        hands.queue.submit(Work(Kind.FENCE, "b"))
        hands.queue.submit(Work(Kind.FENCE, "a"))
        await settle()
        assert hands.began == ["a", "b"]
        hands.finish("a")
        await settle()
        assert hands.began == ["a", "b", "a"]

    await during(hands, story)


async def test_a_passing_failure_comes_again_with_back_off() -> None:
    """The eraser died: again after a second, then two; the others are not disturbed."""
    hands = Hands()
    hands.fails["a"] = [HelperError("gone"), HelperError("gone")]

    async def story() -> None:
        hands.queue.submit(wipe("a"))
        hands.queue.submit(wipe("b"))
        await settle()
        assert hands.began == ["a", "b"]
        hands.clock.move(1)
        await asyncio.sleep(1.05)
        await settle()
        assert hands.began == ["a", "b", "a"]
        hands.clock.move(1)
        hands.queue.submit(wipe("a"))
        await settle()
        assert hands.began == ["a", "b", "a"], "asking again does not shorten the back-off"
        hands.queue.submit(wipe("a"), at_once=True)
        await settle()
        assert hands.began == ["a", "b", "a", "a"]

    await during(hands, story)


async def test_after_many_failures_a_wipe_is_given_up_to_the_judge() -> None:
    """PATIENCE failures in a row: it is judged as it is, once."""
    hands = Hands()
    hands.fails["a"] = [HelperError("gone") for _ in range(PATIENCE)]

    async def story() -> None:
        for _ in range(PATIENCE):
            hands.clock.move(1000)
            hands.queue.submit(wipe("a"))
            await settle()
        assert hands.given_up == ["a"]

    await during(hands, story)


async def test_a_refusal_waits_longer_than_a_failure() -> None:
    """Refused: not again within a minute."""
    hands = Hands()
    hands.endings["a"] = Ending.REFUSED
    hands.finish("a")

    async def story() -> None:
        hands.queue.submit(wipe("a"))
        await settle()
        for _ in range(5):
            hands.clock.move(10)
            hands.queue.submit(wipe("a"))
            await settle()
        assert hands.began == ["a"]
        hands.clock.move(11)
        hands.queue.submit(wipe("a"))
        await settle()
        assert hands.began == ["a", "a"]

    await during(hands, story)


@pytest.mark.parametrize("error", [InvariantError("I1", "a bug"), ValueError("a bug")])
async def test_a_bug_in_one_piece_of_work_leaves_the_others_alone(error: Exception) -> None:
    """It is logged, and the queue goes on."""
    hands = Hands(parallel=1)
    hands.fails["a"] = [error]

    async def story() -> None:
        hands.queue.submit(wipe("a"))
        hands.queue.submit(wipe("b"))
        await settle()
        assert hands.began == ["a", "b"]

    await during(hands, story)


async def test_the_end_of_the_world_ends_the_queue() -> None:
    """What is no Exception is not swallowed: a task that dies takes the daemon with it."""
    hands = Hands()
    hands.fails["a"] = [PowerCut("now")]
    hands.queue.submit(wipe("a"))
    with pytest.raises(BaseExceptionGroup) as caught:
        await hands.queue.run()
    assert caught.group_contains(PowerCut)


async def test_stopping_cancels_running_work_and_waits_for_it() -> None:
    """A stop: running wipes are cancelled, and their sessions have ended when the queue has."""
    ended: list[str] = []
    hands = Hands()

    async def slow(work: Work) -> Ending | None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append(work.uuid)
        return None

    hands.queue.do = slow

    async def story() -> None:
        hands.queue.submit(wipe("a"))
        await settle()

    await during(hands, story)
    assert ended == ["a"]
