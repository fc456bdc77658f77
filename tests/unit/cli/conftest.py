"""`wipectl` as it is, against the real API in a thread over a fake service."""

from __future__ import annotations

import asyncio
import grp
import io
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fakes.service import FakeService
from wiped.api.http.identity import Access
from wiped.api.server import ApiServer
from wiped.cli import main as wipectl
from wiped.feed.import_file import parse_subscriptions


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Operator:
    """Someone at a keyboard."""

    service: FakeService
    path: str

    def run(self, *argv: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        code = wipectl.run(["--socket", self.path, *argv], out=out, err=err)
        return Ran(code, out.getvalue(), err.getvalue())


class _Daemon(threading.Thread):
    """An event loop of its own with the API in it."""

    def __init__(self, service: FakeService, path: str) -> None:
        super().__init__(name="api", daemon=True)
        mine = grp.getgrgid(os.getgid()).gr_name
        self._make = lambda: ApiServer(
            service,
            path=path,
            group="",
            access=Access(operator_group=mine, auditor_group=mine),
            parse_import=lambda data, form: parse_subscriptions(data, form=form),
        )
        self.listening = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = self._make()
        await server.start()
        self.listening.set()
        await self._end.wait()
        await server.stop()

    def stop(self) -> None:
        assert self._loop is not None
        assert self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self.join(20)


@pytest.fixture
def operator() -> Iterator[Operator]:
    """A daemon to ask."""
    directory = tempfile.mkdtemp(prefix="cli-")
    path = os.path.join(directory, "wiped.sock")
    service = FakeService()
    daemon = _Daemon(service, path)
    daemon.start()
    assert daemon.listening.wait(20)
    yield Operator(service, path)
    daemon.stop()
    shutil.rmtree(directory)
