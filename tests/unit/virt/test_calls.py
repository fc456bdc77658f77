"""Blocking calls: bounded in time and in number, and never in the way of the loop or of the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from tests.patience import PATIENCE
from wiped.errors import HypervisorError
from wiped.virt.calls import BoundedCalls


async def test_result_and_exception_come_back() -> None:
    """What the function returns or raises."""
    calls = BoundedCalls()
    assert await calls.run(lambda: 7, seconds=PATIENCE, what="seven") == 7
    with pytest.raises(ZeroDivisionError):
        await calls.run(lambda: 1 // 0, seconds=PATIENCE, what="nothing")


async def test_stuck_calls_are_given_up_then_refused_and_come_back() -> None:
    """After `stuck_limit` calls that did not return, the next is refused at once; when they return, calls work again."""
    calls, free = BoundedCalls(threads=4, stuck_limit=2), threading.Event()
    for _ in range(2):
        with pytest.raises(HypervisorError, match="no answer within"):
            await calls.run(free.wait, seconds=0.05, what="hang")
    assert calls.stuck == 2
    with pytest.raises(HypervisorError, match="2 calls are still waiting"):  # one that waited its seconds would end in other words
        await calls.run(lambda: 1, seconds=PATIENCE, what="next")
    free.set()
    while calls.stuck:
        await asyncio.sleep(0.01)
    assert await calls.run(lambda: 1, seconds=PATIENCE, what="again") == 1


async def test_no_more_threads_than_allowed() -> None:
    """The call beyond the last thread waits its turn, within its own bound."""
    calls, free, running = BoundedCalls(threads=2, stuck_limit=2), threading.Event(), []

    def work() -> int:
        running.append(threading.current_thread())
        free.wait()
        return len(running)

    tasks = [asyncio.create_task(calls.run(work, seconds=PATIENCE, what="work")) for _ in range(5)]
    async with asyncio.timeout(PATIENCE):
        while len(running) < 2:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert len(running) == 2
    with pytest.raises(HypervisorError, match="every call is waiting"):
        await calls.run(work, seconds=0.05, what="late")
    free.set()
    assert len(await asyncio.gather(*tasks)) == 5


async def test_a_cancelled_wait_keeps_its_place_until_the_thread_returns() -> None:
    """Cancelling does not stop a thread, so its place is not given away."""
    calls, free = BoundedCalls(threads=1, stuck_limit=1), threading.Event()
    task = asyncio.create_task(calls.run(free.wait, seconds=0.5, what="hang"))
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.wait({task})
    assert calls.stuck == 0  # it may still return in time
    with pytest.raises(HypervisorError, match="every call is waiting"):
        await calls.run(lambda: 1, seconds=0.05, what="next")
    async with asyncio.timeout(PATIENCE):
        while not calls.stuck:
            await asyncio.sleep(0.01)
    with pytest.raises(HypervisorError, match="are still waiting"):
        await calls.run(lambda: 1, seconds=0.05, what="next")
    free.set()
    while calls.stuck:
        await asyncio.sleep(0.01)


async def test_one_domain_that_hangs_costs_nobody_else() -> None:
    """Of one domain one call may be stuck: the next about it is refused at once, any number about others are answered, on as many threads as before."""
    calls, free = BoundedCalls(threads=2, stuck_limit=8), threading.Event()
    for key in ("a", "b", "c"):  # more than there are threads
        with pytest.raises(HypervisorError, match="no answer within"):
            await calls.run(free.wait, seconds=0.05, what="hang", key=key)
    for _ in range(3):
        with pytest.raises(HypervisorError, match="has not come back"):
            await calls.run(lambda: 1, seconds=PATIENCE, what="next", key="a")
        assert await calls.run(lambda: 1, seconds=PATIENCE, what="other", key="d") == 1
    assert (calls.stuck, calls.is_stuck("a"), calls.is_stuck("d")) == (3, True, False)
    free.set()
    async with asyncio.timeout(PATIENCE):
        while calls.stuck:
            await asyncio.sleep(0.01)
    assert await calls.run(lambda: 1, seconds=PATIENCE, what="again", key="a") == 1


async def test_about_one_domain_one_call_at_a_time() -> None:
    """However many ask, on however many threads; about different domains side by side."""
    calls, at_once, most = BoundedCalls(threads=4), [0], [0]
    lock = threading.Lock()

    def work() -> None:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.02)
        with lock:
            at_once[0] -= 1

    await asyncio.gather(*(calls.run(work, seconds=PATIENCE, what="work", key="a") for _ in range(12)))
    assert most == [1]
    await asyncio.gather(*(calls.run(work, seconds=PATIENCE, what="work", key=key) for key in "abcd"))
    assert most[0] > 1


async def test_a_question_that_is_being_asked_is_joined() -> None:
    """Ten askers, one thread, one answer; one that leaves early leaves it to the others; a stuck question is not asked again; a later one is new."""
    calls, free, asked = BoundedCalls(), threading.Event(), []

    def read() -> int:
        asked.append(1)
        free.wait()
        return len(asked)

    tasks = [asyncio.create_task(calls.join(read, seconds=PATIENCE, what="list")) for _ in range(10)]
    async with asyncio.timeout(PATIENCE):
        while not asked:
            await asyncio.sleep(0.01)
    with pytest.raises(HypervisorError, match="no answer within"):
        await calls.join(read, seconds=0.05, what="list")
    tasks[0].cancel()
    await asyncio.wait({tasks[0]})
    free.set()
    assert await asyncio.gather(*tasks[1:]) == [1] * 9
    assert await calls.join(read, seconds=PATIENCE, what="list") == 2
    free.clear()
    with pytest.raises(HypervisorError, match="no answer within"):
        await calls.join(read, seconds=0.05, what="list")
    async with asyncio.timeout(PATIENCE):
        while not calls.is_stuck("list"):
            await asyncio.sleep(0.01)
    with pytest.raises(HypervisorError, match="has had no answer yet"):
        await calls.join(read, seconds=PATIENCE, what="list")
    free.set()
    assert len(asked) == 3


async def test_what_a_joined_question_raises_reaches_everybody() -> None:
    """And is no unhandled error when nobody waits any more."""
    calls = BoundedCalls()
    answers = await asyncio.gather(*(calls.join(lambda: 1 // 0, seconds=PATIENCE, what="bad") for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ZeroDivisionError] * 3


def test_a_hung_call_does_not_keep_the_process_from_ending() -> None:
    """The interpreter ends with a call that will never return."""
    program = """
import asyncio, threading
from wiped.errors import HypervisorError
from wiped.virt.calls import BoundedCalls
async def main():
    try:
        await BoundedCalls().run(threading.Event().wait, seconds=0.05, what="hang")
    except HypervisorError:
        print("given up")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert (done.stdout, done.stderr) == ("given up\n", "")
