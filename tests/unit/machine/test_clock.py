"""The real clocks of the machine."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from wiped.machine.clock import SystemClock


def test_the_clocks_are_the_kernels() -> None:
    """Now is aware UTC, boottime goes forward, the boot has one name, synchronisation is known or said not to be."""
    clock = SystemClock()
    before, now, after = datetime.now(UTC), clock.now(), datetime.now(UTC)
    assert before <= now <= after
    assert now.utcoffset() == timedelta()
    first = clock.boottime()
    assert clock.boottime() >= first > 0
    assert re.fullmatch(r"[0-9a-f-]{36}", clock.boot_id())
    assert clock.boot_id() == SystemClock().boot_id()
    assert clock.synchronised() in (True, False, None)
