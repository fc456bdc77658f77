"""The daemon, told to stop at a named step: `python -m tests.lab.stopping_daemon STEP`. SIGTERM to itself, as systemd sends it; else the product as it is."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from wiped import app, logs
from wiped.config import DEFAULT_PATH, load


class Stopper:
    """A `Milestones` port that sends SIGTERM once, and then lets the wipe stand still until it is cancelled."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._sent = False

    async def reached(self, step: str, wipe_id: str, **facts: Any) -> None:
        """Stop at the wanted step."""
        if step != self._step or self._sent:
            return
        self._sent = True
        os.kill(os.getpid(), signal.SIGTERM)


def main() -> int:
    """Run the daemon with the stopper in it."""
    logs.configure()
    return asyncio.run(app.run(load(DEFAULT_PATH), milestones=Stopper(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
