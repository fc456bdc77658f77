"""The audit log: entries of its hash chain, and a signed head for an export."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import BaseModel

from wiped.api.http.bodies import as_items, number_of
from wiped.model.records import AuditEntry
from wiped.ports.service import AuditService

#: At most so many audit entries in one answer.
MAX_AUDIT = 1_000


class AuditOut(BaseModel):
    """One entry of the hash chain."""

    seq: int
    at: str
    kind: str
    body: dict[str, Any]
    previous: str
    hash: str


def audit_out(entry: AuditEntry) -> AuditOut:
    """The document of one entry, as hashed."""
    return AuditOut(seq=entry.seq, at=entry.at, kind=entry.kind, body=entry.body, previous=entry.previous, hash=entry.hash)


class AuditHandlers:
    """The routes of the audit log."""

    def __init__(self, audit: AuditService) -> None:
        self._audit = audit

    async def entries(self, request: web.Request) -> web.Response:
        """Entries of the hash chain, in order."""
        after = number_of(request, "after", 0, 0, 2**62)
        limit = number_of(request, "limit", 100, 1, MAX_AUDIT)
        if "last" in request.query:
            limit = number_of(request, "last", 100, 1, MAX_AUDIT)
            after = max(after, await self._newest() - limit)
        return as_items([audit_out(entry) for entry in await self._audit.entries(after=after, limit=limit)])

    async def head(self, request: web.Request) -> web.Response:
        """A signed head over the log's first `seq` entries."""
        seq = number_of(request, "seq", 0, 1, 2**62)
        return web.Response(body=await self._audit.head(seq), content_type="application/vnd.dsse.envelope.v1+json")

    async def _newest(self) -> int:
        """The seq of the last entry: entries are numbered without a gap, so a search by halves finds it."""
        beyond = 1
        while await self._audit.entries(after=beyond - 1, limit=1):
            beyond *= 2
        low, high = beyond // 2, beyond
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if await self._audit.entries(after=middle - 1, limit=1) else (low, middle)
        return low
