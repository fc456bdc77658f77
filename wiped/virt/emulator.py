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

    A process counts by all its threads: one that waits for storage is enough to hang the whole.
    """
    pid, threads = _threads(name, run_directory, proc)
    states = {state for state, _ in threads.values()}
    return next((f"its emulator (process {pid}) {_WORDS[state]}" for state in _WORDS if state in states), "")


def hangs(name: str, run_directory: str, proc: str = "/proc", pause: Callable[[float], None] = time.sleep) -> str:
    """The same for one of which one thread was in state D in every look of a second and was not scheduled once in between: one that works hard on a slow
    disk is. To kill one that hangs would take nothing away, and make libvirt wait for it. Blocking."""
    told, waiting = "", None
    for _ in range(_LOOKS):
        pid, threads = _threads(name, run_directory, proc)
        now = {(thread, switches) for thread, (state, switches) in threads.items() if state == "D"}
        waiting = now if waiting is None else waiting & now
        if not waiting:
            return ""
        told = f"its emulator (process {pid}) {_WORDS['D']}"
        pause(_SECOND / _LOOKS)
    return told


def _threads(name: str, run_directory: str, proc: str) -> tuple[str, dict[str, tuple[str, str]]]:
    """(process id, {thread: (state, how often it was scheduled)}) of a domain's emulator; nothing where that cannot be told."""
    if not name or "/" in name or "\0" in name:
        return "", {}
    try:
        with open(os.path.join(run_directory, f"{name}.pid"), encoding="ascii") as file:
            pid = file.read(_MAX_PID).strip()
        if not re.fullmatch(r"[1-9][0-9]*", pid):
            return "", {}
        tasks = os.path.join(proc, pid, "task")
        return pid, {thread: _state(os.path.join(tasks, thread)) for thread in os.listdir(tasks)}
    except (OSError, ValueError):
        return "", {}


def _state(task: str) -> tuple[str, str]:
    """The letter after the command's name, which may hold anything; and the counts of voluntary and other switches."""
    try:
        with open(os.path.join(task, "stat"), encoding="ascii", errors="replace") as file:
            state = file.read(4096).rpartition(")")[2].split()[0]
        with open(os.path.join(task, "status"), encoding="ascii", errors="replace") as file:
            return state, " ".join(line.split()[-1] for line in file if "ctxt_switches" in line)
    except (OSError, IndexError):
        return "", ""
