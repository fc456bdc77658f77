"""Port Courier over HTTP: one attempt to post one event. Any 2xx is taken for *received*; nothing else is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import aiohttp

from wiped.model.notices import Delivery, Notice
from wiped.notify import events, signing

#: Answers that speak of this very event, not of the receiver: others may pass it.
_ABOUT_THE_EVENT = frozenset({400, 409, 411, 413, 415, 422})
_LONGEST_WISH = 14_400


class Webhook:
    """One receiver. `timeout`: seconds for a whole attempt; `keys`: of the secret file, newest first. Use it as an async context."""

    def __init__(self, url: str, keys: Sequence[bytes], *, host: str, residency: str, version: str, timeout: float) -> None:
        self._url = url
        self._keys = tuple(keys)
        self._host = host
        self._residency = residency
        self._agent = f"wiped/{version}"
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        limits = aiohttp.ClientTimeout(total=self._timeout)
        # No cookie of an answer, no proxy of the environment: the configured URL is the only place that events go to (R18).
        self._session = aiohttp.ClientSession(timeout=limits, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": self._agent})
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def carry(self, notice: Notice, now: datetime) -> Delivery:
        """See `ports.Courier`."""
        if self._session is None:
            return Delivery(False, "not-open")
        body = events.body(notice, host=self._host, residency=self._residency)
        told = {"Content-Type": events.CONTENT_TYPE, **signing.headers(self._keys, notice.id, now, body)}
        try:
            async with self._session.post(self._url, data=body, headers=told, allow_redirects=False) as answer:
                return _judged(answer.status, answer.headers.get("Retry-After", ""))
        except TimeoutError:
            return Delivery(False, "timeout")
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError, ssl.SSLError):
            return Delivery(False, "tls")
        except aiohttp.ClientConnectorError:
            return Delivery(False, "connection")
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError, ValueError):
            return Delivery(False, "broken-answer")


def _judged(status: int, retry_after: str) -> Delivery:
    if 200 <= status < 300:
        return Delivery(True)
    wish = int(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 9 else 0
    return Delivery(False, f"http-{status}", retry_after=min(wish, _LONGEST_WISH), alone=status in _ABOUT_THE_EVENT)
