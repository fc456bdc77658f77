"""The daemon, killed at a named step: `python -m tests.lab.killing_daemon STEP TARGET [NTH]`.

TARGET is `daemon`, `eraser` or `observer`: which process gets SIGKILL when STEP is reached for the NTH time. Everything else is the product as it is.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from wiped import app, logs
from wiped.config import DEFAULT_PATH, load


def helpers(program: str) -> list[int]:
    """Process ids of this daemon's children that run `program`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if parent == os.getpid() and program.encode() in words:
            found.append(int(entry.name))
    return found


class Killer:
    """A `Milestones` port that kills."""

    def __init__(self, step: str, target: str, nth: int) -> None:
        self._step, self._target, self._left = step, target, nth

    async def reached(self, step: str, wipe_id: str, **facts: Any) -> None:
        """Kill at the wanted step."""
        print(f"milestone {step} {facts}", file=sys.stderr, flush=True)
        if step != self._step:
            return
        self._left -= 1
        if self._left != 0:
            return
        victims = [os.getpid()] if self._target == "daemon" else helpers(self._target)
        print(f"killing {self._target} {victims} at {step}", file=sys.stderr, flush=True)
        for pid in victims:
            os.kill(pid, signal.SIGKILL)


def main() -> int:
    """Run the daemon with the killer in it."""
    step, target, *rest = sys.argv[1:]
    logs.configure()
    return asyncio.run(app.run(load(DEFAULT_PATH), milestones=Killer(step, target, int(rest[0]) if rest else 1)))


if __name__ == "__main__":
    sys.exit(main())
