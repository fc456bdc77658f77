"""Blocking calls, off the event loop, each with a bound in time, all with a bound in number.

The threads are daemon threads and not an executor's: a hung libvirtd must not keep the process from ending, and `concurrent.futures` joins its threads at exit.
A call that is given up keeps its thread until it returns (a thread cannot be stopped), so when too many are stuck the next is refused at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

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
    """At most `threads` calls at a time, refused at once while `stuck_limit` of them have outlived their bound. Of one event loop."""

    def __init__(self, *, threads: int = 8, stuck_limit: int = 4) -> None:
        self._slots = asyncio.Semaphore(threads)
        self._stuck_limit = min(stuck_limit, threads)
        self._stuck = 0

    @property
    def stuck(self) -> int:
        """Calls given up that have not returned yet."""
        return self._stuck

    async def run(self, function: Callable[[], T], *, seconds: float, what: str) -> T:
        """The result of `function`, or what it raised. Raises HypervisorError after `seconds`, or at once while too many calls are stuck."""
        if self._stuck >= self._stuck_limit:
            raise HypervisorError(f"{what}: libvirt does not answer; {self._stuck} calls are still waiting for it")
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            async with asyncio.timeout_at(until):
                await self._slots.acquire()
        except TimeoutError as error:
            raise HypervisorError(f"{what}: no answer within {seconds:g} s (every call is waiting)") from error
        call = in_thread(function, f"libvirt: {what}")
        given_up = False

        def returned(_: asyncio.Future[T]) -> None:
            self._slots.release()
            if given_up:
                self._stuck -= 1

        call.add_done_callback(returned)
        try:
            # shield: a cancelled wait must not mark the call as returned while its thread still runs.
            async with asyncio.timeout_at(until):
                return await asyncio.shield(call)
        except TimeoutError as error:
            if call.done():
                return call.result()
            raise HypervisorError(f"{what}: no answer within {seconds:g} s") from error
        finally:
            if not call.done():
                given_up = True
                self._stuck += 1
