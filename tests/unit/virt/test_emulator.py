"""What the kernel says of an emulator: real processes, and files as /proc has them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from wiped.virt.emulator import emulator_state, hangs


def told(tmp_path: Path, pid: int, name: str = "phone-1") -> str:
    """By a pid file as libvirt writes it."""
    (tmp_path / f"{name}.pid").write_text(f"{pid}\n")
    return emulator_state(name, str(tmp_path))


def test_real_processes(tmp_path: Path) -> None:
    """One that runs, one that is stopped, one that is dead and not reaped, one that is gone."""
    with subprocess.Popen(["sleep", "1000"]) as child:
        assert told(tmp_path, child.pid) == ""
        os.kill(child.pid, signal.SIGSTOP)
        until = time.monotonic() + PATIENCE
        while "state T" not in told(tmp_path, child.pid):
            assert time.monotonic() < until
        child.kill()
        while "state Z" not in (found := told(tmp_path, child.pid)):
            assert time.monotonic() < until
        assert str(child.pid) in found
    assert told(tmp_path, child.pid) == ""


@pytest.mark.parametrize(("threads", "word"), [("SSS", ""), ("SSD", "state D"), ("DSS", "state D"), ("ZSS", "state Z"), ("RZD", "state D")])
def test_one_thread_is_enough(tmp_path: Path, threads: str, word: str) -> None:
    """A name of any letters stands before the state."""
    for number, letter in enumerate(threads):
        thread = tmp_path / f"proc/77/task/{77 + number}"
        thread.mkdir(parents=True)
        (thread / "stat").write_text(f"77 (a) D (x) {letter} 1 77 0")
        (thread / "status").write_text("voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t0\n")
    (tmp_path / "phone.pid").write_text("77")
    found = emulator_state("phone", str(tmp_path), str(tmp_path / "proc"))
    assert (word in found) if word else found == ""


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1 2", "9" * 200])
def test_a_pid_file_of_anything_else_says_nothing(tmp_path: Path, text: str) -> None:
    """Nor does a name that is a path."""
    (tmp_path / "phone.pid").write_text(text)
    assert emulator_state("phone", str(tmp_path)) == ""
    assert [emulator_state(name, str(tmp_path)) for name in ("", "../phone", "none", "a\0b")] == [""] * 4


@pytest.mark.parametrize(("story", "hung"), [("hangs", True), ("works", False), ("in turn", False), ("ends", False)])
def test_one_that_works_hard_does_not_hang(tmp_path: Path, story: str, hung: bool) -> None:
    """In state D at every look, but scheduled in between; or another thread each time: that is a slow disk. It can be stopped as any other."""
    (tmp_path / "phone.pid").write_text("77")
    looks = 0

    def show(_: float = 0) -> None:
        nonlocal looks
        looks += 1
        for number in range(2):
            thread = tmp_path / f"proc/77/task/{77 + number}"
            thread.mkdir(parents=True, exist_ok=True)
            waits = (story != "in turn" or looks % 2 == number) and not (story == "ends" and looks > 3)
            (thread / "stat").write_text(f"77 (qemu) {'D' if waits else 'S'} 1")
            (thread / "status").write_text(f"voluntary_ctxt_switches:\t{looks if story == 'works' else 5}\nnonvoluntary_ctxt_switches:\t0\n")

    show()
    assert ("state D" in hangs("phone", str(tmp_path), str(tmp_path / "proc"), show)) is hung
