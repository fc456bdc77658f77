"""The daemon itself: the host at a glance, whether the daemon is alive, and whether it is ready."""

from __future__ import annotations

from aiohttp import web
from pydantic import BaseModel

from wiped.api.http.bodies import as_json
from wiped.api.v1.fields import Instant
from wiped.api.v1.wipes import ProgressOut, progress_out
from wiped.model.status import HostStatus
from wiped.ports.service import StatusService


class StatusOut(BaseModel):
    """The host at a glance."""

    host: str
    version: str
    at: Instant
    phones: dict[str, int]
    flags: dict[str, int]
    overdue: int
    oldest_overdue_seconds: int
    running: list[ProgressOut]
    queued: int
    quarantined: int
    holds: int
    feed: dict[str, str | int | None]
    libvirt_up: bool
    hook_fault: str
    breaker_open: bool
    clock_suspect: bool
    last_sweep_at: Instant | None
    faults: dict[str, str]


class ReadyOut(BaseModel):
    """Whether the promise can be kept now; `checks`: name -> "" or the fault."""

    ready: bool
    checks: dict[str, str]


def status_out(status: HostStatus) -> StatusOut:
    """The document of the host's status."""
    return StatusOut(
        host=status.host,
        version=status.version,
        at=status.at,
        phones=status.phones,
        flags=status.flags,
        overdue=status.overdue,
        oldest_overdue_seconds=status.oldest_overdue_seconds,
        running=[progress_out(item) for item in status.running],
        queued=status.queued,
        quarantined=status.quarantined,
        holds=status.holds,
        feed={"kind": status.feed_kind, "age_seconds": status.feed_age_seconds},
        libvirt_up=status.libvirt_up,
        hook_fault=status.hook_fault,
        breaker_open=status.breaker_open,
        clock_suspect=status.clock_suspect,
        last_sweep_at=status.last_sweep_at,
        faults=status.faults,
    )


class StatusHandlers:
    """The routes of the daemon itself."""

    def __init__(self, status: StatusService) -> None:
        self._status = status

    async def get(self, _request: web.Request) -> web.Response:
        """The host at a glance."""
        return as_json(status_out(await self._status.get()))

    async def alive(self, _request: web.Request) -> web.Response:
        """Alive: the event loop answers."""
        return web.json_response({"alive": True})

    async def ready(self, _request: web.Request) -> web.Response:
        """Ready: 200, or 503 with what is missing."""
        checks = await self._status.readiness()
        ready = not any(checks.values())
        return as_json(ReadyOut(ready=ready, checks=checks), status=200 if ready else 503)
