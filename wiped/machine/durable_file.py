"""Small files that are there in full or not at all after a crash: written beside, synced, renamed, and the directory synced before a call returns.

Synchronous; foreign errors (OSError) leave as they are: each caller has its own word for them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def write_all(descriptor: int, content: bytes, *, offset: int | None = None) -> None:
    """Write all of `content`, at `offset` (bytes) or at the descriptor's position, in as many calls as the kernel needs."""
    view = memoryview(content)
    done = 0
    while view:
        written = os.write(descriptor, view) if offset is None else os.pwrite(descriptor, view, offset + done)
        done += written
        view = view[written:]


def sync_directory(path: str) -> None:
    """Sync the directory at `path`: the names in it, not the files' contents."""
    descriptor = os.open(path, _DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: str, mode: int) -> None:
    """Make the directory at `path` with `mode`, whatever the umask, and sync its parent. Leaves one that exists as it is."""
    if os.path.isdir(path):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, mode)
        os.chmod(path, mode)
    sync_directory(os.path.dirname(path))


def put(directory: str, name: str, content: bytes, mode: int, *, unless_same: bool = False) -> None:
    """Write or replace the file `name` in `directory` (no link at the end of either) with `mode`, whatever the umask.

    `unless_same`: a file that holds `content` already is left as it is. After a crash the file is the old one or the new one, never a part.
    """
    handle = os.open(directory, _DIRECTORY | os.O_NOFOLLOW)
    temporary = f".{name}.{os.getpid()}.{time.monotonic_ns()}"
    try:
        if unless_same and _read(handle, name, len(content) + 1) == content:
            return
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=handle)
        try:
            os.fchmod(file, mode)
            write_all(file, content)
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(temporary, name, src_dir_fd=handle, dst_dir_fd=handle)
        os.fsync(handle)
        with contextlib.suppress(OSError):  # tidying: the file is there and synced
            _sweep(handle, name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=handle)
        raise
    finally:
        os.close(handle)


def remove(directory: str, name: str) -> None:
    """Remove the file `name` from `directory`. No file, or no directory, is no error: a former call may have died before its sync."""
    try:
        handle = os.open(directory, _DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=handle)
        os.fsync(handle)
    finally:
        os.close(handle)


def overwrite(path: str, content: bytes, *, mode: int | None = None) -> None:
    """Write `content` over whatever a person named at `path` (a file, a pipe, a device), and sync it; `mode`: also set the file's mode.

    For what a command hands out. Not for the daemon's own files: a crash in between leaves a part.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666 if mode is None else mode)
    with os.fdopen(descriptor, "wb") as file:
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno != errno.EINVAL:  # a pipe or a terminal has nothing to sync
                raise


def _sweep(handle: int, name: str) -> None:
    """Remove what processes that died while they wrote `name` left beside it: `.NAME.PID.NUMBER` of a process that is no more."""
    for entry in os.listdir(handle):
        pid, _, number = entry.removeprefix(f".{name}.").partition(".")
        if entry.startswith(f".{name}.") and pid.isdecimal() and number.isdecimal() and not os.path.exists(f"/proc/{pid}"):
            os.unlink(entry, dir_fd=handle)


def _read(handle: int, name: str, limit: int) -> bytes | None:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
    except OSError:
        return None
    try:
        return os.read(file, limit)
    except OSError:
        return None
    finally:
        os.close(file)
