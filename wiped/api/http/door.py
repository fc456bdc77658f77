"""A listening socket with bounds: how many connections at once, how many of one peer, and how long one may stand idle. Both servers stand behind one.

A peer is a uid on a Unix socket and an address on TCP. Who comes above the bounds is hung up on, without a word in the log: nobody can fill the log, or take
the descriptors that a wipe needs, by connecting.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Middleware

from wiped.helpers.link import peer_uid

#: Seconds without a request, from connecting on or from the end of the last one.
IDLE_SECONDS = 15.0
#: Seconds between two looks at who stands idle.
_LOOK_SECONDS = 1.0
#: Seconds to wait where the system has no descriptor left.
_SHORT_OF_DESCRIPTORS = 0.5

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def served_by(runner: web.AppRunner) -> Callable[[], asyncio.BaseProtocol]:
    """What makes the protocol of each connection of a runner that was set up."""
    if runner.server is None:
        raise RuntimeError("the runner was not set up")
    return runner.server


@dataclass(slots=True)
class _Visit:
    protocol: asyncio.BaseProtocol
    since: float
    busy: int = 0

    @property
    def transport(self) -> asyncio.Transport | None:
        """None once the connection is closed: aiohttp's protocol forgets it then."""
        found = getattr(self.protocol, "transport", None)
        return found if isinstance(found, asyncio.Transport) and not found.is_closing() else None


@dataclass(slots=True)
class Door:
    """`most`: connections at once; `most_each`: of one peer. `refused` counts who was hung up on, and who stood idle too long."""

    name: str
    most: int
    most_each: int
    idle: float = IDLE_SECONDS
    refused: int = 0
    _visits: dict[object, list[_Visit]] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _listening: socket.socket | None = None

    def open(self, listening: socket.socket, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        """Take connections on a listening, non-blocking socket until `close`, and hand each one to a new `protocol`. The socket is the door's from now on."""
        self._listening = listening
        self._tasks = [
            asyncio.create_task(self._accept(listening, protocol), name=f"{self.name} door"),
            asyncio.create_task(self._see_out(), name=f"{self.name} door, idle ones"),
        ]

    async def close(self) -> None:
        """Take no more. Idempotent; those who are in stay until the server ends them."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    @contextlib.contextmanager
    def serving(self, request: web.Request) -> Iterator[None]:
        """While a request is at work its connection is not idle."""
        visit = next((visit for visits in self._visits.values() for visit in visits if visit.protocol is request.protocol), None)
        if visit is None:
            yield
            return
        visit.busy += 1
        try:
            yield
        finally:
            visit.busy -= 1
            visit.since = time.monotonic()

    def middleware(self) -> Middleware:
        """The middleware that notes requests at work."""

        @web.middleware
        async def served(request: web.Request, handler: _Handler) -> web.StreamResponse:
            with self.serving(request):
                return await handler(request)

        return served

    async def _accept(self, listening: socket.socket, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError:  # no descriptor left, or a peer that is gone already
                await asyncio.sleep(_SHORT_OF_DESCRIPTORS)
                continue
            try:
                peer: object = peer_uid(connection) if listening.family == socket.AF_UNIX else address[0]
                if not self._may_enter(peer):
                    self.refused += 1
                    connection.close()
                    continue
                connection.setblocking(False)
                await loop.connect_accepted_socket(partial(self._entering, peer, protocol), connection)
            except OSError:
                connection.close()

    def _entering(self, peer: object, protocol: Callable[[], asyncio.BaseProtocol]) -> asyncio.BaseProtocol:
        """A new visitor, known before the first byte is read."""
        made = protocol()
        self._visits.setdefault(peer, []).append(_Visit(made, time.monotonic()))
        return made

    def _may_enter(self, peer: object) -> bool:
        for key in list(self._visits):
            self._visits[key] = [visit for visit in self._visits[key] if visit.transport is not None]
            if not self._visits[key]:
                del self._visits[key]
        return len(self._visits.get(peer, ())) < self.most_each and sum(map(len, self._visits.values())) < self.most

    async def _see_out(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            for visit in [visit for visits in self._visits.values() for visit in visits]:
                transport = visit.transport
                if transport is not None and not visit.busy and now - visit.since > self.idle:
                    self.refused += 1
                    transport.abort()
