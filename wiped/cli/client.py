"""HTTP over the daemon's Unix socket; a problem document of the API becomes an error with the same code, exit code and hint."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

import wiped
from wiped.errors import UnreachableError, WipedError

DEFAULT_SOCKET = "/run/wiped/wiped.sock"
#: A survey of a host with hundreds of phones may take a while; connecting may not.
_TIMEOUT = aiohttp.ClientTimeout(total=300, connect=5)
_UNREACHABLE = "check that the daemon runs (systemctl status wiped) and that your groups may use its socket; --socket or WIPED_SOCKET names another socket"
_STREAM = aiohttp.ClientTimeout(total=None, connect=5, sock_read=60)

#: Codes of the API without an error class of ours; each is a mistake of the caller.
_USAGE = frozenset({"malformed", "no-such-route", "method-not-allowed", "too-large", "unsupported-media-type"})


class DaemonError(WipedError):
    """An error that the daemon answered with. `document` is its problem document; code and exit code are those of the error class with that code."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(str(document.get("detail", "")), hint=str(document.get("hint", "")))
        self.document = dict(document)
        # Instance values over class values: this one class carries every code.
        self.code = str(document.get("code", "unexpected"))  # type: ignore[misc]
        self.exit_code = exit_code_of(self.code)  # type: ignore[misc]


def exit_code_of(code: str) -> int:
    """The exit code of docs/contract.md for an error code; 1 for one that is not known here."""
    kinds = [WipedError]
    for kind in kinds:
        if kind.code == code:
            return kind.exit_code
        kinds.extend(kind.__subclasses__())
    return 2 if code in _USAGE else 1


class Client:
    """One connection pool to one daemon. Raises UnreachableError when no daemon answers, DaemonError when the daemon answers with an error."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path=self._path), timeout=_TIMEOUT, headers={"User-Agent": f"wipectl/{wiped.__version__}"}, read_bufsize=1 << 20
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()

    def _request(self, method: str, path: str, **more: Any) -> Any:
        if self._session is None:
            raise UnreachableError("the connection is not open")
        return self._session.request(method, f"http://wiped{path}", **more)

    def _unreachable(self, error: Exception) -> UnreachableError:
        cause = getattr(error, "os_error", None)
        why = getattr(cause, "strerror", "") or (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
        return UnreachableError(f"no daemon answers on {self._path}: {why}", hint=_UNREACHABLE)

    async def bytes(self, method: str, path: str, **more: Any) -> bytes:
        """Send a request; the bytes of the answer."""
        try:
            async with self._request(method, path, **more) as response:
                data: bytes = await response.read()
                if response.status >= 400 and response.content_type == "application/problem+json":
                    raise DaemonError(json.loads(data))
                if response.status >= 400 and path != "/readyz":
                    raise DaemonError({"code": "unexpected", "detail": f"the daemon answered {response.status} {response.reason}"})
                return data
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def get(self, path: str, **query: str | int | list[str]) -> Any:
        """Get a JSON document. A list in the query becomes several parameters of one name."""
        pairs = [(name, str(item)) for name, value in query.items() for item in (value if isinstance(value, list) else [value])]
        return json.loads(await self.bytes("GET", path, params=pairs))

    async def send(self, method: str, path: str, document: Any) -> Any:
        """Send a JSON document; the JSON document of the answer."""
        return json.loads(await self.bytes(method, path, json=document))

    async def phone(self, name: str) -> dict[str, Any]:
        """Find the phone that an operator named by UUID or name."""
        found = await self.get("/v1/phones", name=name)
        return dict(found["items"][0])

    async def events(self, wipe_id: str) -> AsyncIterator[dict[str, Any]]:
        """Follow the events of a wipe until its end; stops early, without an error, when the connection to the daemon is lost."""
        try:
            async with self._request("GET", f"/v1/wipes/{part(wipe_id)}/events", timeout=_STREAM) as response:
                if response.status >= 400:
                    raise DaemonError(await response.json(content_type=None))
                async for line in response.content:
                    if line.startswith(b"data: "):
                        yield json.loads(line[6:])
        except aiohttp.ClientConnectorError as error:
            raise self._unreachable(error) from error
        except (aiohttp.ClientError, OSError, TimeoutError):
            return


def part(text: str) -> str:
    """Quote `text` as one segment of a path."""
    return quote(text, safe="")
