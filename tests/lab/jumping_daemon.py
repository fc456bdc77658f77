"""The daemon with a clock that a test sets: `python -m tests.lab.jumping_daemon FILE`. FILE holds by how many seconds realtime is ahead; else the product as
it is. The kernel's clock is not touched, and counts as not synchronised."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wiped import app, logs
from wiped.config import DEFAULT_PATH, load
from wiped.machine.clock import SystemClock


class SetClock(SystemClock):
    """Port Clock: realtime ahead by what stands in a file at each look."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ahead = 0.0

    def now(self) -> datetime:
        """As the file says; a file that is being written counts as before."""
        with contextlib.suppress(OSError, ValueError):
            self._ahead = float(self._file.read_text(encoding="ascii") or self._ahead)
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    def synchronised(self) -> bool | None:
        """Never: what this machine says does not matter here."""
        return False


def main() -> int:
    """Run the daemon with that clock."""
    logs.configure()
    return asyncio.run(app.run(load(DEFAULT_PATH), parts=app.Parts(clock=SetClock(Path(sys.argv[1])))))


if __name__ == "__main__":
    sys.exit(main())
