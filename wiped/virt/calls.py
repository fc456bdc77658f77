"""Blocking calls, off the event loop, each with a bound in time, all with a bound in number.

The threads are daemon threads and not an executor's: a hung libvirtd must not keep the process from ending, and `concurrent.futures` joins its threads at exit.
A call that is given up keeps its thread until it returns (a thread cannot be stopped), so when too many are stuck the next is refused at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from wiped.errors import HypervisorError

T = TypeVar("T")


def in_thread(function: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run `function` in a new daemon thread; the future belongs to the running loop and may be abandoned (a result that nobody reads is no error)."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    future.add_done_callback(_look)

    def body() -> None:
        try:
            result = function()
        except BaseException as error:  # handed over whole: the thread itself ends quietly
            deliver = partial(_fail, future, error)
        else:
            deliver = partial(_succeed, future, result)
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            loop.call_soon_threadsafe(deliver)

    threading.Thread(target=body, name=name, daemon=True).start()
    return future


def _look(future: asyncio.Future[T]) -> None:
    """Mark an exception as seen, so that asyncio does not print one that came too late."""
    if not future.cancelled():
        future.exception()


def _fail(future: asyncio.Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


class BoundedCalls:
    """At most `threads` calls at a time; one that outlives its bound gives its place away. Of one event loop.

    About one domain (`key`) one call is made at a time: libvirt 9.0 holds the lock of its whole list while it waits for the lock of the domain that is looked
    up, so that a second question about one that hangs, and a change of any other, make all of libvirt wait. While that call is stuck the next about the
    domain is refused at once, and nobody else's is. While `stuck_limit` calls altogether
    have outlived their bound, every call is refused.
    """

    def __init__(self, *, threads: int = 8, stuck_limit: int = 32) -> None:
        self._slots = asyncio.Semaphore(threads)
        self._stuck_limit = stuck_limit
        self._stuck: Counter[str] = Counter()
        self._joined: dict[str, asyncio.Future[Any]] = {}
        self._under_way: dict[str, asyncio.Future[Any]] = {}

    @property
    def stuck(self) -> int:
        """Calls given up that have not returned yet."""
        return self._stuck.total()

    def is_stuck(self, key: str) -> bool:
        """Whether a call about `key` was given up and has not returned yet."""
        return self._stuck[key] > 0

    async def join(self, function: Callable[[], T], *, seconds: float, what: str) -> T:
        """As `run`, for a question that everybody asks alike: who asks while it is being asked waits for the same answer, within bounds of his own."""
        asked = self._joined.get(what)
        if asked is None:
            if self.is_stuck(what):
                raise HypervisorError(f"{what}: an earlier question has had no answer yet")
            asked = asyncio.create_task(self.run(function, seconds=seconds, what=what, key=what), name=f"libvirt: {what}")
            self._joined[what] = asked
            asked.add_done_callback(_look)
            asked.add_done_callback(lambda _: self._joined.pop(what, None))
        try:
            async with asyncio.timeout(seconds):
                return cast(T, await asyncio.shield(asked))
        except TimeoutError as error:
            raise HypervisorError(f"{what}: no answer within {seconds:g} s") from error

    async def _place(self, key: str, what: str) -> None:
        """Take one of the places when no call about `key` is under way. Raises HypervisorError for one that became stuck meanwhile."""
        while True:
            await self._slots.acquire()
            before = self._under_way.get(key) if key else None
            if before is None:
                return
            self._slots.release()
            await asyncio.wait({before})
            if self.is_stuck(key):
                raise HypervisorError(f"{what}: an earlier call about it has not come back yet")

    async def run(self, function: Callable[[], T], *, seconds: float, what: str, key: str = "") -> T:
        """The result of `function`, or what it raised. Raises HypervisorError after `seconds`, or at once while a call about `key`, or too many, are stuck."""
        if key and self.is_stuck(key):
            raise HypervisorError(f"{what}: an earlier call about it has not come back yet")
        if self.stuck >= self._stuck_limit:
            raise HypervisorError(f"{what}: libvirt does not answer; {self.stuck} calls are still waiting for it")
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            async with asyncio.timeout_at(until):
                await self._place(key, what)
        except TimeoutError as error:
            raise HypervisorError(f"{what}: no answer within {seconds:g} s (every call is waiting)") from error
        call = in_thread(function, f"libvirt: {what}")
        if key:
            self._under_way[key] = call
        given_up = False

        def give_up() -> None:
            nonlocal given_up
            if not call.done() and not given_up:
                given_up = True
                self._stuck[key] += 1
                self._slots.release()

        def returned(_: asyncio.Future[T]) -> None:
            if self._under_way.get(key) is call:
                del self._under_way[key]
            if given_up:
                self._stuck[key] -= 1
            else:
                self._slots.release()

        call.add_done_callback(returned)
        try:
            # shield: a cancelled wait must not mark the call as returned while its thread still runs.
            async with asyncio.timeout_at(until):
                return await asyncio.shield(call)
        except TimeoutError as error:
            if call.done():
                return call.result()
            give_up()
            raise HypervisorError(f"{what}: no answer within {seconds:g} s") from error
        finally:
            if not call.done():  # nobody waits any more: it keeps its place as long as it may take, and is stuck only then
                loop.call_at(until, give_up)
