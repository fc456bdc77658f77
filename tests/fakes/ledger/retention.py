"""Deletes what was kept for its period, in the fake ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from tests.fakes.ledger.state import Memo


class FakeRetention:
    """`ports.ledger.RetentionStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def retain(self, now: datetime, *, snapshots: timedelta, audit: timedelta, may: Callable[[], bool]) -> dict[str, int]:
        self._state.write()
        if not may():
            return {"snapshots": 0, "anonymised": 0, "unproven": 0}
        old = [wipe for wipe in self._state.wipes.values() if wipe.finished_at and wipe.finished_at < now - snapshots and wipe.snapshot is not None]
        for wipe in old:
            self._state.wipes[wipe.id] = replace(wipe, snapshot=None)
        gone = [item for item in self._state.ended if item[1] < now - audit]
        self._state.ended = [item for item in self._state.ended if item not in gone]
        return {"snapshots": len(old), "anonymised": len({term.account for term, _ in gone}), "unproven": 0}
