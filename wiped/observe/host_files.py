"""Small files and directories of the host, read without disturbing anybody: never through a link at the end, never waiting for a pipe, bounded."""

from __future__ import annotations

import errno
import os
import stat as st

from wiped.errors import InputError, RefusedError
from wiped.model.inventory import DomainFacts
from wiped.model.plan import RefusalCode
from wiped.storage.doubt import Doubt, has_too_many
from wiped.storage.filesystems import filesystem_facts
from wiped.storage.kernel import translated
from wiped.storage.paths import open_beneath
from wiped.virt.saved_state import DOUBTFUL_BYTES, HEADER_BYTES, doubtful_head, has_header, head_bytes, parse_saved_state

#: Larger files are no configuration and no definition.
MAX_BYTES = 16 << 20
_ABSENT = (errno.ENOENT, errno.ENOTDIR)


def read_small(path: str, limit: int = MAX_BYTES) -> bytes:
    """A whole regular file of at most `limit` bytes.

    Raises FileNotFoundError when there is none; RefusedError (unreadable, symlink, not-regular) and StorageError when it is there and cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY)
    except OSError as error:
        if error.errno in _ABSENT:
            raise FileNotFoundError(path) from error
        raise translated(error, path) from error
    try:
        if not st.S_ISREG(os.fstat(fd).st_mode):
            raise RefusedError(f"{path}: not a regular file", codes=[RefusalCode.NOT_REGULAR])
        data = bytearray()
        while len(data) <= limit and (piece := os.read(fd, 1 << 20)):
            data += piece
    except OSError as error:
        raise translated(error, path) from error
    finally:
        os.close(fd)
    if len(data) > limit:
        raise RefusedError(f"{path}: larger than {limit} bytes", codes=[RefusalCode.UNREADABLE])
    return bytes(data)


def list_names(directory: str) -> tuple[str, ...]:
    """The names in a directory, sorted; () when it cannot be listed (`why_unlisted` tells whether there is one)."""
    try:
        return tuple(sorted(os.listdir(directory)))
    except (OSError, ValueError):
        return ()


def why_unlisted(directory: str) -> str:
    """Why a directory that is there cannot be listed; "" when it can, or when there is none, which holds nothing."""
    try:
        os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return why_doubtful(directory)
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or "cannot be listed"
    return ""


def why_doubtful(path: str) -> str:
    """Why a path that seems not to be there may yet be: the nearest directory above is an automount that has not mounted. "" for truly absent.

    A filesystem that is plainly not mounted cannot be told from one that never was: what stands on it counts as absent.
    """
    above = path
    while above not in ("", "/"):
        above = os.path.dirname(above)
        try:
            fd = os.open(above, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _ABSENT:
                continue
            return os.strerror(error.errno or 0)
        try:
            return f"{above} is an automount, and nothing is mounted there" if filesystem_facts(fd).fs_type == "autofs" else ""
        finally:
            os.close(fd)
    return ""


def read_saved_domain(base: str, path: str) -> DomainFacts:
    """The domain in the head of a saved state beneath `base` (its disks count as `live`: it is what was running).

    Raises InputError when it is not a saved state that can be understood; OSError, RefusedError, StorageError when it cannot be read.
    """
    fd = open_beneath(base, path, os.O_RDONLY, cross_mounts=True)
    try:
        return saved_domain(fd)
    finally:
        os.close(fd)


def saved_or_doubt(base: str, path: str) -> DomainFacts | Doubt | None:
    """The same of whatever stands in libvirt's directory: a Doubt where the header promises a domain that cannot be understood (a newer form, damage); None
    without the header. Raises OSError, StorageError; RefusedError (unreadable), also for one that may name any file."""
    fd = open_beneath(base, path, os.O_RDONLY, cross_mounts=True)
    try:
        start = os.pread(fd, HEADER_BYTES, 0)
        if len(start) < HEADER_BYTES or not has_header(start):
            return None
        try:
            return saved_domain(fd)
        except InputError as error:
            why = f"a saved state that is not understood: {error}"
        head = doubtful_head(os.pread(fd, HEADER_BYTES + DOUBTFUL_BYTES, 0))
        if not head or has_too_many(head):
            raise RefusedError(f"{path}: {why}, and may name any file", codes=[RefusalCode.UNREADABLE])
        return Doubt(path, why, head)
    finally:
        os.close(fd)


def saved_domain(fd: int) -> DomainFacts:
    """The domain in the head of an open saved state. Raises InputError, OSError."""
    data = os.pread(fd, 1 << 16, 0)
    wanted = head_bytes(data) if len(data) >= HEADER_BYTES else 0
    while len(data) < wanted and (more := os.pread(fd, min(wanted - len(data), 1 << 20), len(data))):
        data += more
    if len(data) < wanted:
        raise InputError("is cut off within its XML", where="saved state")
    return parse_saved_state(data)
