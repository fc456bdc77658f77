"""Real erasers and observers, forked for each connection, in which the n-th call of one of the kernel's doors fails.

argv[1] is JSON: {"rules": {...}, "directories": {...}, "eraser": socket path, "observer": socket path, "fault": path of a file}. The fault file is JSON
{"role": "eraser", "call": "fsync", "at": 3, "for_ever": false} or empty; after a connection whose fault came, FILE.fired stands beside it.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wiped.erase import eraser, remove
from wiped.model.inventory import LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.observe import observer
from wiped.storage import kernel

#: Where each call lives; the eraser's and the observer's are the same but for what changes something.
DOORS: dict[str, tuple[Any, str]] = {
    "open": (os, "open"),
    "openat2": (kernel, "openat2"),
    "pwrite": (os, "pwrite"),
    "preadv": (os, "preadv"),
    "pread": (os, "pread"),
    "fsync": (os, "fsync"),
    "ftruncate": (os, "ftruncate"),
    "unlink": (os, "unlink"),
    "mkdir": (os, "mkdir"),
    "rmdir": (os, "rmdir"),
    "stat": (os, "stat"),
    "fstat": (os, "fstat"),
    "ioctl": (fcntl, "ioctl"),
    "fcntl": (fcntl, "fcntl"),
    "rename": (remove, "_move"),
}


def break_door(call: str, at: int, *, for_ever: bool, fired: Path) -> None:
    """From here on the `at`-th call (0 is the first) fails with EIO, and says so in a file."""
    module, name = DOORS[call]
    real: Callable[..., Any] = getattr(module, name)
    numbers = itertools.count()
    say, close = os.open, os.close  # as they are now: one of them may be the door

    def broken(*words: Any, **named: Any) -> Any:
        number = next(numbers)
        if number == at or (for_ever and number > at):
            close(say(fired, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*words, **named)

    setattr(module, name, broken)


def child(role: str, line: socket.socket, settings: dict[str, Any]) -> int:
    """One helper."""
    rules = StorageRules(**{key: tuple(value) if isinstance(value, list) else value for key, value in settings["rules"].items()})
    directories = LibvirtDirectories(**settings["directories"])
    text = Path(settings["fault"]).read_text()
    fault = json.loads(text) if text else {}
    if fault and fault["role"] == role:
        break_door(fault["call"], fault["at"], for_ever=fault["for_ever"], fired=Path(settings["fault"] + ".fired"))
    if role == "eraser":
        return eraser.serve(line, rules, directories)
    observer.serve(line, rules, directories)
    return 0


def main() -> None:
    """Fork for each connection until killed."""
    settings = json.loads(sys.argv[1])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    doors = {}
    for role in ("eraser", "observer"):
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(settings[role])
        listening.listen(64)
        doors[listening.fileno()] = (role, listening)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select(list(doors), [], [])
        for number in ready:
            role, listening = doors[number]
            line, _ = listening.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for _, other in doors.values():
                    other.close()
                status = 1
                try:
                    status = child(role, line, settings)
                finally:
                    os._exit(status)
            line.close()


if __name__ == "__main__":
    main()
