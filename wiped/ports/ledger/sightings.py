"""Files that phones were last seen to have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from wiped.model.inventory import FileIdentity
from wiped.model.sightings import Memory, RememberedFile


class SightingStore(Protocol):
    """Files that phones were last seen to have."""

    async def remember(self, memory: Memory, files: Sequence[RememberedFile]) -> None:
        """What a present phone of that generation has now; nothing where it vanished or changed hands meanwhile."""

    async def find(self, uuid: str = "") -> tuple[Memory, ...]:
        """When each phone, or one, was last looked at."""

    async def files(self, uuid: str, *, ever: bool = False) -> tuple[RememberedFile, ...]:
        """The phone's files as of its newest look; `ever`: as of any look in its generation."""

    async def owners(self) -> dict[FileIdentity, frozenset[str]]:
        """Which phones each file was ever remembered to belong to, in generations that have not ended."""

    async def note_migrated(self, uuid: str, now: datetime) -> None:
        """libvirt told that the phone left by migration (audited once): none of its files is wiped here until it was seen here again."""
