"""What people settled with `wipectl images classify`: records of the daemon's, one file for each image, which both helpers read for themselves.

A record counts only for the very file at the very path, and *private* not for a file that was made after the record was written. One that cannot be
read or understood makes the whole directory unreadable: it may be the one that says *golden*.
"""

from __future__ import annotations

import hashlib
import os
import stat as st
from dataclasses import dataclass, field
from typing import Any, Final

from wiped.errors import RefusedError
from wiped.model.images import GOLDEN, PRIVATE
from wiped.model.inventory import FileIdentity
from wiped.model.plan import RefusalCode
from wiped.model.strict_json import read_json
from wiped.storage.kernel import is_younger, written_ns

_MAX_BYTES: Final = 64 << 10
_MAX_RECORDS: Final = 65_536
_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True)
class Classified:
    """One record. `as_`: `golden` or `private`; `at`: RFC 3339 UTC; `written_ns`: when the record was written (`kernel.written_ns`)."""

    path: str
    identity: FileIdentity
    as_: str
    at: str
    written_ns: int = field(default=0, compare=False)


def record_name(path: str) -> str:
    """The name of the record of the image at `path`."""
    return hashlib.sha256(os.fsencode(path)).hexdigest() + _SUFFIX


def read_classified(directory: str, writer: int = 0) -> dict[FileIdentity, Classified]:
    """All records, by the identity of their file. Names that begin with a dot are being written and do not count; no directory is no record.
    `writer`: the daemon's uid, as root's configuration or the line's peer gives it.

    Raises RefusedError (unreadable) for a directory or record that cannot be read, that is no record, or that others than root, we or `writer` can write.
    """
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(directory, getattr(error, "strerror", None) or "not a path") from error
    try:
        _trusted(os.fstat(fd), directory, writer)
        names = [name for name in sorted(os.listdir(fd)) if not name.startswith(".")]
        if len(names) > _MAX_RECORDS:
            raise _unreadable(directory, f"more than {_MAX_RECORDS} records")
        found: dict[FileIdentity, Classified] = {}
        for name in names:
            record = _read(fd, name, os.path.join(directory, name), writer)
            if record.as_ == PRIVATE and is_younger(record.path, record.written_ns):
                continue  # the inode was given again: nobody settled what this file is
            earlier = found.get(record.identity)
            if earlier is None or earlier.as_ != GOLDEN:  # two paths of one file: golden protects more
                found[record.identity] = record
        return found
    except OSError as error:
        raise _unreadable(directory, os.strerror(error.errno or 0)) from error
    finally:
        os.close(fd)


def classified_as(records: dict[FileIdentity, Classified], location: str, identity: FileIdentity | None) -> str:
    """`golden`, `private` or "" for the file `identity` at `location`. Golden holds under any name (it protects); private for path and identity together."""
    record = records.get(identity) if identity is not None else None
    if record is None or (record.as_ != GOLDEN and record.path != os.path.normpath(location)):
        return ""
    return record.as_


def _unreadable(path: str, why: str) -> RefusedError:
    return RefusedError(f"{path}: {why}; while it cannot be read, any image may be classified golden", codes=[RefusalCode.UNREADABLE])


def _trusted(found: os.stat_result, path: str, writer: int) -> None:
    if found.st_uid not in (0, os.geteuid(), writer) or found.st_mode & 0o022:
        raise _unreadable(path, "others than root and the daemon can write it")


def _read(dir_fd: int, name: str, path: str, writer: int) -> Classified:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError as error:
        raise _unreadable(path, os.strerror(error.errno or 0)) from error
    try:
        found = os.fstat(fd)
        if not st.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
            raise _unreadable(path, "not a small regular file")
        _trusted(found, path, writer)
        data = os.read(fd, _MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, os.strerror(error.errno or 0)) from error
    finally:
        os.close(fd)
    try:
        record = _record(read_json(data), found.st_mtime_ns)
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, "not a record of a classified image") from error
    if name != record_name(record.path):
        raise _unreadable(path, "its name is not that of its image")
    return record


def _record(value: Any, modified_ns: int) -> Classified:
    path, device, inode, as_, at = (value[key] for key in ("path", "device", "inode", "as", "at"))
    if not (isinstance(path, str) and path.startswith("/") and isinstance(at, str) and as_ in (GOLDEN, PRIVATE)):
        raise ValueError("fields of another form")
    if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in (device, inode)):
        raise ValueError("numbers of another form")
    return Classified(path, FileIdentity(device, inode), as_, at, written_ns(modified_ns, at))
