"""The API on its Unix socket: made with mode 0660 and the configured group, every call authenticated, authorised, bounded and answered as documented."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import socket
import stat
import time
from collections.abc import Callable
from typing import Any

import structlog
from aiohttp import web

from wiped.api.http.bodies import CALLER, MAX_IMPORT, check_key
from wiped.api.http.door import Door, served_by
from wiped.api.http.identity import Access, caller_of_request
from wiped.api.http.openapi import Operation
from wiped.api.http.problems import from_error, from_http, problem
from wiped.api.v1.routes import OPERATIONS, Handler, handlers
from wiped.api.v1.subscriptions import ParseImport
from wiped.errors import ConfigError, WipedError
from wiped.ports.service import Service

log = structlog.get_logger(room="api")

#: Connections of the API at once, and of one uid: operators' commands and a few programs, not a crowd.
MOST_CONNECTIONS = 256
MOST_OF_ONE = 64
_TELL_EVERY = 60.0


async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Everything that goes wrong becomes one problem document; an unexpected error is logged here, and its text is answered to nobody."""
    try:
        return await handler(request)
    except WipedError as error:
        return from_error(error)
    except web.HTTPException as error:
        return from_http(error)
    except asyncio.CancelledError:
        raise
    except Exception:
        log.exception("a request failed unexpectedly", method=request.method, route=_route(request))
        return problem(500, "unexpected", "an unexpected error", hint="look into the daemon's log: journalctl -u wiped")


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""


def _guarded(operation: Operation, handler: Handler, access: Access) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        caller = caller_of_request(request, access)
        if operation.roles:
            caller.require(*operation.roles)
        if operation.changes:
            check_key(request.headers.get("Idempotency-Key", "-"))
        request[CALLER] = caller
        return await handler(request)

    return guarded


def make_application(service: Service, access: Access, parse_import: ParseImport, door: Door | None = None) -> web.Application:
    """The routes of `OPERATIONS`, behind `door`."""
    of_name = handlers(service, parse_import)

    @web.middleware
    async def served(request: web.Request, handler: Handler) -> web.StreamResponse:
        with contextlib.nullcontext() if door is None else door.serving(request):
            return await _answer_errors(request, handler)

    middlewares = [served]
    application = web.Application(middlewares=middlewares, client_max_size=MAX_IMPORT)
    for operation in OPERATIONS:
        # A verb (`:suspend`) makes another path: the methods of the one are not allowed on the other.
        path = operation.path.replace("{id}", "{id:[A-Za-z0-9-]{1,128}}").replace("{uuid}", "{uuid:[^/:]{1,128}}")
        application.router.add_route(operation.method, path, _guarded(operation, of_name[operation.name], access))
    return application


def open_socket(path: str, group: str) -> socket.socket:
    """A listening Unix socket at `path`, mode 0660 and `group` ("" or unknown: the daemon's own). Raises ConfigError where something else is there.

    A dead predecessor's socket is replaced; one that still answers is another daemon, and an error.
    """
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise _unusable(path, "is there already, and is no socket", "move the file away, or set api.socket to another path")
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(path)
                except ConnectionRefusedError:
                    os.unlink(path)
                else:
                    raise _unusable(path, "another daemon answers there", "stop the other daemon, or set api.socket to another path")
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        # Nobody but us can connect between bind and chmod.
        before = os.umask(0o177)
        try:
            server.bind(path)
        finally:
            os.umask(before)
        gid = _gid(group)
        if gid is not None:
            os.chown(path, -1, gid)
            os.chmod(path, 0o660)
        server.listen(128)
        server.setblocking(False)
    except OSError as error:
        raise _unusable(path, error.strerror or "cannot be made") from error
    return server


def _gid(group: str) -> int | None:
    if not group:
        return os.getgid()
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        log.warning("there is no such group, so only the daemon's own user may use the API", group=group)
        return None


def _unusable(path: str, why: str, hint: str = "") -> ConfigError:
    return ConfigError(f"api.socket: {path!r}: {why}", faults=[("api.socket", f"{path!r}: {why}")], hint=hint)


class ApiServer:
    """The running API. `start` returns when it listens; `stop` lets running requests end."""

    def __init__(self, service: Service, *, path: str, group: str, access: Access, parse_import: ParseImport) -> None:
        self._path = path
        self._group = group
        self._ours: tuple[int, int] | None = None
        self._door = Door("api", MOST_CONNECTIONS, MOST_OF_ONE)
        self._runner = web.AppRunner(
            make_application(service, access, parse_import, self._door),
            access_log=None,
            handle_signals=False,
            max_line_size=8_190,
            max_field_size=8_190,
            shutdown_timeout=5.0,
            logger=_Quiet(),
        )

    async def start(self) -> None:
        """Listen. Raises ConfigError when the socket cannot be made."""
        listening = open_socket(self._path, self._group)
        made = os.lstat(self._path)
        self._ours = (made.st_dev, made.st_ino)
        await self._runner.setup()
        self._door.open(listening, served_by(self._runner))

    async def stop(self) -> None:
        """Stop listening, end streams, remove the socket that we made, and nothing else that may be at its path. Idempotent."""
        await self._door.close()
        await self._runner.cleanup()
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(self._path)
            if (found.st_dev, found.st_ino) == self._ours:
                os.unlink(self._path)


class _Quiet:
    """aiohttp's own logger would print raw request lines of broken clients; we tell only that it happened, once a minute at most, and how often."""

    def __init__(self) -> None:
        self._untold = 0
        self._told_at = -_TELL_EVERY

    def __getattr__(self, name: str) -> Callable[..., None]:
        def say(*_args: Any, **_more: Any) -> None:
            if name not in {"error", "exception", "critical"}:
                return
            self._untold += 1
            if time.monotonic() - self._told_at >= _TELL_EVERY:
                log.warning("clients broke the protocol, or went away", times=self._untold)
                self._untold, self._told_at = 0, time.monotonic()

        return say
