"""A phone that vanished: libvirt's files do not name it any more. The positive rule is then what was remembered of it while it was there, and no less.

The same for one that was undefined while its bytes went: its record was written under the locks, when libvirt's files still named each of them.

The daemon wrote the records; they are read here with the eraser's own eyes, and only ever narrow what may be erased: libvirt must know no domain of this
UUID, every file of the plan must stand in the phone's record with its very identity, on a local filesystem, and in no other phone's record. Every
negative rule of `claims.py` holds beside that.
"""

from __future__ import annotations

import os
import re
import stat as st
from dataclasses import dataclass
from typing import Any, Final

from wiped.erase.claims import Claims
from wiped.errors import RefusedError
from wiped.model.inventory import ArtefactKind, FileIdentity
from wiped.model.plan import RefusalCode
from wiped.model.sightings import NEVER_BY_MEMORY
from wiped.model.strict_json import read_json
from wiped.storage.kernel import identity_of, is_younger, written_ns
from wiped.wire.messages import Lock

_MAX_BYTES: Final = 16 << 20
_MAX_RECORDS: Final = 100_000
_NAME: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.json")


@dataclass(frozen=True, slots=True)
class Remembered:
    """One file in a phone's record."""

    kind: ArtefactKind
    path: str
    identity: FileIdentity
    local: bool
    written_ns: int = 0
    """When the record was written (`kernel.written_ns`)."""


def claim_remembered(claims: Claims, request: Lock) -> None:
    """Grant the remembered files of a vanished phone, if the plan passes over none of them that is still there. Raises RefusedError (drift, ambiguous-base,
    shared-by-domain, unknown-file, unreadable)."""
    if any(document.facts.uuid == claims.uuid for document in claims.shelf.documents.values()):
        raise RefusedError("libvirt knows a domain of this UUID: it is not gone", codes=[RefusalCode.DRIFT])
    records = read_records(claims.directories.remembered, claims.directories.records_uid)
    own = {(file.path, file.identity): file for file in records.pop(claims.uuid, ())}
    places = {file.path for files in records.values() for file in files}
    files = {file.identity for others in records.values() for file in others}
    for step in request.steps:
        known = own.get((step.location, step.identity))
        if known is None or not known.local or known.kind in NEVER_BY_MEMORY or step.kind in NEVER_BY_MEMORY:
            raise RefusedError(f"{step.location}: it is not remembered as this phone's", codes=[RefusalCode.AMBIGUOUS_BASE])
        if is_younger(step.location, known.written_ns):
            raise RefusedError(
                f"{step.location}: it was made after the phone was last seen, or its filesystem does not tell when", codes=[RefusalCode.AMBIGUOUS_BASE]
            )
        if step.identity in files or step.location in places:
            raise RefusedError(f"{step.location}: it is remembered as another phone's too", codes=[RefusalCode.SHARED_BY_DOMAIN])
        claims.remembered[step.location] = step.identity
    planned = {step.identity for step in request.steps} | set(request.retained)
    for known in own.values():
        if known.identity not in planned and known.local and known.kind not in NEVER_BY_MEMORY and _is_still_there(known):
            # The daemon died between the record and the ledger: what only the record knows would be left behind a certificate that says `clear`.
            raise RefusedError(f"{known.path}: it is remembered as this phone's, and the plan passes over it", codes=[RefusalCode.UNKNOWN_FILE])


def _is_still_there(known: Remembered) -> bool:
    """Whether the very file that was remembered stands at its place; also where that cannot be told."""
    try:
        found = identity_of(os.lstat(known.path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return found == known.identity and not is_younger(known.path, known.written_ns)


def claim_former_logs(claims: Claims, request: Lock) -> None:
    """Grant logs in libvirt's own directory that the phone is remembered to have had under a name that no domain has now (`virsh domrename`): the same file,
    on a local filesystem, older than the record, in nobody else's record. Raises RefusedError (unreadable)."""
    places = claims.directories.logs.rstrip("/")
    wanted = [
        step
        for step in request.steps
        if step.kind is ArtefactKind.CONSOLE_LOG and os.path.dirname(step.location) == places and not claims.grants(step.location, step.identity)
    ]
    if not wanted:
        return
    records = read_records(claims.directories.remembered, claims.directories.records_uid)
    own = {(file.path, file.identity): file for file in records.pop(claims.uuid, ())}
    others = {file.identity for files in records.values() for file in files}
    for step in wanted:
        known = own.get((step.location, step.identity))
        if known is None or known.kind is not ArtefactKind.CONSOLE_LOG or not known.local or step.identity in others:
            continue
        if not is_younger(step.location, known.written_ns):
            claims.remembered[step.location] = step.identity


def read_records(directory: str, writer: int = 0) -> dict[str, tuple[Remembered, ...]]:
    """All phones' records, by UUID; names that begin with a dot are being written. Raises RefusedError (unreadable): one that cannot be read may name
    any file as another phone's. `writer`: the daemon's uid; what others than root, we and it wrote is not read."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(directory, os.strerror(error.errno or 0)) from error
    try:
        _trusted(os.fstat(fd), directory, writer)
        names = [name for name in sorted(os.listdir(fd)) if not name.startswith(".")]
        if len(names) > _MAX_RECORDS:
            raise _unreadable(directory, f"more than {_MAX_RECORDS} records")
        found = {}
        for name in names:
            match = _NAME.fullmatch(name)
            if match is None:
                raise _unreadable(os.path.join(directory, name), "not the name of a record")
            record = _read(fd, name, os.path.join(directory, name), match.group(1), writer)
            if record is not None:
                found[match.group(1)] = record
        return found
    except OSError as error:
        raise _unreadable(directory, os.strerror(error.errno or 0)) from error
    finally:
        os.close(fd)


def _unreadable(path: str, why: str) -> RefusedError:
    return RefusedError(f"{path}: {why}; while it cannot be read, any file may be another phone's", codes=[RefusalCode.UNREADABLE])


def _trusted(found: os.stat_result, path: str, writer: int) -> None:
    if found.st_uid not in (0, os.geteuid(), writer) or found.st_mode & 0o022:
        raise _unreadable(path, "others than root and the daemon can write it")


def _read(dir_fd: int, name: str, path: str, uuid: str, writer: int) -> tuple[Remembered, ...] | None:
    """One record; None where it was removed meanwhile (that phone's generation ended)."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(fd)
        if not st.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
            raise _unreadable(path, "not a regular file of a record's size")
        _trusted(found, path, writer)
        data = bytearray()
        while len(data) <= _MAX_BYTES and (piece := os.read(fd, 1 << 20)):
            data += piece
    finally:
        os.close(fd)
    try:
        value = read_json(bytes(data))
        if value["uuid"] != uuid:
            raise ValueError("another phone's")
        written = written_ns(found.st_mtime_ns, value["at"])
        return tuple(_file(item, written) for item in value["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(path, "not a record of remembered files") from error


def _file(item: dict[str, Any], written: int) -> Remembered:
    path, device, inode, local = item["path"], item["device"], item["inode"], item["local"]
    if not (isinstance(path, str) and path.startswith("/") and isinstance(local, bool)):
        raise ValueError("fields of another form")
    if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in (device, inode)):
        raise ValueError("numbers of another form")
    return Remembered(ArtefactKind(item["kind"]), path, FileIdentity(device, inode), local, written)
