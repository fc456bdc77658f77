"""Opening files below a root without being led elsewhere: no symbolic link, no hard link, no mount point on the way, no side effect.

Every open goes through `openat2` (kernel 5.6), relative to a descriptor of the root. A file is first opened with O_PATH (which touches nothing,
not even a FIFO or a tape), looked at, and only then opened for real through `/proc/self/fd`, which is the very inode that was looked at.
O_NOFOLLOW is left out on purpose: with it the kernel would hand out the link itself (O_PATH) instead of refusing it as RESOLVE_NO_SYMLINKS does.
"""

from __future__ import annotations

import os
import stat as st
from types import TracebackType
from typing import Final, Self

from wiped.errors import RefusedError, StorageError
from wiped.model.inventory import FileIdentity
from wiped.model.plan import RefusalCode
from wiped.storage.kernel import (
    RESOLVE_BENEATH,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    identity_of,
    openat2,
    translated,
)
from wiped.storage.mounts import containing_root

__all__ = ["SafeFile", "containing_root", "open_beneath", "open_image", "open_root", "open_straight", "relative_to_root", "reopen"]

_STRAIGHT: Final = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
_BENEATH: Final = _STRAIGHT | RESOLVE_BENEATH


def open_root(path: str) -> int:
    """A descriptor (O_PATH) of a root directory, given as an absolute path without any symbolic link in it.

    Raises RefusedError (symlink, outside-roots), StorageError (vanished).
    """
    if not os.path.isabs(path):
        raise RefusedError(f"{path}: a root must be an absolute path", codes=[RefusalCode.OUTSIDE_ROOTS])
    try:
        return openat2(-100, path, os.O_PATH | os.O_DIRECTORY, _STRAIGHT)
    except OSError as error:
        raise translated(error, path) from error


def relative_to_root(root: str, path: str) -> str:
    """The part of `path` below `root`, by letters alone. RefusedError (outside-roots) if it is not below, or has `..` in it."""
    base = "/" + root.strip("/")
    prefix = base if base == "/" else base + "/"
    if not os.path.isabs(root) or not path.startswith(prefix) or ".." in path.split("/") or not path[len(prefix) :].strip("/."):
        raise RefusedError(f"{path}: not beneath the root {root}", codes=[RefusalCode.OUTSIDE_ROOTS])
    return path[len(prefix) :].lstrip("/")


def open_beneath(root: str, path: str, flags: int, *, cross_mounts: bool = False) -> int:
    """Open the file at absolute `path` beneath `root`; returns a descriptor (close-on-exec, non-blocking).

    Unless `flags` has O_PATH or O_DIRECTORY, only regular files are opened: a FIFO, socket or device is refused before it is touched. A mount
    point between root and file is refused (outside-roots) unless `cross_mounts`: a bind mount shows files of elsewhere.
    Raises RefusedError (symlink, outside-roots, not-regular, unreadable, in-use), StorageError (vanished, io-error).
    """
    if flags & (os.O_CREAT | os.O_TRUNC | os.O_EXCL):
        raise ValueError("this door neither creates nor truncates")
    relative = relative_to_root(root, path)
    resolve = _BENEATH | (0 if cross_mounts else RESOLVE_NO_XDEV)
    root_fd = open_root(root)
    try:
        return _open_from(root_fd, relative, path, flags & ~os.O_NOFOLLOW, resolve)
    finally:
        os.close(root_fd)


def _open_from(dir_fd: int, relative: str, path: str, flags: int, resolve: int) -> int:
    try:
        if flags & (os.O_PATH | os.O_DIRECTORY):
            return openat2(dir_fd, relative, flags | (0 if flags & os.O_PATH else os.O_NONBLOCK), resolve)
        looked_at = openat2(dir_fd, relative, os.O_PATH, resolve)
    except OSError as error:
        raise translated(error, path) from error
    try:
        return reopen(looked_at, flags, path)
    finally:
        os.close(looked_at)


