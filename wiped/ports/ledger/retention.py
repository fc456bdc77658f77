"""Deletes what was kept for its period (R10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol


class RetentionStore(Protocol):
    """Deletes what was kept for its period (R10)."""

    async def retain(self, now: datetime, *, snapshots: timedelta, audit: timedelta, may: Callable[[], bool]) -> dict[str, int]:
        """Delete what was kept for its period: how many snapshots, pseudonyms, and slots whose destruction could not be proven (tried again). `may` is asked
        within each transaction that begins it, and before each slot is destroyed; where it says no, nothing is."""
