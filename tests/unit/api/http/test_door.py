"""Doors with bounds: strangers fill neither the descriptors nor the log, and whoever works is served."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.patience import PATIENCE
from wiped.api.http.door import Door, served_by

ASK = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@contextlib.asynccontextmanager
async def served(door: Door) -> AsyncIterator[tuple[str, int]]:
    """A server behind a door; `/` answers, `/slow` after a second."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/slow":
            await asyncio.sleep(1)
        return web.Response(text="here")

    application = web.Application(middlewares=[door.middleware()])
    application.router.add_get("/{name:.*}", answer)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    listening.setblocking(False)
    door.open(listening, served_by(runner))
    try:
        yield listening.getsockname()
    finally:
        await door.close()
        await runner.cleanup()


async def ask(address: tuple[str, int], text: bytes = ASK) -> bytes:
    """The whole answer; b"" from a door that hung up."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(text)
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_crowd_is_hung_up_on_and_the_next_is_served_when_it_has_gone() -> None:
    """Only as many as may be are in at once; nobody who comes above that costs a descriptor."""
    door = Door("test", most=8, most_each=4)
    async with served(door) as address:
        crowd = [await asyncio.open_connection(*address) for _ in range(40)]
        while door.refused < 36:
            await asyncio.sleep(0.01)
        assert await ask(address) == b""
        for _reader, writer in crowd:
            writer.close()
        async with asyncio.timeout(PATIENCE):
            while b"here" not in await ask(address):
                await asyncio.sleep(0.05)
    assert door.refused >= 37


async def test_who_stands_idle_is_seen_out_and_who_works_is_not() -> None:
    """Silent connections and headers that drip end after the idle time; a request at work takes as long as it takes."""
    door = Door("test", most=8, most_each=8, idle=0.3)
    async with served(door) as address:
        silent, dripping = await asyncio.open_connection(*address), await asyncio.open_connection(*address)
        dripping[1].write(b"GET / HTTP/1.1\r\nX-Drip: ")
        slow = asyncio.create_task(ask(address, ASK.replace(b"/ ", b"/slow ", 1)))
        for reader, _writer in (silent, dripping):
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):
                    await reader.read()
        assert b"here" in await slow
        for _reader, writer in (silent, dripping):
            writer.close()
    assert door.refused >= 2


async def test_a_system_without_descriptors_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """EMFILE ends no door and makes no busy loop: later connections are taken."""
    door = Door("test", most=8, most_each=8)
    loop, calls = asyncio.get_running_loop(), 0
    accept = loop.sock_accept

    async def failing(sock: socket.socket) -> object:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise OSError(24, "Too many open files")
        return await accept(sock)

    monkeypatch.setattr(loop, "sock_accept", failing)
    async with served(door) as address:
        assert b"here" in await ask(address)
    assert calls <= 5
