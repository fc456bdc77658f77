"""Small files of the daemon that both helpers read for themselves: what people classified, and what phones were last seen to have (port Sheets).

One JSON document a file, 0600 in a directory 0700, whole or absent: written beside under a dot name (which readers ignore), synced, renamed, the
directory synced. The ledger says the same. A missing file of a classified image is written again from the ledger (`conduct.sweep.orphans.heal`). What a phone
was last seen to have is written only after a fresh look at the phone (`conduct.sweep.sightings`), so the file of a vanished phone is never written again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from wiped.errors import InputError, StorageError
from wiped.machine import durable_file
from wiped.model.images import ClassifiedImage
from wiped.model.instants import instant_text
from wiped.model.inventory import LibvirtDirectories
from wiped.model.sightings import Memory, RememberedFile

T = TypeVar("T")
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
        await asyncio.to_thread(_translated, lambda: durable_file.remove(self._remembered, name))

    async def count(self) -> int:
        """See the port. Names alone: what no helper can read is a record of somebody's past, too."""
        return await asyncio.to_thread(_translated, lambda: sum(_records(directory) for directory in (self._classified, self._remembered)))


def _checked(uuid: str) -> str:
    """The UUID, which becomes a file name: nothing else may."""
    if not _UUID.fullmatch(uuid):
        raise InputError("is not a domain's UUID in lower case", where="remembered files")
    return uuid


def _translated(work: Callable[[], T]) -> T:
    try:
        return work()
    except OSError as error:
        where = f" ({error.filename})" if isinstance(error.filename, str) else ""
        hint = "free space, or repair the filesystem of classified/ and remembered/ (docs/backup.md); without these records nothing may be wiped"
        raise StorageError(f"a record file beside the ledger cannot be read or written{where}: {error.strerror}", hint=hint) from error


def _records(directory: str) -> int:
    try:
        return sum(not name.startswith(".") for name in os.listdir(directory))
    except FileNotFoundError:
        return 0


def _put(directory: str, name: str, document: dict[str, Any]) -> None:
    """Write or replace one record. One that says the same already is left as it is."""
    content = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    durable_file.make_directory(directory, 0o700)
    durable_file.put(directory, name, content, 0o600, unless_same=True)
