"""A wipe followed to its end."""

from __future__ import annotations

import dataclasses
import os
import pty
import subprocess
import sys

from tests.fakes.service import WIPE_ID, make_wipe
from tests.patience import PATIENCE
from tests.unit.cli.conftest import Operator
from wiped.model.status import WipeNews

WIPE = ("wipe", "phone-one", "--reason", "the service has ended", "--confirm", "phone-one", "--ticket", "T-1")


def test_a_wipe_that_has_to_wait_is_followed_once_it_begins(operator: Operator) -> None:
    """An older wipe of the phone is not taken for the new one."""
    older = dataclasses.replace(make_wipe(), id="019cafe0-0000-7000-8000-000000000000")
    operator.service.begins = False
    operator.service.made = [older]
    accepted = operator.run("--output", "json", *WIPE)
    assert (accepted.code, accepted.json["id"], accepted.json["next"]["state"]) == (0, "", "due")

    operator.service.later = [make_wipe()]
    ran = operator.run("--output", "json", *WIPE, "--wait")
    assert (ran.code, ran.json["id"]) == (0, WIPE_ID)
    assert "accepted; waiting until 2026-03-01T13:00:00Z" in ran.err


def test_a_terminal_gets_bars_with_bytes_and_time(operator: Operator) -> None:
    """On a terminal the progress of each artefact is a bar."""
    operator.service.news = [
        WipeNews("progress", WIPE_ID, phase="erase", artefact_id="a1", done=1 << 20, total=1 << 21),
        WipeNews("end", WIPE_ID, step="released"),
    ]
    main, side = pty.openpty()
    program = [sys.executable, "-c", "from wiped.cli.main import main; main()"]
    environ = {**os.environ, "WIPED_SOCKET": operator.path, "COLUMNS": "150", "TERM": "xterm"}
    done = subprocess.run([*program, "wipes", "watch", WIPE_ID], env=environ, stdout=subprocess.DEVNULL, stderr=side, timeout=PATIENCE, check=False)
    os.close(side)
    shown = os.read(main, 1 << 20).decode()
    os.close(main)
    assert done.returncode == 0
    assert "erase" in shown
    assert "disk-image" in shown
    assert "1.0/2.1 MB" in shown or "1.0/2.0 MiB" in shown
