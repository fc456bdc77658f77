"""The real API over a rig's service, asked by one person whom the kernel would vouch for."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.unit.conduct.rig import Rig
from wiped.api import server
from wiped.api.http.identity import Access, Caller, Role
from wiped.model.approvals import Person

Ask = Callable[..., Awaitable[tuple[int, Any]]]


@asynccontextmanager
async def face(rig: Rig, person: Person, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ask]:
    """`ask(method, path, **more)` -> (status, document), asked by `person`: whoever runs the tests, root or not, is not two people."""
    roles = {Role.VIEWER, Role.OPERATOR, Role.AUDITOR} | ({Role.APPROVER} if person.may_approve else set())
    monkeypatch.setattr(server, "caller_of_request", lambda _request, _access: Caller(person.name, person.uid, frozenset(roles)))
    directory = tempfile.mkdtemp(prefix="face-")
    path = os.path.join(directory, "wiped.sock")
    api = server.ApiServer(rig.service, path=path, group="", access=Access(), parse_import=lambda data, form: [])
    await api.start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=path)) as session:

            async def ask(method: str, path: str, **more: Any) -> tuple[int, Any]:
                async with session.request(method, f"http://wiped{path}", **more) as response:
                    return response.status, await response.json(content_type=None)

            yield ask
    finally:
        await api.stop()
        shutil.rmtree(directory)
