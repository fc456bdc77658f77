"""The HTTP feed: billing's API, asked for the whole set of this host's subscriptions, in one document or in pages with a cursor.

    GET URL                     Accept: application/json, Authorization: Bearer TOKEN, If-None-Match: ETAG of the last whole answer
    GET URL?cursor=NEXT         until "next" is null; every page of one revision and count
    304                         the last whole answer still stands

TLS, with the system's authorities or `ca_file`, and a client certificate where one is configured; plain HTTP to this host itself alone. No redirect is
followed: the configured URL is the only place that is asked (R16, R18).
"""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
from dataclasses import replace
from types import TracebackType
from typing import Self

import aiohttp

from wiped.decide.feed_answer import FeedFault
from wiped.feed.answers import MAX_BYTES, MAX_RECORDS, FeedError, Page, malformed, page_of

#: Pages of one answer.
MAX_PAGES = 10_000
_MAX_TOKEN = 4096


def read_token(path: str) -> str:
    """The bearer token in `path`, read anew for each answer, so that it can be replaced. Raises FeedError(configuration)."""

    def unusable(why: str) -> FeedError:
        return FeedError(FeedFault.CONFIGURATION, f"its token file {why}")

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise unusable(f"cannot be opened: {error.strerror}") from error
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o027:
            raise unusable("can be read or changed by others, or is no regular file: chmod 0600")
        text = os.read(fd, _MAX_TOKEN + 1).decode("ascii", "replace").strip()
    finally:
        os.close(fd)
    if not text or len(text) > _MAX_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
        raise unusable("does not hold one line of printable ASCII")
    return text


class HttpSource:
    """One billing API. `timeout`: seconds for a whole answer, all pages. Use it as an async context."""

    kind = "http"

    def __init__(self, url: str, *, timeout: float, agent: str, token_file: str = "", tls: ssl.SSLContext | None = None) -> None:
        self._url = url
        self._timeout = timeout
        self._agent = agent
        self._token_file = token_file
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._etag = ""
        self._pages: tuple[Page, ...] = ()

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._tls) if self._tls is not None else aiohttp.TCPConnector()
        headers = {"User-Agent": self._agent, "Accept": "application/json"}
        limits = aiohttp.ClientTimeout(total=self._timeout)
        self._session = aiohttp.ClientSession(connector=connector, timeout=limits, trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), headers=headers)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self) -> tuple[Page, ...]:
        """All pages of one answer. Raises FeedError."""
        token = await asyncio.to_thread(read_token, self._token_file) if self._token_file else ""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._all_pages(token)
        except TimeoutError as error:
            raise FeedError(FeedFault.TIMEOUT, f"it did not answer within {self._timeout:g} s") from error
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError, ssl.SSLError) as error:
            raise FeedError(FeedFault.TLS, "its certificate, or ours, is not accepted") from error
        except aiohttp.ClientPayloadError as error:
            raise FeedError(FeedFault.CUT, "its answer broke off") from error
        except aiohttp.ServerDisconnectedError as error:
            raise FeedError(FeedFault.CUT, "it hung up before its answer was whole") from error
        except (aiohttp.ClientConnectorError, OSError) as error:
            raise FeedError(FeedFault.UNREACHABLE, "it cannot be reached") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise malformed("its answer is not HTTP as it should be") from error

    def forget(self) -> None:
        """See `poll.Source`."""
        self._etag, self._pages = "", ()

    async def _all_pages(self, token: str) -> tuple[Page, ...]:
        first = await self._page("", token, MAX_BYTES)
        if first is None:
            return tuple(replace(page, at=None) for page in self._pages)  # as of now: billing has just said that nothing changed (RFC 9110, 15.4.5)
        etag, page, room = first
        pages, cursors, records = [page], {page.cursor}, len(page.rows)
        while page.cursor:
            found = await self._page(page.cursor, token, room)
            if found is None:
                raise malformed("it answered a page with 304")
            _, page, room = found
            records += len(page.rows)
            if (page.cursor and page.cursor in cursors) or len(pages) >= MAX_PAGES or records > MAX_RECORDS:
                raise FeedError(FeedFault.TOO_LARGE, "its pages never end")
            cursors.add(page.cursor)
            pages.append(page)
        self._pages, self._etag = tuple(pages), etag
        return self._pages

    async def _page(self, cursor: str, token: str, room: int) -> tuple[str, Page, int] | None:
        """(ETag, page, bytes that are left for others); None for 304. The page is made in a thread: however large, the loop goes on."""
        if self._session is None:
            raise FeedError(FeedFault.UNREACHABLE, "the feed is closed")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if not cursor and self._etag:
            headers["If-None-Match"] = self._etag
        params = {"cursor": cursor} if cursor else None
        async with self._session.get(self._url, headers=headers, params=params, allow_redirects=False) as answer:
            if answer.status == 304 and not cursor and self._etag:
                return None
            if answer.status != 200:
                raise FeedError(FeedFault.STATUS, f"it answered with status {answer.status}")
            data = bytearray()
            async for chunk in answer.content.iter_chunked(1 << 16):
                data += chunk
                if len(data) > room:
                    raise FeedError(FeedFault.TOO_LARGE, f"its answer is larger than {MAX_BYTES} bytes")
            etag = answer.headers.get("ETag", "")
        page = await asyncio.to_thread(page_of, bytes(data), "its answer")
        return (etag if len(etag) <= 256 else ""), page, room - len(data)
