"""Blocks that left a file before we came, in the free space of its filesystem (docs/physics.md 3): discarded where a probe proves that the device then does not
give them back, or overwritten by filling the free space.

A discard proves nothing by itself. So a file of our own is written first, found on the device, freed, and after FITRIM looked for again in the same places.
All files made here have no name (O_TMPFILE): whatever happens to us, the kernel removes them.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wiped.decide.provable import provability_reasons
from wiped.errors import RefusedError, StorageError, WipedError
from wiped.model.policy import StorageRules
from wiped.storage.direct import BLOCK, CHUNK, aligned_buffer
from wiped.storage.extents import ExtentMap, read_extents, stop_reasons
from wiped.storage.filesystems import filesystem_facts, first_line, open_block_device
from wiped.storage.fsmap import FreeSpace, free_space
from wiped.storage.kernel import RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2, punch_hole, sync_filesystem, translated
from wiped.storage.keystream import SEED_BYTES, Keystream
from wiped.wire.messages import Trimmed

PROBE_BYTES: Final = 4 << 20
#: _IOWR('X', 121, struct fstrim_range): start, length, minimal length.
_FITRIM: Final = 0xC0185879
_RANGE: Final = struct.Struct("=QQQ")
#: Filesystems whose free space FITRIM covers whole, and on which FIEMAP names places of the device.
_TRIMMED: Final = frozenset({"ext4", "xfs"})
#: So much may the free space shrink by others' writing before the filling stops.
_SLACK: Final = 64 << 20
#: What is given back at once, at most; and how often the reserve may be gone through.
_STEP: Final = 64 << 20
_TURNS: Final = 4
#: FITRIM passes over what the journal has not let go of yet: it is tried so often, after so many seconds.
_PAUSES: Final = (0.0, 0.2, 1.0)
#: The filling looks at the free space after so many bytes.
_LOOK: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Probe:
    """What the probe found. `unreadable`: none of its blocks was left after FITRIM; `left`: how many were; `bytes`: as FITRIM reported; `detail`: why not."""

    unreadable: bool
    detail: str = ""
    left: int = 0
    bytes: int = 0


def make_free_space_unreadable(
    directory: str,
    rules: StorageRules,
    *,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Trimmed:
    """Make the free space of the filesystem at `directory` unreadable, as far as the rules allow: FITRIM if the probe proves it, else the filling.

    `method` in the answer is empty when nothing was proven. Never raises for what the host is like; `progress(done, total)` in bytes, while filling.
    """
    details: list[str] = []
    try:
        fd = openat2(-100, directory, os.O_RDONLY | os.O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
    except OSError as error:
        return Trimmed(directory, "", 0, str(translated(error, directory)))
    try:
        if rules.trim:
            probe = probe_trim(fd)
            if probe.unreadable:
                return Trimmed(directory, "fitrim", probe.bytes, "")
            details.append(probe.detail)
        if rules.fill_free_space and not (should_stop is not None and should_stop()):
            filled = fill_free_space(fd, rules, progress=progress, should_stop=should_stop)
            if not filled.detail:
                return Trimmed(directory, "fill", filled.bytes, "")
            details.append(filled.detail)
    finally:
        os.close(fd)
    return Trimmed(directory, "", 0, "; ".join(details) or "neither storage.trim nor storage.fill_free_space is set")


def probe_trim(directory_fd: int) -> Probe:
    """Write a marked file, see it on the device, free it, FITRIM the whole filesystem, and look for it again. Never raises."""
    try:
        return _probe(directory_fd)
    except WipedError as error:
        return Probe(False, str(error))
    except OSError as error:
        return Probe(False, f"the probe failed: {os.strerror(error.errno or 0)}")


def _probe(directory_fd: int) -> Probe:
    facts = filesystem_facts(directory_fd)
    if reasons := provability_reasons(facts):
        return Probe(False, f"{facts.fs_type}: {', '.join(reasons)}")
    if facts.fs_type not in _TRIMMED:
        return Probe(False, f"FITRIM on {facts.fs_type} does not tell which places it covers")
    device_number = os.fstat(directory_fd).st_dev
    if fault := _granularity_fault(device_number):
        return Probe(False, fault)
    device = open_block_device(device_number)
    if device is None:
        return Probe(False, "the block device cannot be read here")
    stream = Keystream(secrets.token_bytes(SEED_BYTES), "probe", 1)
    try:
        places = _write_probe(directory_fd, stream)
        before, _ = _look(device, places, stream)
        if before != places.bytes // BLOCK:
            return Probe(False, "the probe was not found on the device in the first place")
        trimmed = left = blank = 0
        for pause in _PAUSES:
            time.sleep(pause)
            sync_filesystem(directory_fd)
            trimmed += _fitrim(directory_fd)  # ext4 reports only what it had not trimmed before
            left, blank = _look(device, places, stream)
            if not left:
                break
    finally:
        os.close(device)
    if left:
        return Probe(False, f"the device gives discarded blocks back ({left} of {before} of the probe's)", left, trimmed)
    if blank * 2 < before:
        return Probe(False, "discarded blocks do not read as empty: they may have been given to another file", 0, trimmed)
    return Probe(True, "", 0, trimmed)


def _granularity_fault(device_number: int) -> str:
    """Free pieces smaller than what the device discards at once would be left out."""
    base = f"/sys/dev/block/{os.major(device_number)}:{os.minor(device_number)}"
    if os.path.exists(f"{base}/partition"):
        base = os.path.dirname(os.path.realpath(base))
    if first_line(f"{base}/queue/discard_max_bytes") in ("", "0"):
        return "the device knows no discard"
    granularity = first_line(f"{base}/queue/discard_granularity")
    if not granularity.isdigit() or int(granularity) > BLOCK:
        return f"the device discards no less than {granularity or 'an unknown number of'} bytes at once, so small pieces would stay"
    return ""


def _write_probe(directory_fd: int, stream: Keystream) -> ExtentMap:
    """A file without a name, written directly and freed again; where it was. Raises StorageError, OSError."""
    fd = _nameless(directory_fd)
    try:
        with aligned_buffer(CHUNK) as buffer:
            for offset in range(0, PROBE_BYTES, CHUNK):
                stream.fill(buffer, offset)
                _write(fd, buffer, offset)
        os.fsync(fd)
        places = read_extents(fd)
        facts = filesystem_facts(fd)
        if stop_reasons(places, facts) or places.bytes != PROBE_BYTES:
            raise StorageError("the probe's blocks cannot be traced")
        # Freed now: XFS frees what a closed file without a name held in the background, after the FITRIM that is to cover it.
        os.ftruncate(fd, 0)
        os.fsync(fd)
        return places
    finally:
        os.close(fd)


def _nameless(directory_fd: int) -> int:
    flags = os.O_TMPFILE | os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC
    return os.open(f"/proc/self/fd/{directory_fd}", flags, 0o600)


def _write(fd: int, buffer: mmap.mmap | memoryview, offset: int) -> None:
    if (done := os.pwrite(fd, buffer, offset)) != len(buffer):
        raise OSError(errno.ENOSPC if done else errno.EIO, "short write")


def _look(device: int, places: ExtentMap, stream: Keystream) -> tuple[int, int]:
    """(blocks in which the stream still stands, blocks that hold one byte all through), read from the device, O_DIRECT."""
    left = blank = 0
    with aligned_buffer(CHUNK) as read, aligned_buffer(CHUNK) as known:
        for logical, physical, length in places.iter_ranges():
            for at in range(0, length, CHUNK):
                size = min(CHUNK, length - at)
                with memoryview(read)[:size] as view:
                    if os.preadv(device, [view], physical + at) != size:
                        raise StorageError("the device ends before the probe")
                stream.fill(known, logical + at)
                for block in range(0, size, BLOCK):
                    seen = read[block : block + BLOCK]
                    wanted = known[block : block + BLOCK]
                    left += any(seen[spot : spot + 64] == wanted[spot : spot + 64] for spot in range(0, BLOCK, 512))
                    blank += seen.count(seen[:1]) == BLOCK
    return left, blank


def _fitrim(directory_fd: int) -> int:
    """Discard all free space; the bytes that the kernel reports. Raises RefusedError, StorageError."""
    request = bytearray(_RANGE.pack(0, 2**64 - 1, 0))
    try:
        fcntl.ioctl(directory_fd, _FITRIM, request, True)
    except OSError as error:
        raise translated(error, "FITRIM") from error
    return int(_RANGE.unpack(request)[1])


@dataclass(frozen=True, slots=True)
class Filled:
    """`bytes` were written; `detail` says why what was free is not all overwritten, "" if it is."""

    bytes: int
    detail: str = ""


def fill_free_space(
    directory_fd: int,
    rules: StorageRules,
    *,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Filled:
    """Overwrite the free space with a nameless file, never leaving less than `rules.fill_reserve` free, and stopping as soon as others write faster than a
    trickle. What is free at the beginning is listed (FS_IOC_GETFSMAP) and ticked off by the file's own map. All is freed at the end. Never raises."""
    try:
        facts = filesystem_facts(directory_fd)
        if reasons := provability_reasons(facts):
            return Filled(0, f"{facts.fs_type}: {', '.join(reasons)}")
        fd = _nameless(directory_fd)
        try:
            return _Filling(fd, directory_fd, rules, progress, should_stop).run()
        finally:
            os.close(fd)
    except RefusedError as error:
        return Filled(0, str(error))
    except StorageError as error:
        return Filled(0, f"the free space cannot be listed: {error}")
    except OSError as error:
        return Filled(0, f"filling failed: {os.strerror(error.errno or 0)}")