def reopen(looked_at: int, flags: int, path: str) -> int:
    """Open for real the regular file that an O_PATH descriptor stands for. `path` is for messages only.

    Raises RefusedError (not-regular, unreadable, in-use), StorageError.
    """
    try:
        if not st.S_ISREG(os.fstat(looked_at).st_mode):
            raise RefusedError(f"{path}: not a regular file", codes=[RefusalCode.NOT_REGULAR])
        return os.open(f"/proc/self/fd/{looked_at}", flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise translated(error, path) from error


def open_straight(path: str) -> int:
    """An O_PATH descriptor of whatever stands at an absolute path, with no symbolic link on the way (for looking; it is below no root)."""
    try:
        return openat2(-100, path, os.O_PATH, _STRAIGHT)
    except OSError as error:
        raise translated(error, path) from error


class SafeFile:
    """An image opened safely: `fd`, `dir_fd` of its parent directory (both its own, closed at the end), `name` in that directory,
    `identity`, and `stat` of the moment of opening. A context manager; `close` is idempotent."""

    def __init__(self, fd: int, dir_fd: int, name: str, path: str) -> None:
        self.fd = fd
        self.dir_fd = dir_fd
        self.name = name
        self.path = path
        self.stat = os.fstat(fd)
        self.identity = identity_of(self.stat)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor, for callers that take file objects."""
        return self.fd

    def close(self) -> None:
        """Close both descriptors; locks on the file go with them."""
        for fd in (self.fd, self.dir_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self.dir_fd = -1

    def check(self, expected: FileIdentity | None = None) -> None:
        """Look again: still one name, still this inode under that name, still a regular file.

        Raises RefusedError (hard-link, identity-changed), StorageError (vanished).
        """
        try:
            now = os.fstat(self.fd)
            named = os.stat(self.name, dir_fd=self.dir_fd, follow_symlinks=False)
        except OSError as error:
            raise translated(error, self.path) from error
        if identity_of(named) != identity_of(now) or (expected is not None and identity_of(now) != expected):
            raise RefusedError(f"{self.path}: another file stands there now", codes=[RefusalCode.IDENTITY_CHANGED])
        if now.st_nlink != 1:
            raise RefusedError(f"{self.path}: it has {now.st_nlink} names (hard links)", codes=[RefusalCode.HARD_LINK])


def open_image(root: str, path: str, *, write: bool, expected: FileIdentity | None, cross_mounts: bool = False) -> SafeFile:
    """Open the image at `path` beneath `root`, as a regular file with one name and, where given, the `expected` identity (I5).

    `write` opens O_RDWR, else O_RDONLY; neither creates, truncates or writes. Nothing is opened for writing before every check has passed.
    Raises RefusedError (symlink, hard-link, not-regular, outside-roots, identity-changed, unreadable, in-use), StorageError (vanished, io-error).
    """
    parent, name = os.path.split(path)
    relative_to_root(root, path)
    inside = parent.rstrip("/") != "/" + root.strip("/")
    resolve = _BENEATH | (0 if cross_mounts else RESOLVE_NO_XDEV)
    dir_fd = fd = looked_at = -1
    try:
        root_fd = open_root(root)
        try:
            relative = relative_to_root(root, parent) if inside else "."
            dir_fd = _open_from(root_fd, relative, path, os.O_RDONLY | os.O_DIRECTORY, resolve)
        finally:
            os.close(root_fd)
        looked_at = _open_from(dir_fd, name, path, os.O_PATH, resolve)
        stat = os.fstat(looked_at)
        if not st.S_ISREG(stat.st_mode):
            raise RefusedError(f"{path}: not a regular file", codes=[RefusalCode.NOT_REGULAR])
        if expected is not None and identity_of(stat) != expected:
            raise RefusedError(f"{path}: another file stands there now", codes=[RefusalCode.IDENTITY_CHANGED])
        if stat.st_nlink != 1:
            raise RefusedError(f"{path}: it has {stat.st_nlink} names (hard links)", codes=[RefusalCode.HARD_LINK])
        fd = reopen(looked_at, os.O_RDWR if write else os.O_RDONLY, path)
        found = SafeFile(fd, dir_fd, name, path)
        found.check(identity_of(stat))
    except (RefusedError, StorageError):
        _close(fd, dir_fd)
        raise
    except OSError as error:
        _close(fd, dir_fd)
        raise translated(error, path) from error
    finally:
        _close(looked_at)
    return found


def _close(*fds: int) -> None:
    for fd in fds:
        if fd >= 0:
            os.close(fd)
