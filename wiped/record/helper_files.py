"""Small files of the daemon's that both helpers read for themselves: what people classified, and what phones were last seen to have (port Sheets).

One JSON document a file, 0600 in a directory 0700, whole or absent: written beside under a dot name (which readers ignore), synced, renamed, the
directory synced. The ledger says the same; where a file is missing or differs, it is written again from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from wiped.errors import InputError, StorageError
from wiped.model.instants import instant_text
from wiped.model.inventory import LibvirtDirectories
from wiped.model.sightings import ClassifiedImage, Memory, RememberedFile

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SUFFIX = ".json"


def classified_document(image: ClassifiedImage) -> dict[str, Any]:
    """The form that `storage.classified` reads."""
    return {
        "path": image.path,
        "device": image.identity.device,
        "inode": image.identity.inode,
        "as": image.meaning,
        "at": instant_text(image.at),
    }


def remembered_document(memory: Memory, files: Sequence[RememberedFile]) -> dict[str, Any]:
    """The form that `erase.remembered` reads."""
    return {
        "uuid": memory.uuid,
        "generation": memory.generation,
        "at": instant_text(memory.at),
        "files": [
            {"kind": str(file.kind), "path": file.location, "device": file.identity.device, "inode": file.identity.inode, "local": file.local} for file in files
        ],
    }


class SheetFiles:
    """Port Sheets over the two directories. Raises StorageError for I/O."""

    def __init__(self, directories: LibvirtDirectories | None = None) -> None:
        places = directories or LibvirtDirectories()
        self._classified = places.classified
        self._remembered = places.remembered

    async def classify(self, image: ClassifiedImage) -> None:
        """See the port."""
        name = hashlib.sha256(os.fsencode(image.path)).hexdigest() + _SUFFIX
        await asyncio.to_thread(_translated, lambda: _put(self._classified, name, classified_document(image)))

    async def remember(self, memory: Memory, files: Sequence[RememberedFile]) -> None:
        """See the port."""
        name = _checked(memory.uuid) + _SUFFIX
        await asyncio.to_thread(_translated, lambda: _put(self._remembered, name, remembered_document(memory, files)))

    async def forget(self, uuid: str) -> None:
        """See the port."""
        name = _checked(uuid) + _SUFFIX
        await asyncio.to_thread(_translated, lambda: _drop(self._remembered, name))


def _checked(uuid: str) -> str:
    """The UUID, which becomes a file name: nothing else may."""
    if not _UUID.fullmatch(uuid):
        raise InputError("is not a domain's UUID in lower case", where="remembered files")
    return uuid


def _translated(work: Callable[[], None]) -> None:
    try:
        work()
    except OSError as error:
        raise StorageError(f"a record file beside the ledger cannot be written: {error.strerror}") from error


def _open_directory(path: str) -> int:
    if not os.path.isdir(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _put(directory: str, name: str, document: dict[str, Any]) -> None:
    """Write or replace one record. One that says the same already is left as it is."""
    content = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    handle = _open_directory(directory)
    temporary = f".{name}.{os.getpid()}.{time.monotonic_ns()}"
    try:
        if _read(handle, name, len(content) + 1) == content:
            return
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=handle)
        try:
            os.fchmod(file, 0o600)
            view = memoryview(content)
            while view:
                view = view[os.write(file, view) :]
            os.fsync(file)
        finally:
            os.close(file)
        os.rename(temporary, name, src_dir_fd=handle, dst_dir_fd=handle)
        os.fsync(handle)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=handle)
        raise
    finally:
        os.close(handle)


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


def _drop(directory: str, name: str) -> None:
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=handle)
        os.fsync(handle)  # also when it was gone: a former call may have died before its sync
    finally:
        os.close(handle)
