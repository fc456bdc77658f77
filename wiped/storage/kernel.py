"""The kernel's own words: system calls, ioctls and flags that Python has no binding for, and the translation of its errors.

Sources: linux/openat2.h, linux/fiemap.h, linux/fs.h, linux/magic.h of the kernel's user-space headers.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat as st
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from wiped.errors import RefusedError, StorageError
from wiped.model.inventory import FileIdentity
from wiped.model.outcome import ReasonCode
from wiped.model.plan import RefusalCode

#: The same number on every architecture since the tables were unified (alpha aside).
SYS_OPENAT2: Final = 437

RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08

#: `_IOWR('f', 11, struct fiemap)`, `_IOR('f', 1, long)`.
FS_IOC_FIEMAP: Final = 0xC020660B
FS_IOC_GETFLAGS: Final = 0x80086601

FS_JOURNAL_DATA_FL: Final = 0x00004000
FS_NOCOW_FL: Final = 0x00800000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(dir_fd: int, path: str, flags: int, resolve: int) -> int:
    """`openat2(2)` with O_CLOEXEC. Raises OSError as the kernel says; a path with a NUL is EINVAL."""
    if "\0" in path:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    how = _OpenHow(flags=flags | os.O_CLOEXEC, mode=0, resolve=resolve)
    for _ in range(64):  # EAGAIN: a rename elsewhere raced with a "..", the kernel asks to try again
        fd = int(_libc.syscall(SYS_OPENAT2, dir_fd, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)))
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number), path)


def sync_filesystem(fd: int) -> None:
    """`syncfs(2)`: the whole filesystem of an open file or directory. Raises OSError."""
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def punch_hole(fd: int, offset: int, length: int) -> None:
    """`fallocate(2)` with PUNCH_HOLE and KEEP_SIZE. Proves nothing of the blocks that are given back. Raises OSError."""
    if _libc.fallocate(fd, 0x3, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def memory_differs(left: int, right: int, length: int) -> bool:
    """Whether `length` bytes at two addresses differ (memcmp; the GIL is released meanwhile)."""
    return bool(_libc.memcmp(ctypes.c_void_p(left), ctypes.c_void_p(right), ctypes.c_size_t(length)))


@dataclass(frozen=True, slots=True)
class Statx:
    """Of statx(2): `mask` says which of the rest the kernel filled; `attributes`: STATX_ATTR_* bits; `direct_offset`: the alignment of direct I/O, 0 where
    the file has none (STATX_DIOALIGN, Linux 6.1)."""

    mask: int
    attributes: int
    direct_offset: int


def statx(fd: int) -> Statx | None:
    """`statx(2)` of an open file, also by an O_PATH descriptor; None where the kernel does not answer."""
    answer = ctypes.create_string_buffer(256)
    if _libc.statx(fd, b"", 0x1000, 0x27FF, answer) != 0:  # AT_EMPTY_PATH; STATX_BASIC_STATS and STATX_DIOALIGN
        return None

    def number(at: int, size: int) -> int:
        return int.from_bytes(answer.raw[at : at + size], sys.byteorder)

    return Statx(number(0, 4), number(8, 8), number(0x9C, 4))


def rdev_without_sync(path: str) -> int:
    """The device number of the block device that `path` leads to (links followed), 0 for anything else and for what cannot be asked. Never waits for a
    server of a network or FUSE filesystem (AT_STATX_DONT_SYNC)."""
    answer = ctypes.create_string_buffer(256)
    if _libc.statx(-100, os.fsencode(path), 0x4000, 0x1, answer) != 0:
        return 0
    mode = int.from_bytes(answer.raw[28:30], sys.byteorder)
    major, minor = (int.from_bytes(answer.raw[at : at + 4], sys.byteorder) for at in (128, 132))
    return os.makedev(major, minor) if st.S_ISBLK(mode) else 0


def born_ns(path: str) -> int | None:
    """When the file at `path` (no link is followed) was made, by its filesystem, in ns since 1970 UTC; None where there is none, or nobody knows."""
    answer = ctypes.create_string_buffer(256)
    if _libc.statx(-100, os.fsencode(path), 0x100, 0x800, answer) != 0:  # AT_SYMLINK_NOFOLLOW, STATX_BTIME
        return None
    if not int.from_bytes(answer.raw[0:4], sys.byteorder) & 0x800:
        return None
    seconds = int.from_bytes(answer.raw[80:88], sys.byteorder, signed=True)
    return seconds * 1_000_000_000 + int.from_bytes(answer.raw[88:92], sys.byteorder)


def is_younger(path: str, than_ns: int) -> bool:
    """Whether the file at `path` was made after that moment: an inode number and a path are given again, what was noted of them is then of another file.

    Also where its filesystem does not tell when (ext4 with inodes of 128 bytes, many network ones): then nobody knows that it is the same file. Not where
    nothing is there."""
    born = born_ns(path)
    if born is None:
        try:
            os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            pass
        return True
    return born > than_ns


def written_ns(modified_ns: int, at: object) -> int:
    """When a record was written, ns since 1970 UTC: by its filesystem or by its own word `at` (RFC 3339), whichever is earlier. A copy that was put back
    without its times, or a record that was written again from the ledger, is no younger than what it says. Raises ValueError, TypeError."""
    if not isinstance(at, str):
        raise TypeError("an instant of another form")
    instant = datetime.fromisoformat(at)
    if instant.tzinfo is None:
        raise ValueError("an instant without a time zone")
    return min(modified_ns, int((instant - _EPOCH) / timedelta(microseconds=1)) * 1000)


def identity_of(stat: os.stat_result) -> FileIdentity:
    """The identity in a stat result: `st_dev` and `st_ino`; of a block device `st_rdev` and 0, by whatever node it is seen."""
    if st.S_ISBLK(stat.st_mode):
        return FileIdentity(device=stat.st_rdev, inode=0)
    return FileIdentity(device=stat.st_dev, inode=stat.st_ino)


_REFUSALS: Final[dict[int, tuple[RefusalCode, str]]] = {
    errno.ELOOP: (RefusalCode.SYMLINK, "a component of the path is a symbolic link"),
    errno.EXDEV: (RefusalCode.OUTSIDE_ROOTS, "the path leaves its root, or crosses a mount point beneath it (list that mount as a root of its own)"),
    errno.EACCES: (RefusalCode.UNREADABLE, "permission denied"),
    errno.EPERM: (RefusalCode.UNREADABLE, "operation not permitted"),
    errno.EROFS: (RefusalCode.UNREADABLE, "the filesystem is read-only"),
    errno.ETXTBSY: (RefusalCode.IN_USE, "the file is being executed or is a swap file"),
    errno.EAGAIN: (RefusalCode.IN_USE, "somebody holds a lease on the file"),
    errno.EISDIR: (RefusalCode.NOT_REGULAR, "it is a directory"),
    errno.ENXIO: (RefusalCode.NOT_REGULAR, "it is a pipe, a socket or a device"),
    errno.EINVAL: (RefusalCode.OUTSIDE_ROOTS, "the path is not one that the kernel accepts"),
    errno.ENAMETOOLONG: (RefusalCode.OUTSIDE_ROOTS, "the path is too long"),
}


def translated(error: OSError, what: str) -> RefusedError | StorageError:
    """The error of ours for a failed system call on `what` (a path or a word for the file)."""
    number = error.errno or 0
    if number in (errno.ENOENT, errno.ENOTDIR):
        return StorageError(f"{what}: no such file", reason=ReasonCode.VANISHED)
    if number in (errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS):
        return StorageError(f"{what}: not supported by the filesystem or the kernel", reason=ReasonCode.OPAQUE_STORAGE)
    if number in _REFUSALS:
        code, words = _REFUSALS[number]
        return RefusedError(f"{what}: {words}", codes=[code])
    return StorageError(f"{what}: {os.strerror(number) if number else 'unknown failure'}", reason=ReasonCode.IO_ERROR)
