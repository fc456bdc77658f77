"""The fake service's part about the daemon itself."""

from __future__ import annotations

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import HOSTILE_NAME, NOW, UUID_TWO, WIPE_ID
from wiped.model.records import WipeStep
from wiped.model.status import HostStatus, WipeProgress
from wiped.model.subscription import State


class FakeStatus:
    """Implements `wiped.ports.service.StatusService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def get(self) -> HostStatus:
        self._desk.ask("status")
        if self._desk.shown is not None:
            return self._desk.shown
        running = WipeProgress(WIPE_ID, UUID_TWO, HOSTILE_NAME, WipeStep.ERASING, "erase", "a1", 1 << 30, 1 << 31, 1 << 28, 4)
        return HostStatus(
            host="host-1", version="0.1.0", at=NOW, phones={str(state): (2 if state is State.ACTIVE else 0) for state in State}, flags={"overdue": 1},
            overdue=1, oldest_overdue_seconds=7_200, running=(running,), queued=1, quarantined=1, feed_age_seconds=12, libvirt_up=True,
            hook_fault="the hook is not loaded: restart libvirtd", last_sweep_at=NOW, faults={"hook": "the hook is not loaded: restart libvirtd"},
        )  # fmt: skip

    async def readiness(self) -> dict[str, str]:
        return self._desk.checks
