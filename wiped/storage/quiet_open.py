"""Opening what is only looked at, so that nobody notices: no access time, no waiting for a lease, no device brought up."""

from __future__ import annotations

import os
import stat as st
import time

from wiped.errors import RefusedError
from wiped.model.plan import RefusalCode
from wiped.storage.kernel import translated
from wiped.storage.paths import reopen


def open_device(fd: int, path: str) -> int:
    """Open a block device that an O_PATH descriptor stands for, for reading."""
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise translated(error, path) from error


def open_quietly(fd: int, path: str) -> int:
    """Open the regular file or block device that an O_PATH descriptor stands for, for reading without touching the access time. An
    eraser's lease of an instant is waited out (100 ms at most).

    Raises RefusedError (not-regular, unreadable, in-use), StorageError.
    """
    if st.S_ISBLK(os.fstat(fd).st_mode):
        return open_device(fd, path)
    for attempt in range(5):
        try:
            try:
                return reopen(fd, os.O_RDONLY | os.O_NOATIME, path)
            except RefusedError as error:
                if error.codes[0] != RefusalCode.UNREADABLE:
                    raise
                return reopen(fd, os.O_RDONLY, path)  # O_NOATIME is the owner's right
        except RefusedError as error:
            if error.codes[0] != RefusalCode.IN_USE or attempt == 4:
                raise
            time.sleep(0.025)
    raise AssertionError("unreachable")


def has_protocol(name: str) -> bool:
    """Whether QEMU would read `name` as `protocol:...` and not as a path: a colon before any slash (path_has_protocol in block.c)."""
    colon = name.find(":")
    return colon >= 0 and "/" not in name[:colon]
