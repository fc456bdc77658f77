"""What the kernel says of a domain's emulator, when libvirt says nothing: from its pid file (libvirt's run directory) and /proc (proc_pid_stat(5))."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Final

_MAX_PID: Final = 32
_LOOKS: Final = 8
_SECOND: Final = 1.0
_WORDS: Final = {
    "D": "hangs in the kernel (state D): the storage beneath it does not answer",
    "Z": "is dead and was not reaped (state Z): its parent does not wait for it",
    "T": "is stopped by a signal (state T)",
    "t": "is stopped by a debugger (state t)",
}


def emulator_state(name: str, run_directory: str, proc: str = "/proc") -> str:
    """In words, why the emulator of the domain `name` cannot answer; "" where nothing speaks against it, or where it cannot be told. Never raises.

    A process counts by its main thread and all others: one thread that waits for storage is enough to hang the whole.
    """
    if not name or "/" in name or "\0" in name:
        return ""
    try:
        with open(os.path.join(run_directory, f"{name}.pid"), encoding="ascii") as file:
            pid = file.read(_MAX_PID).strip()
        if not re.fullmatch(r"[1-9][0-9]*", pid):
            return ""
        states = [_state(os.path.join(proc, pid, "task", thread, "stat")) for thread in [pid, *sorted(os.listdir(os.path.join(proc, pid, "task")))]]
    except (OSError, ValueError):
        return ""
    return next((f"its emulator (process {pid}) {_WORDS[state]}" for state in _WORDS if state in states), "")


def hangs(name: str, run_directory: str, pause: Callable[[float], None] = time.sleep) -> str:
    """The same for one that hangs in the kernel for a whole second: killing it would take nothing away, and make libvirt wait for it. Blocking."""
    told = ""
    for _ in range(_LOOKS):
        told = emulator_state(name, run_directory)
        if "state D" not in told:
            return ""
        pause(_SECOND / _LOOKS)
    return told


def _state(path: str) -> str:
    """The letter after the command's name, which may hold anything."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(4096).rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""
