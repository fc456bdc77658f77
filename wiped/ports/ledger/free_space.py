"""Free space of filesystems after the removals of a wipe."""

from __future__ import annotations

from typing import Protocol

from wiped.wire.messages import Trimmed


class FreeSpaceStore(Protocol):
    """Free space of filesystems after the removals of a wipe."""

    async def record(self, wipe_id: str, device: int, answer: Trimmed) -> None:
        """What was done about the free space of a filesystem after the removals of a wipe (audited). The same filesystem again replaces it."""

    async def methods(self, wipe_id: str) -> dict[int, str]:
        """Device number -> method, "" where nothing was proven."""
