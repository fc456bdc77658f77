"""Reflinked clones: which blocks of an image are the golden image's own, and which are the phone's alone (docs/physics.md 1, last row).

A block that two files share must not be overwritten through either: the kernel would write elsewhere and leave the old bytes. Shared blocks that the
golden image has at the same offset hold the golden's content and nothing of the phone's: they are kept with it. Any other shared block holds the
phone's bytes in a place that another file has too: `extent-shared`. Only XFS says which single blocks are shared and overwrites the others in place.
"""

from __future__ import annotations

import fcntl
import os
import stat as st
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from wiped.errors import RefusedError, StorageError
from wiped.model.images import GOLDEN
from wiped.model.inventory import FileIdentity, LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.storage.classified import read_classified
from wiped.storage.extents import ExtentMap, physical_at, read_extents
from wiped.storage.kernel import identity_of, sync_filesystem
from wiped.storage.paths import open_straight, reopen

#: Golden images on one host are few; more are not looked for, and what is then not recognised is refused.
MAX_GOLDEN: Final = 4096
_DEPTH: Final = 16
#: _IOR('X', 58, struct xfs_fs_eofblocks), version 1, XFS_EOF_FLAGS_SYNC.
_XFS_IOC_FREE_EOFBLOCKS: Final = 0x8080583A
_EOFBLOCKS: Final = struct.Struct("=IIIIIIQ96x")


@dataclass(frozen=True, slots=True)
class Split:
    """A map taken apart. `foreign`: there are shared blocks that no golden image has at the same offset; `private` and `retained` then leave them out."""

    private: ExtentMap
    retained: ExtentMap | None = None
    golden: str = ""
    foreign: bool = False


class GoldenFiles:
    """The candidates for golden images: regular files under protected roots, in the directories of golden pools, or classified golden. Listed once, when
    first asked; make a new one for each survey or lock. Raises RefusedError (unreadable) when the classified ones cannot be read."""

    def __init__(self, rules: StorageRules, directories: LibvirtDirectories, golden_directories: Sequence[str] = ()) -> None:
        self._places = (*rules.protected, *golden_directories)
        self._classified = (directories.classified, directories.records_uid)

    @cached_property
    def files(self) -> dict[FileIdentity, str]:
        """Candidates by identity, at most MAX_GOLDEN."""
        found: dict[FileIdentity, str] = {}
        for identity, record in read_classified(*self._classified).items():
            if record.as_ == GOLDEN:
                found[identity] = record.path
        for path, identity in (each for place in self._places for each in _regular_files(place, _DEPTH)):
            if len(found) >= MAX_GOLDEN:
                break
            found.setdefault(identity, path)
        return found

    def on(self, device: int) -> Iterator[tuple[FileIdentity, str]]:
        """Those on one filesystem (`st_dev`)."""
        return ((identity, path) for identity, path in self.files.items() if identity.device == device)


def _regular_files(place: str, depth: int) -> Iterator[tuple[str, FileIdentity]]:
    try:
        found = os.lstat(place)
        if st.S_ISREG(found.st_mode):
            yield place, identity_of(found)
        if not st.S_ISDIR(found.st_mode) or depth == 0:
            return
        names = sorted(os.listdir(place))
    except (OSError, ValueError):
        return
    for name in names:
        yield from _regular_files(os.path.join(place, name), depth - 1)


def split(extents: ExtentMap, own: FileIdentity, goldens: GoldenFiles) -> Split:
    """Take the map of the file `own` apart. What no candidate has in the same place of the same device is foreign."""
    if not extents.shared_bytes:
        return Split(extents)
    private, rest, retained = ExtentMap(), ExtentMap(), ExtentMap()
    private.flag_counts = {name: number for name, number in extents.flag_counts.items() if name != "shared"}
    for logical, physical, length, shared in extents.by_sharing():
        (rest if shared else private).append(logical, physical, length)
    golden = ""
    candidates = [each for each in goldens.on(own.device) if each[0] != own]
    matched: list[ExtentMap] = []
    while rest.count:
        found = next((each for each in candidates if _has(each, rest.logical[0], rest.physical[0])), None)
        its = _map_of(found) if found is not None else None
        if found is None or its is None:
            break
        candidates.remove(found)
        golden = golden or found[1]
        same, rest = _compare(rest, its)
        matched.append(same)
    for logical, physical, length in sorted(each for part in matched for each in part.iter_ranges()):
        retained.append(logical, physical, length)
    retained.flag_counts = {"shared": retained.count} if retained.count else {}
    return Split(private, retained, golden, foreign=rest.count > 0)


def _open(candidate: tuple[FileIdentity, str]) -> int | None:
    """A golden image, read-only and only if it is still that file."""
    identity, path = candidate
    looked_at = -1
    try:
        looked_at = open_straight(path)
        return reopen(looked_at, os.O_RDONLY, path) if identity_of(os.fstat(looked_at)) == identity else None
    except (OSError, RefusedError, StorageError):
        return None
    finally:
        if looked_at >= 0:
            os.close(looked_at)


def _has(candidate: tuple[FileIdentity, str], logical: int, physical: int) -> bool:
    fd = _open(candidate)
    if fd is None:
        return False
    try:
        return physical_at(fd, logical) == physical
    except StorageError:
        return False
    finally:
        os.close(fd)


def _map_of(candidate: tuple[FileIdentity, str]) -> ExtentMap | None:
    fd = _open(candidate)
    if fd is None:
        return None
    try:
        return read_extents(fd)
    except StorageError:
        return None
    finally:
        os.close(fd)


def _compare(wanted: ExtentMap, golden: ExtentMap) -> tuple[ExtentMap, ExtentMap]:
    """(what `golden` has at the same offset in the same place, the rest of `wanted`)."""
    same, rest = ExtentMap(), ExtentMap()
    index = 0
    for logical, physical, length in wanted.iter_ranges():
        at, end = logical, logical + length
        while at < end:
            while index < golden.count and golden.logical[index] + golden.length[index] <= at:
                index += 1
            start = golden.logical[index] if index < golden.count else end
            if start > at:
                cut, equal = min(end, start), False
            else:
                cut = min(end, start + golden.length[index])
                equal = golden.physical[index] - start == physical - logical
            (same if equal else rest).append(at, physical + at - logical, cut - at)
            at = cut
    return same, rest


def settle(fd: int, *, thoroughly: bool = True) -> None:
    """Drop XFS's copy-on-write preallocation of a file. Around a shared block that was written, XFS keeps 128 KiB ready for the next ones, half an hour long,
    and whatever is written there goes to the new place too, private blocks included: the phone's bytes would stay behind.

    The kernel does it for clean files only (xfs_can_free_cowblocks), and a file counts as dirty until its filesystem's writeback has seen it: that is what
    `thoroughly` waits for (syncfs). Best effort: the maps before and after tell.
    """
    try:
        os.fsync(fd)
        if thoroughly:
            sync_filesystem(fd)
        fcntl.ioctl(fd, _XFS_IOC_FREE_EOFBLOCKS, _EOFBLOCKS.pack(1, 1, 0, 0, 0, 0, 0))
    except OSError:
        return
