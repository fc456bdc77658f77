"""An example of billing's API, over real HTTP: whole sets or cursor pages, ETags, a token; and every way in which it can fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Self

from aiohttp import web

TOKEN = "a-token-of-billing"


class Billing:
    """`records`: the whole set; `trouble`: what goes wrong with the next answers ("" for nothing)."""

    def __init__(self, *, page: int = 0) -> None:
        self.records: list[dict[str, Any]] = []
        self.revision: int | None = 1
        self.page = page
        self.trouble = ""
        self.at: str | None = None  # as of when its answers say that they are
        self.asked: list[tuple[str, str]] = []
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/subscriptions", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/subscriptions"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def publish(self, records: Sequence[dict[str, Any]]) -> None:
        """A new set, of the next revision."""
        self.records = list(records)
        self.revision = (self.revision or 0) + 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        cursor = request.query.get("cursor", "")
        self.asked.append((cursor, request.headers.get("If-None-Match", "")))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401)
        etag = f'"{self.revision}"'
        if self.trouble == "error":
            return web.Response(status=503)
        if self.trouble == "redirect":
            return web.Response(status=302, headers={"Location": self.url})
        if self.trouble == "slow":
            await asyncio.sleep(30)
        if self.trouble == "flood":
            return web.Response(body=b'{"feed":"wiped/1","revision":99,"records":[' + b"{}," * (20 << 20) + b"{}]}")
        if self.trouble == "garbage":
            return web.Response(text="<html>welcome to billing</html>")
        if not cursor and not self.trouble and request.headers.get("If-None-Match") == etag:
            return web.Response(status=304)
        start = int(cursor or 0)
        stop = start + self.page if self.page else len(self.records)
        document = {
            "feed": "wiped/1",
            "revision": self.revision,
            "count": len(self.records),
            "next": str(stop) if stop < len(self.records) else None,
            "records": self.records[start:stop],
            **({"at": self.at} if self.at else {}),
        }
        if self.trouble == "half":
            document["records"] = self.records[start:stop][: max(0, (stop - start) // 2)]
        if self.trouble == "changed" and cursor:
            document["revision"] = (self.revision or 0) + 1
        if self.trouble == "endless":
            document["next"] = "0"
        body = json.dumps(document).encode()
        if self.trouble == "dies":
            answer = web.StreamResponse(headers={"Content-Length": str(len(body))})
            await answer.prepare(request)
            await answer.write(body[: len(body) // 2])
            assert request.transport is not None
            request.transport.close()
            return answer
        return web.Response(body=body, headers={"ETag": etag})
