"""Who has which blocks of a filesystem (FS_IOC_GETFSMAP: ext4 and XFS): what is free, and what became of ranges that a file once had.

Source: linux/fsmap.h, ioctl_getfsmap(2).
"""

from __future__ import annotations

import fcntl
import os
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from wiped.storage.extents import ExtentMap
from wiped.storage.kernel import translated

_FS_IOC_GETFSMAP: Final = 0xC0C0583B
_HEAD: Final = struct.Struct("=IIII48x")
_RECORD: Final = struct.Struct("=IIQQQQ24x")
_BATCH: Final = 1024
_SPECIAL: Final = 0x10
_LAST: Final = 0x20
_FREE: Final = 1


@dataclass(frozen=True, slots=True)
class Owned:
    """One stretch of the device, in bytes. `owner`: an inode number, or 0 for metadata, unknown and free (`free`)."""

    physical: int
    length: int
    owner: int
    free: bool


def read_fsmap(fd: int) -> Iterator[Owned]:
    """The whole map of the filesystem of an open file or directory, ascending, its own device alone. Needs CAP_SYS_ADMIN for owners.

    Raises StorageError (opaque-storage where the filesystem has none), RefusedError (unreadable).
    """
    number = os.fstat(fd).st_dev
    low = _RECORD.pack(0, 0, 0, 0, 0, 0)
    high = _RECORD.pack(0xFFFFFFFF, 0xFFFFFFFF, 2**64 - 1, 2**64 - 1, 2**64 - 1, 0)
    while True:
        buffer = bytearray(_HEAD.pack(0, 0, _BATCH, 0) + low + high + bytes(_BATCH * _RECORD.size))
        try:
            fcntl.ioctl(fd, _FS_IOC_GETFSMAP, buffer, True)
        except OSError as error:
            raise translated(error, "the map of a filesystem") from error
        entries = _HEAD.unpack_from(buffer)[3]
        if entries == 0:
            return
        flags, at = 0, 0
        for index in range(entries):
            at = _HEAD.size + (2 + index) * _RECORD.size
            device, flags, physical, owner, _, length = _RECORD.unpack_from(buffer, at)
            special = bool(flags & _SPECIAL)
            if _device(device) == number:
                yield Owned(physical, length, 0 if special else owner, special and owner == _FREE)
        if flags & _LAST:
            return
        low = bytes(buffer[at : at + _RECORD.size])


def _device(encoded: int) -> int:
    """The kernel's new_encode_dev(), as stat has it."""
    return os.makedev((encoded & 0xFFF00) >> 8, (encoded & 0xFF) | ((encoded >> 12) & 0xFFF00))


class FreeSpace:
    """Stretches of a device, in bytes, ascending and apart from each other."""

    __slots__ = ("bytes", "length", "start")

    def __init__(self, stretches: Iterable[tuple[int, int]] = ()) -> None:
        self.start: array[int] = array("Q")
        self.length: array[int] = array("Q")
        for start, length in stretches:
            if self.start and self.start[-1] + self.length[-1] == start:
                self.length[-1] += length
            else:
                self.start.append(start)
                self.length.append(length)
        self.bytes = sum(self.length)

    def common(self, other: FreeSpace) -> FreeSpace:
        """What stands in both."""
        outside = ExtentMap()
        for start, length in self._apart_from(other):
            outside.append(start, start, length)
        return self.without(outside)

    def _apart_from(self, other: FreeSpace) -> Iterator[tuple[int, int]]:
        holes = list(zip(other.start, other.length, strict=True))
        starts = list(other.start)
        for start, length in zip(self.start, self.length, strict=True):
            yield from _cut(start, start + length, holes, starts)

    def without(self, taken: ExtentMap) -> FreeSpace:
        """What is left when the physical ranges of a map are taken out."""
        holes: list[tuple[int, int]] = []
        for physical, length in sorted((physical, length) for _, physical, length in taken.iter_ranges()):
            if holes and physical < holes[-1][0] + holes[-1][1]:
                holes[-1] = holes[-1][0], max(holes[-1][1], physical + length - holes[-1][0])
            else:
                holes.append((physical, length))
        starts = [start for start, _ in holes]
        return FreeSpace(piece for start, length in zip(self.start, self.length, strict=True) for piece in _cut(start, start + length, holes, starts))


def _cut(start: int, end: int, holes: list[tuple[int, int]], starts: list[int]) -> Iterator[tuple[int, int]]:
    index = max(0, bisect_right(starts, start) - 1)
    at = start
    while index < len(holes) and at < end:
        hole, length = holes[index]
        if hole >= end:
            break
        if hole + length > at:
            if hole > at:
                yield at, hole - at
            at = hole + length
        index += 1
    if at < end:
        yield at, end - at


def free_space(fd: int) -> FreeSpace:
    """What is free now on the filesystem of an open file or directory. Raises as `read_fsmap`."""
    return FreeSpace((each.physical, each.length) for each in read_fsmap(fd) if each.free)


@dataclass(frozen=True, slots=True)
class Traced:
    """What became of ranges that a file once had and lost, in bytes: `free` again, `taken` by other files (`owners`: inodes, at most 100) or metadata."""

    free: int
    taken: int
    owners: tuple[int, ...] = ()


def trace(fd: int, ranges: Iterable[tuple[int, int]]) -> Traced:
    """Look up (physical, length) ranges on the filesystem of an open file or directory. Raises as `read_fsmap`."""
    wanted = ExtentMap()
    at = 0
    for physical, length in sorted(ranges):
        wanted.append(at, physical, length)
        at += length + 1
    free = taken = 0
    owners: dict[int, None] = {}
    for each in read_fsmap(fd):
        hit = each.length - FreeSpace([(each.physical, each.length)]).without(wanted).bytes
        if hit and each.free:
            free += hit
        elif hit:
            taken += hit
            if len(owners) < 100:
                owners[each.owner] = None
    return Traced(free, taken, tuple(owners))
