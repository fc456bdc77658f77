"""The local feed is always a complete answer."""

from __future__ import annotations

from datetime import UTC, datetime

from wiped.feed.local import LocalFeed
from wiped.model.subscription import FeedStatus


class _StillClock:
    """A clock that stands still (port Clock)."""

    def now(self) -> datetime:
        """Always the same instant."""
        return datetime(2026, 1, 1, tzinfo=UTC)

    def boottime(self) -> float:
        """Always the same."""
        return 0.0

    def boot_id(self) -> str:
        """Always the same."""
        return ""

    def synchronised(self) -> bool | None:
        """Nobody knows."""
        return None


async def test_every_poll_is_complete() -> None:
    """Each poll answers completely, at now, and counts."""
    feed = LocalFeed(_StillClock())
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert await feed.poll() == FeedStatus(now, 1, "local")
    assert await feed.poll() == FeedStatus(now, 2, "local")
