"""The file feed: a JSON-lines file that billing replaces atomically (write aside, sync, rename) and that every poll looks at again.

Its first line is the answer's document without records, each further line one record:

    {"feed": "wiped/1", "revision": 17, "count": 2, "at": "2026-11-24T02:00:00Z"}
    {"phone": ..., "account": ..., ...}

`at` is required: a file that nobody writes any more must grow old. Whoever can write the file is one person (R14): unsigned, it cannot bring the end of
a running term forward alone.
"""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import replace
from typing import Any

from wiped.decide.feed_answer import FeedFault
from wiped.feed.answers import MAX_BYTES, MAX_RECORDS, FeedError, Page, malformed, read_json, read_page


class FileSource:
    """Reads the whole file at `path`; where its inode, size and change time are those of the last look, the last pages are answered again."""

    kind = "file"

    def __init__(self, path: str) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._pages: tuple[Page, ...] = ()

    async def fetch(self) -> tuple[Page, ...]:
        """The answer as one page. Raises FeedError."""
        return await asyncio.to_thread(self._fetch)

    def forget(self) -> None:
        """See `poll.Source`."""
        self._seen, self._pages = None, ()

    def _fetch(self) -> tuple[Page, ...]:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise FeedError(FeedFault.UNREACHABLE, f"its file cannot be opened: {error.strerror}") from error
        try:
            facts = os.fstat(fd)
            if not stat.S_ISREG(facts.st_mode):
                raise FeedError(FeedFault.CONFIGURATION, "it is not a regular file")
            if facts.st_mode & 0o002:
                raise FeedError(FeedFault.CONFIGURATION, "everybody can write its file: chmod o-w")
            if facts.st_size > MAX_BYTES:
                raise FeedError(FeedFault.TOO_LARGE, f"its file is larger than {MAX_BYTES} bytes")
            seen = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
            if seen == self._seen:
                return self._pages
            with open(fd, "rb", closefd=False) as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) != facts.st_size:
                raise FeedError(FeedFault.PARTIAL, "its file changed while it was read: replace it by a rename")
        except OSError as error:
            raise FeedError(FeedFault.UNREACHABLE, f"its file cannot be read: {error.strerror}") from error
        finally:
            os.close(fd)
        self._pages = (_page(data),)
        self._seen = seen
        return self._pages


def _page(data: bytes) -> Page:
    lines = data.split(b"\n")
    if lines and not lines[-1].strip():
        lines.pop()
    if len(lines) > MAX_RECORDS + 1:
        raise FeedError(FeedFault.TOO_LARGE, f"it has more than {MAX_RECORDS} lines")
    if not lines:
        raise malformed("its file is empty; even a host without phones has the first line")
    document: dict[str, Any] = read_json(lines[0], "its first line")
    if "records" in document or document.get("next") is not None:
        raise malformed("its first line holds records or a next page; they stand on lines of their own")
    page = read_page({**document, "records": []})
    if page.at is None:
        raise malformed("its first line does not say when it was made (at)")
    return replace(page, rows=tuple(read_json(line, f"line {number}") for number, line in enumerate(lines[1:], start=2)))
