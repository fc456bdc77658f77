"""The two locks of docs/design.md, step 3: QEMU's own, which keeps a phone from starting, and a write lease, which proves that nobody else has the file open.

Both belong to the open file description and die with it. Both need a descriptor that may write (docs/physics.md 4).
"""

from __future__ import annotations

import errno
import fcntl
import signal
import struct
from typing import Final

from wiped.errors import RefusedError, StorageError
from wiped.model.outcome import ReasonCode
from wiped.model.plan import RefusalCode
from wiped.storage.kernel import translated

#: QEMU locks byte 100+n for each permission it uses and 200+n for each it does not share; n is 0 to 4 (block/file-posix.c).
QEMU_RANGES: Final = ((100, 5), (200, 5))
_F_SETSIG: Final = 10
_FLOCK: Final = "hhqqi4x"


def _flock(kind: int, start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, kind, 0, start, length, 0)


def lock_image(fd: int) -> None:
    """Take QEMU's locks on an image, all or none; held until the descriptor is closed. Idempotent on one descriptor.

    Raises RefusedError (in-use) when another open description (a QEMU) holds one; StorageError when the filesystem has no such locks.
    """
    for start, length in QEMU_RANGES:
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, start, length))
        except OSError as error:
            unlock_image(fd)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise RefusedError("a QEMU process holds the lock of the image", codes=[RefusalCode.IN_USE]) from error
            if error.errno == errno.EBADF:
                raise StorageError("the image is not open for writing", reason=ReasonCode.IO_ERROR) from error
            raise translated(error, "the lock of an image") from error


def unlock_image(fd: int) -> None:
    """Give QEMU's locks back. Idempotent."""
    for start, length in QEMU_RANGES:
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, start, length))
        except OSError as error:
            raise translated(error, "the lock of an image") from error


def is_locked(fd: int) -> bool:
    """Whether another open description holds one of QEMU's locks; needs no right to write and takes nothing. False where there are no such locks."""
    for start, length in QEMU_RANGES:
        try:
            answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, start, length))
        except OSError:
            return False
        if struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK:
            return True
    return False


def take_and_drop_write_lease(fd: int) -> None:
    """Prove that this descriptor is the only opening of the file on this host: no reader, no mapping, no loop device, no NBD server (docs/physics.md 4).

    The kernel grants F_WRLCK only then. `fd` must be the one and only descriptor that this process, too, has of the file (O_PATH ones do not count).
    Needs the file's owner or CAP_LEASE. A process that opens the file in the very moment waits, and we are told by SIGURG, which is ignored by default.
    Raises RefusedError (in-use), also where the filesystem has no leases: then it cannot be proven.
    """
    try:
        fcntl.fcntl(fd, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EBUSY):
            detail = "somebody else has the file open (a process, a mapping, a loop device or an NBD server)"
        elif error.errno in (errno.EACCES, errno.EPERM):
            detail = "no right to take a lease (CAP_LEASE), so that nobody has it open cannot be proven"
        else:
            detail = "the filesystem knows no leases, so that nobody has it open cannot be proven"
        raise RefusedError(f"in use: {detail}", codes=[RefusalCode.IN_USE]) from error
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        raise translated(error, "the lease on an image") from error
