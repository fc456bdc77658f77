"""A provider's system that receives notices: a real HTTP server on loopback, which can be down, unwell, slow or rude, and verifies for itself.

Its verification is written from the Standard Webhooks specification, not from `wiped.notify`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAAAAAAAAA="


@dataclass(frozen=True)
class Received:
    """One request: its body as it came, and its headers in lower case."""

    body: bytes
    headers: dict[str, str]

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def verified(received: Received, secret: str = SECRET) -> bool:
    """Whether one of its signatures is by `secret`, over id, timestamp and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    head = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}."
    good = base64.b64encode(hmac.new(key, head.encode() + received.body, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(one, f"v1,{good}") for one in received.headers["webhook-signature"].split(" "))


@dataclass
class Receiver:
    """`taken`: what was answered with 2xx, in order; `asked`: everything that came. `mood` says what to answer: a status, `drop` (the connection is
    closed without a word), `hang`, or `lost` (it is taken, and the answer never arrives)."""

    mood: Callable[[Received], int | str] = lambda _: 204
    headers: dict[str, str] = field(default_factory=dict)
    taken: list[Received] = field(default_factory=list)
    asked: list[Received] = field(default_factory=list)
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens, or will."""
        return f"http://127.0.0.1:{self.port}/hooks?key=geheim"

    async def up(self) -> None:
        """Listen, on the same port each time."""
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def down(self) -> None:
        """Do not listen: connections are refused."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        received = Received(await request.read(), {name.lower(): value for name, value in request.headers.items()})
        self.asked.append(received)
        mood = self.mood(received)
        if mood == "hang":
            await asyncio.sleep(3_600)
        if mood in {"drop", "lost"}:
            if mood == "lost":
                self.taken.append(received)
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        assert isinstance(mood, int)
        if 200 <= mood < 300:
            self.taken.append(received)
        return web.Response(status=mood, headers=self.headers)


@contextlib.asynccontextmanager
async def receiving(mood: Callable[[Received], int | str] = lambda _: 204) -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver(mood)
    await receiver.up()
    try:
        yield receiver
    finally:
        await receiver.down()


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])
