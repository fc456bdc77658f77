"""Hints that something happened to a domain: bounded, each UUID at most once, "" for *look at everything*."""

from __future__ import annotations

import asyncio
import weakref

#: More waiting hints than this become one "".
LIMIT = 4096


class Hints:
    """One listener's hints, an async iterator without end. Drop it and it is forgotten."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._some = asyncio.Event()

    def add(self, uuid: str) -> None:
        """Keep a hint until it is read. From the event loop's thread only."""
        if uuid == "" or len(self._waiting) >= LIMIT:
            self._waiting.clear()
            uuid = ""
        if "" not in self._waiting:
            self._waiting[uuid] = None
        self._some.set()

    def __aiter__(self) -> Hints:
        return self

    async def __anext__(self) -> str:
        while not self._waiting:
            self._some.clear()
            await self._some.wait()
        uuid = next(iter(self._waiting))
        del self._waiting[uuid]
        return uuid


class Bell:
    """Rings for every listener."""

    def __init__(self) -> None:
        self._listeners: weakref.WeakSet[Hints] = weakref.WeakSet()

    def listen(self) -> Hints:
        """A new listener, from now on."""
        hints = Hints()
        self._listeners.add(hints)
        return hints

    def ring(self, uuid: str) -> None:
        """Tell all listeners."""
        for hints in tuple(self._listeners):
            hints.add(uuid)
