"""The physical map of a file: which bytes of the device hold it (FS_IOC_FIEMAP), in flat arrays, so that a million extents take some 24 MiB.

Source: Documentation/filesystems/fiemap.rst; the recipe is docs/physics.md 2, steps 2 and 4.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator
from typing import Final

from wiped.errors import InputError, StorageError
from wiped.model.inventory import ExtentFacts, FilesystemFacts
from wiped.model.outcome import ReasonCode
from wiped.storage.kernel import FS_IOC_FIEMAP, translated

FIEMAP_FLAG_SYNC: Final = 0x1
_MAX_OFFSET: Final = 2**64 - 1
_BATCH: Final = 2048
_HEADER: Final = struct.Struct("=QQIIII")
_EXTENT_WORDS: Final = 7

LAST: Final = 0x0001
UNWRITTEN: Final = 0x0800
SHARED: Final = 0x2000
#: Flag bits by name, as they stand in certificates.
FLAG_NAMES: Final[dict[int, str]] = {
    LAST: "last",
    0x0002: "unknown",
    0x0004: "delalloc",
    0x0008: "encoded",
    0x0080: "data-encrypted",
    0x0100: "not-aligned",
    0x0200: "data-inline",
    0x0400: "data-tail",
    UNWRITTEN: "unwritten",
    0x1000: "merged",
    SHARED: "shared",
}
_STOPS: Final[dict[str, ReasonCode]] = {
    "shared": ReasonCode.EXTENT_SHARED,
    "encoded": ReasonCode.EXTENT_ENCODED,
    "data-encrypted": ReasonCode.EXTENT_ENCODED,
    "unknown": ReasonCode.EXTENT_UNKNOWN,
    "delalloc": ReasonCode.EXTENT_UNKNOWN,
    "not-aligned": ReasonCode.EXTENT_UNKNOWN,
    "data-inline": ReasonCode.EXTENT_INLINE,
    "data-tail": ReasonCode.EXTENT_INLINE,
}


class ExtentMap:
    """Merged ranges of a file in ascending logical order, in bytes: columns `logical`, `physical`, `length`.

    Neighbours that follow each other both in the file and on the device are one range, so overwriting an unwritten range does not change the map.
    `flag_counts`: how many raw extents of the kernel bore each flag; flags are no part of the map's digest. Which stretches are shared with another file
    (SHARED) is kept beside the ranges, and goes neither into the digest nor into the blobs.
    """

    __slots__ = ("_digest", "_shared_at", "_shared_length", "bytes", "flag_counts", "length", "logical", "physical")

    def __init__(self) -> None:
        self.logical: array[int] = array("Q")
        self.physical: array[int] = array("Q")
        self.length: array[int] = array("Q")
        self._shared_at: array[int] = array("Q")
        self._shared_length: array[int] = array("Q")
        self.flag_counts: dict[str, int] = {}
        self.bytes = 0
        self._digest = ""

    def append(self, logical: int, physical: int, length: int, *, shared: bool = False) -> None:
        """Add one range after all others, merging it with the last one where contiguous. Raises ValueError when it is out of order or empty."""
        self._append(logical, physical, length)
        if not shared:
            return
        if self._shared_at and self._shared_at[-1] + self._shared_length[-1] == logical:
            self._shared_length[-1] += length
        else:
            self._shared_at.append(logical)
            self._shared_length.append(length)

    def _append(self, logical: int, physical: int, length: int) -> None:
        if length <= 0 or logical + length > 2**64 or physical + length > 2**64:
            raise ValueError("an extent of no length, or beyond 64 bits")
        if self.logical:
            end = self.logical[-1] + self.length[-1]
            if logical < end:
                raise ValueError("extents out of order")
            if logical == end and physical == self.physical[-1] + self.length[-1]:
                self.length[-1] += length
                self.bytes += length
                self._digest = ""
                return
        self.logical.append(logical)
        self.physical.append(physical)
        self.length.append(length)
        self.bytes += length
        self._digest = ""

    @property
    def count(self) -> int:
        """Number of merged ranges."""
        return len(self.logical)

    @property
    def end(self) -> int:
        """Logical offset just after the last mapped byte (0 for an empty map); may lie beyond the file's size."""
        return self.logical[-1] + self.length[-1] if self.logical else 0

    @property
    def flag_names(self) -> tuple[str, ...]:
        """The union of flags, sorted; `last` and `merged` say nothing of the data and are left out."""
        return tuple(sorted(name for name in self.flag_counts if name not in ("last", "merged")))

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the ranges, each as three little-endian 64-bit numbers: logical, physical, length."""
        if not self._digest:
            total = hashlib.sha256()
            for start in range(0, self.count, 65536):
                rows = _interleave(self.logical[start : start + 65536], self.physical[start : start + 65536], self.length[start : start + 65536])
                total.update(rows.tobytes())
            self._digest = total.hexdigest()
        return self._digest

    def facts(self) -> ExtentFacts:
        """The summary for plans and certificates."""
        return ExtentFacts(count=self.count, bytes=self.bytes, flags=self.flag_names, map_digest=self.digest)

    def iter_ranges(self) -> Iterator[tuple[int, int, int]]:
        """(logical, physical, length) of each merged range, ascending."""
        return zip(self.logical, self.physical, self.length, strict=True)

    def iter_logical(self) -> Iterator[tuple[int, int]]:
        """(logical, length) of each stretch of the file that is mapped without a gap, wherever it lies on the device."""
        start = end = 0
        for logical, length in zip(self.logical, self.length, strict=True):
            if logical != end and end > start:
                yield start, end - start
            if logical != end or end == start:
                start = logical
            end = logical + length
        if end > start:
            yield start, end - start

    @property
    def shared_bytes(self) -> int:
        """Bytes of the file that another file shares."""
        return sum(self._shared_length)

    def by_sharing(self) -> Iterator[tuple[int, int, int, bool]]:
        """(logical, physical, length, shared) of every range, cut where sharing begins or ends."""
        index = 0
        for logical, physical, length in self.iter_ranges():
            at, end = logical, logical + length
            while at < end:
                while index < len(self._shared_at) and self._shared_at[index] + self._shared_length[index] <= at:
                    index += 1
                start = self._shared_at[index] if index < len(self._shared_at) else end
                stop = start + self._shared_length[index] if index < len(self._shared_at) else end
                cut = min(end, stop) if start <= at else min(end, start)
                yield at, physical + at - logical, cut - at, start <= at
                at = cut

    def chunks(self, max_extents: int = 65536) -> Iterator[ExtentMap]:
        """The same ranges in maps of at most `max_extents`; the flags go with the first."""
        for start in range(0, max(self.count, 1), max_extents):
            part = ExtentMap()
            part.logical = self.logical[start : start + max_extents]
            part.physical = self.physical[start : start + max_extents]
            part.length = self.length[start : start + max_extents]
            part.bytes = sum(part.length)
            part.flag_counts = dict(self.flag_counts) if start == 0 else {}
            yield part

    def to_blobs(self, max_extents: int = 65536) -> Iterator[bytes]:
        """Compact form for ledger and wire: blobs of at most `max_extents` ranges. A blob is a JSON line (count, flags) and zlib-compressed differences."""
        for part in self.chunks(max_extents):
            head = json.dumps({"v": 1, "n": part.count, "flags": part.flag_counts}, sort_keys=True).encode()
            rows = _interleave(*_differences(part))
            yield head + b"\n" + zlib.compress(rows.tobytes(), 1)

    @classmethod
    def from_blobs(cls, blobs: Iterable[bytes]) -> ExtentMap:
        """The map again. Raises InputError for blobs that are not whole, in order, and of our form."""
        whole = cls()
        try:
            for blob in blobs:
                _absorb(whole, blob)
        except (ValueError, KeyError, TypeError, OverflowError, zlib.error) as error:
            raise InputError("a saved extent map is damaged") from error
        return whole


def _interleave(*columns: array[int]) -> array[int]:
    """Rows of the columns, as little-endian 64-bit numbers."""
    rows: array[int] = array("Q", bytes(8 * len(columns) * len(columns[0])))
    for index, column in enumerate(columns):
        rows[index :: len(columns)] = column
    if sys.byteorder == "big":
        rows.byteswap()
    return rows


def _differences(part: ExtentMap) -> tuple[array[int], array[int], array[int]]:
    """Gaps to the end of the range before, modulo 2**64: small numbers, that compress well."""
    logical: array[int] = array("Q")
    physical: array[int] = array("Q")
    at = on = 0
    for start, place, length in part.iter_ranges():
        logical.append(start - at)
        physical.append((place - on) & _MAX_OFFSET)
        at, on = start + length, place + length
    return logical, physical, part.length


def _absorb(whole: ExtentMap, blob: bytes) -> None:
    head, _, packed = blob.partition(b"\n")
    about = json.loads(head)
    count = about["n"]
    if about["v"] != 1 or not isinstance(count, int) or not 0 <= count <= 1 << 20:
        raise ValueError("not a blob of this version")
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, 24 * count + 1)
    if len(data) != 24 * count or not unpacker.eof or unpacker.unused_data:
        raise ValueError("not as long as it says")
    rows: array[int] = array("Q", data)
    if sys.byteorder == "big":
        rows.byteswap()
    at = on = 0
    for index in range(0, len(rows), 3):
        start, place, length = at + rows[index], (on + rows[index + 1]) & _MAX_OFFSET, rows[index + 2]
        whole.append(start, place, length)
        at, on = start + length, place + length
    for name, number in about["flags"].items():
        whole.flag_counts[str(name)] = whole.flag_counts.get(str(name), 0) + int(number)


def read_extents(fd: int, sync: bool = True) -> ExtentMap:
    """The whole map of an open file, preallocation beyond its end included. `sync` writes dirty pages out first, so that nothing is still unplaced.

    Opening for writing is not needed. Raises StorageError: opaque-storage (no FIEMAP here), io-error, extent-unknown (the map changed under us).
    """
    found = ExtentMap()
    buffer = bytearray(_HEADER.size + 8 * _EXTENT_WORDS * _BATCH)
    counts: dict[int, int] = {}
    start, flags, done = 0, FIEMAP_FLAG_SYNC if sync else 0, False
    while not done:
        _HEADER.pack_into(buffer, 0, start, _MAX_OFFSET - start, flags, 0, _BATCH, 0)
        try:
            fcntl.ioctl(fd, FS_IOC_FIEMAP, buffer, True)
        except OSError as error:
            raise translated(error, "the extent map of a file") from error
        mapped = _HEADER.unpack_from(buffer)[3]
        if mapped == 0:
            break
        with memoryview(buffer) as view, view[_HEADER.size :].cast("Q") as words:
            columns = [words[index : mapped * _EXTENT_WORDS : _EXTENT_WORDS].tolist() for index in (0, 1, 2, 5)]
        for logical, physical, length, bits in zip(*columns, strict=True):
            bits32 = bits & 0xFFFFFFFF if sys.byteorder == "little" else bits >> 32
            counts[bits32] = counts.get(bits32, 0) + 1
            try:
                found.append(logical, physical, length, shared=bool(bits32 & SHARED))
            except ValueError as error:
                raise StorageError("the extent map changed while it was read", reason=ReasonCode.EXTENT_UNKNOWN) from error
            done = done or bool(bits32 & LAST)
        start, flags = found.end, 0
    found.flag_counts = _named(counts)
    return found


def physical_at(fd: int, logical: int) -> int | None:
    """Where the byte at a logical offset of an open file lies on its device; None for a hole. Raises StorageError as `read_extents`."""
    buffer = bytearray(_HEADER.size + 8 * _EXTENT_WORDS)
    _HEADER.pack_into(buffer, 0, logical, 1, 0, 0, 1, 0)
    try:
        fcntl.ioctl(fd, FS_IOC_FIEMAP, buffer, True)
    except OSError as error:
        raise translated(error, "the extent map of a file") from error
    if _HEADER.unpack_from(buffer)[3] == 0:
        return None
    start, physical, length = struct.unpack_from("=QQQ", buffer, _HEADER.size)
    return int(physical + logical - start) if start <= logical < start + length else None


def _named(counts: dict[int, int]) -> dict[str, int]:
    """Counts by flag name; a bit that this program does not know is called by its number."""
    named: dict[str, int] = {}
    for bits, number in counts.items():
        for position in range(32):
            bit = 1 << position
            if bits & bit:
                name = FLAG_NAMES.get(bit, f"bit-{bit:#x}")
                named[name] = named.get(name, 0) + number
    return named


def stop_reasons(extents: ExtentMap, facts: FilesystemFacts) -> tuple[str, ...]:
    """Reason codes for which overwriting this map would prove nothing (docs/physics.md 2, step 2); () to go on. A flag that is unknown to us stops too.

    `facts` is for filesystems that do not tell: a mapped range at physical 0 on a local disk filesystem is no place at all (of a
    block device it is its beginning).
    """
    reasons = {str(_STOPS.get(name, ReasonCode.EXTENT_UNKNOWN)) for name in extents.flag_counts if name not in ("last", "merged", "unwritten")}
    if extents.count and min(extents.physical) == 0 and facts.local and facts.fs_type != "block":
        reasons.add(str(ReasonCode.EXTENT_UNKNOWN))
    return tuple(sorted(reasons))
