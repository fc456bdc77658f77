"""The connection to libvirt: the port Hypervisor. This file and `listener.py` hold the only `import libvirt` of the program.

One process-wide thread runs libvirt's event loop; what it hears comes over by `call_soon_threadsafe` (not libvirtaio: docs/design.md, "Found by trying").
`run()` keeps one connection that listens: keep-alive finds a hung libvirtd, the close callback a dead one; then it reconnects with back-off, and
every new connection rings the hint "" (look at everything). Questions go through `calls.py`, each on a connection of its own. The daemon
starts and stays useful without libvirt: calls raise HypervisorError at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import libvirt

from wiped.decide import backoff
from wiped.errors import HypervisorError, InputError
from wiped.model.inventory import DomainFacts, DomainState, LibvirtDirectories
from wiped.virt.bounds import Bounds
from wiped.virt.calls import BoundedCalls, in_thread
from wiped.virt.domain import Host, LateError, StillActiveError
from wiped.virt.emulator import emulator_state, hangs
from wiped.virt.hints import Bell, Hints
from wiped.virt.listener import Listener, connect, words

T = TypeVar("T")
_LIST = "read all domains"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class LibvirtHypervisor:
    """The port Hypervisor over one libvirt URI.

    Give `run()` to a task group (it ends by cancellation only), or use the object as an async context manager, which does the same. Bound to the
    event loop in which `run()` runs. `jitter` yields numbers in [0, 1) for the back-off.
    """

    def __init__(self, uri: str, *, bounds: Bounds | None = None, jitter: Callable[[], float] = random.random, run_directory: str = "") -> None:
        self._uri = uri
        self._run_directory = run_directory or LibvirtDirectories().run
        self._bounds = bounds or Bounds()
        self._jitter = jitter
        self._bell = Bell()
        self._calls = BoundedCalls(threads=self._bounds.threads, stuck_limit=self._bounds.stuck)
        self._link: Listener | None = None
        self._opening: asyncio.Future[Listener] | None = None
        self._healthy = False
        self._fault = "not connected yet"
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._migrated: set[str] = set()
        self._known: dict[str, DomainFacts] | None = None
        """The newest complete list."""
        self._silent: set[str] = set()
        """Domains about which libvirt did not answer while it answered about others."""
        self._hung: dict[str, str] = {}
        """Domains that cannot be stopped, since their emulators hang in the kernel, and that in words; until they are seen to be off."""

    # -- the connection's life

    async def run(self) -> None:
        """Keep a connection until cancelled. Never raises otherwise."""
        attempt = 0
        try:
            while True:
                try:
                    link = await self._open()
                except HypervisorError as error:
                    self._fault = str(error)
                else:
                    since = time.monotonic()
                    self._adopt(link)
                    await link.lost.wait()
                    self._drop("the connection to libvirt was lost")
                    if time.monotonic() - since >= self._bounds.settled:
                        attempt = 0
                await asyncio.sleep(self._pause(attempt))
                attempt += 1
        finally:
            self._drop("closed")
            if self._opening is not None:
                self._opening.add_done_callback(_close_late)

    async def wait_connected(self, seconds: float) -> bool:
        """Whether there is a connection, waiting for one at most that long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._up.wait()
        return self._up.is_set()

    async def __aenter__(self) -> LibvirtHypervisor:
        self._task = asyncio.create_task(self.run(), name="libvirt connection")
        await self.wait_connected(self._bounds.open)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    def _pause(self, attempt: int) -> float:
        """Seconds until the next attempt: doubling, capped, and between half and all of that, so that daemons do not march in step."""
        bounds = self._bounds
        return backoff.wait(attempt, first=bounds.backoff_first, longest=bounds.backoff_most, jitter=self._jitter())

    async def _open(self) -> Listener:
        """A new connection. An attempt that hangs is waited for again, never doubled: a hung libvirtd costs one thread."""
        if self._opening is None:
            link = Listener(asyncio.get_running_loop(), self._bell.ring, self._migrated.add)
            self._opening = in_thread(partial(link.open, self._uri, self._bounds), "libvirt open")
        await asyncio.wait({self._opening}, timeout=self._bounds.open)
        if not self._opening.done():
            raise HypervisorError(f"cannot connect to libvirt: no answer within {self._bounds.open:g} s")
        opened, self._opening = self._opening, None
        return opened.result()

    def _adopt(self, link: Listener) -> None:
        self._link, self._healthy, self._fault = link, True, ""
        self._up.set()
        self._bell.ring("")

    def _drop(self, fault: str) -> None:
        link, self._link = self._link, None
        self._healthy, self._fault = False, fault
        self._up.clear()
        if link is not None:
            link.close()

    # -- calls

    @property
    def connected(self) -> bool:
        """Whether there is a connection and its last call was answered (an answer of *no* is one)."""
        return self._link is not None and self._healthy

    @property
    def fault(self) -> str:
        """What is wrong, in words: why `connected` is false, or which domains hang (and why, as the kernel says); "" when nothing is."""
        if not self.connected:
            return self._fault
        told = [f"the domain {uuid} cannot be stopped: {why}" for uuid, why in self._hung.items()]
        told += [f"libvirt does not answer about the domain {uuid}: {self._why_silent(uuid)}" for uuid in sorted(self._silent - self._hung.keys())]
        return "; ".join(told[:3])

    def _why_silent(self, uuid: str) -> str:
        return emulator_state(self._name(uuid), self._run_directory) or "a call on it hangs"

    def _name(self, uuid: str) -> str:
        """As libvirt's files call it; "" for an unknown one."""
        return self._known[uuid].name if self._known is not None and uuid in self._known else ""

    def _seen(self, found: Iterable[DomainFacts]) -> None:
        for facts in found:
            if facts.state is DomainState.SHUTOFF:
                self._hung.pop(facts.uuid, None)

    async def _ask(self, what: str, uuid: str, function: Callable[[Host], T], seconds: float, *, joined: bool = False) -> T:
        """Run `function` on a connection of its own, bounded; everything that goes wrong is a HypervisorError.

        A connection of its own (0.4 ms on a local socket), because libvirt 9.0's client frees what a second waiting caller still uses when
        keep-alive drops a connection: found by freezing libvirtd under two calls. With one caller a connection there is no second.
        """
        if uuid and not _UUID.fullmatch(uuid):
            raise InputError("is not a UUID in lower case", where=what)
        link = self._link
        if link is None:
            raise HypervisorError(f"{what}: libvirt is not connected ({self._fault})")
        asked = f"{what} {uuid}".rstrip()

        def body() -> tuple[T | None, str, bool]:
            """The answer, or what went wrong in words, and whether libvirt answered. Translated here, so that no traceback leaves the thread."""
            try:
                conn = connect(self._uri, self._bounds)
            except libvirt.libvirtError as error:
                return None, words(error), False
            try:
                return function(Host(libvirt, conn)), "", True
            except libvirt.libvirtError as error:
                return None, words(error), _alive(conn)
            except LateError:
                return None, "it takes too long", True
            except StillActiveError:
                return None, "the domain is still running", True
            except InputError as error:
                return None, f"libvirt's answer is not understood: {error}", True
            finally:
                with contextlib.suppress(libvirt.libvirtError):
                    conn.close()

        try:
            if joined:
                answer, failure, answered = await self._calls.join(body, seconds=seconds, what=asked)
            else:
                answer, failure, answered = await self._calls.run(body, seconds=seconds, what=asked, key=uuid)
        except HypervisorError as error:
            if link is self._link:
                await self._whose_fault(link, uuid, str(error))
            raise
        self._silent.discard(uuid)
        if link is self._link:
            self._healthy, self._fault = answered, failure
        if failure:
            raise HypervisorError(f"{asked}: {failure}")
        return answer  # type: ignore[return-value]  # None only where T allows it: a failure has raised

    async def _whose_fault(self, link: Listener, uuid: str, fault: str) -> None:
        """A call had no answer: does libvirt not answer, or is it this one domain that hangs? Asked by a question that touches no domain."""
        if uuid:
            with contextlib.suppress(HypervisorError):
                if await self._calls.join(lambda: _answers(self._uri, self._bounds), seconds=self._bounds.glance, what="ask libvirt's version"):
                    self._silent.add(uuid)
                    return
        if link is self._link:
            self._healthy, self._fault = False, fault

    async def domains(self) -> tuple[DomainFacts, ...]:
        """See the port. One thread, one sweep: about five questions a domain. Who asks meanwhile waits for the same answer.

        One domain that hangs makes libvirt's list hang. Then those of the newest list are asked one by one: the answers of those that answer, the known
        facts of those that do not. A domain that is new since then is missing, which only delays it: whose a file is the eraser finds out by itself (I5).
        """
        deadline = time.monotonic() + self._bounds.sweep
        try:
            if self._known and self._calls.is_stuck(_LIST):
                raise HypervisorError(f"{_LIST}: an earlier question has had no answer yet")
            found = await self._ask(_LIST, "", lambda host: host.read_all(deadline), self._bounds.sweep, joined=True)
        except HypervisorError:
            if self._link is None or not self._known or not (found := await self._one_by_one(self._known)):
                raise
        else:
            self._silent.clear()
            here = {facts.uuid for facts in found}
            self._hung = {uuid: why for uuid, why in self._hung.items() if uuid in here}
        self._known = {facts.uuid: facts for facts in found}
        self._seen(found)
        return found

    async def _one_by_one(self, known: dict[str, DomainFacts]) -> tuple[DomainFacts, ...]:
        """Every known domain by its UUID; () where none answers, for then libvirt itself does not."""
        deadline = time.monotonic() + self._bounds.sweep

        async def one(uuid: str) -> DomainFacts | None:
            return await self._ask("read domain", uuid, lambda host: host.read_one(uuid, deadline), self._bounds.glance)

        answers = await asyncio.gather(*(one(uuid) for uuid in known), return_exceptions=True)
        found: list[DomainFacts] = []
        for before, answer in zip(known.values(), answers, strict=True):
            if isinstance(answer, BaseException):
                if not isinstance(answer, HypervisorError):
                    raise answer
                found.append(before)
            elif answer is not None:
                found.append(answer)
        if all(isinstance(answer, BaseException) for answer in answers):
            return ()
        self._healthy = self._link is not None
        return tuple(found)

    async def domain(self, uuid: str) -> DomainFacts | None:
        """See the port."""
        deadline = time.monotonic() + self._bounds.call
        found = await self._ask("read domain", uuid, lambda host: host.read_one(uuid, deadline), self._bounds.call)
        self._seen((found,) if found is not None else ())
        return found

    async def shutdown(self, uuid: str) -> None:
        """See the port."""
        await self._ask("shut down domain", uuid, lambda host: host.shutdown(uuid), self._bounds.call)

    async def destroy(self, uuid: str) -> None:
        """See the port. libvirt kills the emulator twice, waits up to 40 s each time for it to end, and says so if it does not. One whose storage hangs
        cannot end: it is not asked to, since all that concerns it would wait in libvirt meanwhile."""
        if hung := await in_thread(partial(hangs, self._name(uuid), self._run_directory), "look at an emulator"):
            self._hung[uuid] = hung
            raise HypervisorError(f"destroy domain {uuid}: {hung}")
        await self._ask("destroy domain", uuid, lambda host: host.destroy(uuid), self._bounds.destroy)

    async def start(self, uuid: str) -> None:
        """See the port."""
        await self._ask("start domain", uuid, lambda host: host.start(uuid), self._bounds.start)

    async def set_autostart(self, uuid: str, on: bool) -> None:
        """See the port."""
        await self._ask("set autostart of domain", uuid, lambda host: host.set_autostart(uuid, on), self._bounds.call)

    async def undefine(self, uuid: str) -> None:
        """See the port. Refused (HypervisorError) while the domain runs, and while a managed-save image is still in place."""
        await self._ask("undefine domain", uuid, lambda host: host.undefine(uuid), self._bounds.call)

    async def undefine_secret(self, uuid: str) -> None:
        """See the port. libvirt unlinks the secret's definition, and its value's file where that is still there."""
        await self._ask("undefine secret", uuid, lambda host: host.undefine_secret(uuid), self._bounds.call)

    async def undefine_ephemeral(self, uuid: str) -> None:
        """See the port."""
        await self._ask("undefine ephemeral secret", uuid, lambda host: host.undefine_ephemeral(uuid), self._bounds.call)

    def migrated_away(self) -> frozenset[str]:
        """See the port."""
        return frozenset(self._migrated)

    def hints(self) -> Hints:
        """See the port. From this call on; "" after every (re)connection."""
        return self._bell.listen()


def _answers(uri: str, bounds: Bounds) -> bool:
    """Whether libvirt answers a question about itself. Blocking."""
    try:
        conn = connect(uri, bounds)
    except libvirt.libvirtError:
        return False
    try:
        return bool(conn.getLibVersion())
    except libvirt.libvirtError:
        return False
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            conn.close()


def _alive(conn: Any) -> bool:
    """Whether the connection is open, as far as libvirt's client library knows (no question is sent)."""
    try:
        return bool(conn.isAlive())
    except libvirt.libvirtError:
        return False


def _close_late(opening: asyncio.Future[Listener]) -> None:
    """Close a connection that came after nobody wanted it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
