"""The daemon, with somebody else at work between its steps: `python -m tests.lab.attacking_daemon FILE`.

FILE is JSON: [{"name": phone's name, "step": milestone, "command": shell command}]. When a wipe of that phone reaches the milestone for the first time,
the command is run to its end before the wipe goes on. Everything else is the product as it is.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from wiped import app, logs
from wiped.config import DEFAULT_PATH, load


class Attacker:
    """A `Milestones` port that runs the attacks."""

    def __init__(self, attacks: list[dict[str, str]], ledger: Path) -> None:
        self._attacks = attacks
        self._ledger = ledger

    async def reached(self, step: str, wipe_id: str, **facts: Any) -> None:
        """Run what is meant for this step of this phone."""
        if not any(attack["step"] == step for attack in self._attacks):
            return
        with closing(sqlite3.connect(f"file:{self._ledger}?mode=ro", uri=True)) as ledger:
            row = ledger.execute("SELECT name FROM wipes WHERE id = ?", (wipe_id,)).fetchone()
        for attack in [each for each in self._attacks if row and (each["name"], each["step"]) == (row[0], step)]:
            self._attacks.remove(attack)
            done = await asyncio.to_thread(subprocess.run, attack["command"], shell=True, capture_output=True, text=True, check=False)
            print(f"attack {attack} -> {done.returncode} {done.stdout}{done.stderr}", file=sys.stderr, flush=True)


def main() -> int:
    """Run the daemon with the attacker in it."""
    logs.configure()
    settings = load(DEFAULT_PATH)
    attacker = Attacker(json.loads(Path(sys.argv[1]).read_text()), Path(settings.host.state_dir) / "ledger.db")
    return asyncio.run(app.run(settings, milestones=attacker))


if __name__ == "__main__":
    sys.exit(main())
