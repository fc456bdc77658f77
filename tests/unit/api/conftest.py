"""The real API on a real Unix socket over a service that is a fake."""

from __future__ import annotations

import grp
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.fakes.service import FakeService
from wiped.api.http.identity import Access
from wiped.api.server import ApiServer
from wiped.feed.import_file import parse_subscriptions


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Face:
    """A running API, its service, and a client."""

    service: FakeService
    path: str
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        async with self.session.request(method, f"http://wiped{path}", **more) as response:
            return Answer(response.status, response.headers, await response.read())


@pytest.fixture
async def face() -> AsyncIterator[Face]:
    """Everyone may view; only root operates."""
    directory = tempfile.mkdtemp(prefix="api-")
    os.chmod(directory, 0o755)
    path = os.path.join(directory, "wiped.sock")
    service = FakeService()
    # Whoever runs the tests operates, root or not.
    mine = _my_group()
    access = Access(operator_group=mine, auditor_group=mine)
    server = ApiServer(service, path=path, group="", access=access, parse_import=lambda data, form: parse_subscriptions(data, form=form))
    await server.start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=path)) as session:
            yield Face(service, path, session)
    finally:
        await server.stop()
        shutil.rmtree(directory)


def _my_group() -> str:
    return grp.getgrgid(os.getgid()).gr_name