class _Filling:
    """One filling, by one file without a name: it grows until only the reserve is free, and then goes on growing at its end while its beginning is given back,
    so that what lay in the reserve comes into use, as far as the allocator goes there. XFS keeps some blocks to itself in any case: then nothing is claimed."""

    def __init__(
        self, fd: int, directory_fd: int, rules: StorageRules, progress: Callable[[int, int], None] | None, should_stop: Callable[[], bool] | None
    ) -> None:
        self._fd = fd
        self._directory = directory_fd
        self._rules = rules
        self._progress = progress
        self._should_stop = should_stop
        self._stream = Keystream(secrets.token_bytes(SEED_BYTES), "fill", 1)
        self._left: FreeSpace = free_space(directory_fd)
        self._total = self._left.bytes
        self._end = 0
        self._given_back = 0
        self._since = time.monotonic()

    def run(self) -> Filled:
        """Fill; how far that came."""
        if self._room() < BLOCK:
            return Filled(0, "there is no more free than the reserve")
        why = self._grow(self._room())
        self._tick_off()
        step = max(CHUNK, min(_STEP, self._left.bytes // 4 // CHUNK * CHUNK))
        for _ in range(_TURNS * (self._left.bytes // step + 1)):
            if why or self._left.bytes <= 0 or self._given_back + step > self._end:
                break
            punch_hole(self._fd, self._given_back, step)
            self._given_back += step
            why = self._grow(min(step, self._room()))
            self._tick_off()
        self._left = self._left.common(free_space(self._directory))  # what others were given meanwhile is theirs
        if not why and self._left.bytes:
            why = f"{self._left.bytes} bytes of what was free could not be had (the reserve is {self._rules.fill_reserve})"
        return Filled(self._end, why)

    def _room(self) -> int:
        found = os.fstatvfs(self._directory)
        free = found.f_bavail if self._rules.fill_reserve else found.f_bfree  # without a reserve, root's own part too
        return max(0, free * found.f_frsize - self._rules.fill_reserve)

    def _tick_off(self) -> None:
        os.fsync(self._fd)
        self._left = self._left.without(read_extents(self._fd))

    def _grow(self, room: int) -> str:
        """Write up to `room` bytes at the end; why the whole filling is to end, "" to go on."""
        stop, why = self._end + room // BLOCK * BLOCK, ""
        with aligned_buffer(CHUNK) as buffer, memoryview(buffer) as view:
            while not why and self._end < stop:
                size = min(CHUNK, stop - self._end)
                self._stream.fill(view[:size], self._end)
                try:
                    _write(self._fd, view[:size], self._end)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    break
                self._end += size
                if self._end % _LOOK < size:
                    why = self._neighbours(stop - self._end)
                self._pace()
        return why or self._neighbours(stop - self._end)

    def _neighbours(self, expected: int) -> str:
        if self._should_stop is not None and self._should_stop():
            return "stopped"
        if self._room() < expected - _SLACK:
            return "another writer needs the room"
        return ""

    def _pace(self) -> None:
        if self._progress is not None:
            self._progress(min(self._end, self._total), self._total)
        if self._rules.rate_limit:
            wait = self._end / self._rules.rate_limit - (time.monotonic() - self._since)
            if wait > 0:
                time.sleep(wait)
