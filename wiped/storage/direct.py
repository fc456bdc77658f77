"""Direct I/O over an extent map: overwrite what is mapped and nothing else, and read it back from the device or the file.

Several threads share one descriptor; each has one aligned buffer, and work is handed out piece by piece from a generator under a lock, so memory does
not grow with the file. Encryption, system calls and comparing release the GIL.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import random
import stat as st
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from wiped.errors import StorageError
from wiped.model.outcome import ReasonCode
from wiped.storage.extents import ExtentMap
from wiped.storage.kernel import memory_differs, translated
from wiped.storage.keystream import Pattern

CHUNK: Final = 1 << 20
BLOCK: Final = 4096
#: First words of so many pieces are remembered while looking for repetition (some 6 MiB at most).
_REMEMBERED: Final = 65536


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was read back. `bytes` compared; `mismatches`: 4096-byte blocks that differ; `sampled`: not all was read; `repeating_or_zero`: blocks
    that begin like another block or with zeros, which no keystream does: one shared bug must not vouch for itself (docs/physics.md 2).
    `first_mismatch`: logical offset of the first differing block found, -1 for none."""

    bytes: int
    mismatches: int
    sampled: bool
    repeating_or_zero: int
    first_mismatch: int = -1

    @property
    def proven(self) -> bool:
        """Everything that was to be read was the keystream, and there was something to read."""
        return self.mismatches == 0 and self.repeating_or_zero == 0


def aligned_buffer(length: int) -> mmap.mmap:
    """Page-aligned anonymous memory of `length` bytes, as O_DIRECT needs it; its pages are there from the beginning.

    btrfs reads through the page cache, without a word, into memory whose pages are not there yet (seen on Linux 6.18), and so not from the device.
    """
    return mmap.mmap(-1, length, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)


def use_direct(fd: int) -> None:
    """Switch an open descriptor to O_DIRECT. Raises StorageError (opaque-storage) where the filesystem has none."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    if not flags & os.O_DIRECT:
        try:
            fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise StorageError("the filesystem has no direct I/O", reason=ReasonCode.OPAQUE_STORAGE) from error
            raise translated(error, "direct I/O") from error


@dataclass(slots=True)
class _Shift:
    """The shared state of the threads of one job: what comes next, how much is done, whether to stop."""

    pieces: Iterator[tuple[int, int, int]]
    progress: Callable[[int], None] | None
    should_stop: Callable[[], bool] | None
    rate_limit: int
    done: int = 0
    stopped: bool = False
    pace: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> tuple[int, int, int] | None:
        """The next (offset to read or write at, logical offset, length), after waiting as the rate limit asks; None at the end."""
        with self.lock:
            if not self.stopped and self.should_stop is not None and self.should_stop():
                self.stopped = True
            piece = None if self.stopped else next(self.pieces, None)
            if piece is None or not self.rate_limit:
                return piece
            now = time.monotonic()
            wait = self.pace - now
            self.pace = max(self.pace, now) + piece[2] / self.rate_limit
        if wait > 0:
            time.sleep(wait)
        return piece

    def finished(self, length: int) -> None:
        """Count a piece and tell the caller the sum."""
        with self.lock:
            self.done += length
            if self.progress is not None:
                self.progress(self.done)


def _work(shift: _Shift, workers: int, job: Callable[[_Shift], None]) -> None:
    """Run `job` in `workers` threads until the pieces are used up; the first failure stops all and is raised."""

    def guarded() -> None:
        try:
            job(shift)
        except BaseException:
            shift.stopped = True
            raise

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="direct") as pool:
        futures = [pool.submit(guarded) for _ in range(workers)]
    for future in futures:
        future.result()


def _check(workers: int, chunk: int) -> None:
    if workers < 1 or chunk < BLOCK or chunk % BLOCK:
        raise ValueError("at least one thread, and a chunk that is a multiple of 4096 bytes")


def write_ranges(
    fd: int,
    extents: ExtentMap,
    pattern: Pattern,
    *,
    writers: int = 4,
    chunk: int = CHUNK,
    progress: Callable[[int], None] | None = None,
    rate_limit: int = 0,
    should_stop: Callable[[], bool] | None = None,
) -> int:
    """Overwrite every mapped byte of the file with `pattern`, O_DIRECT (docs/physics.md 2, step 3); returns the bytes written.

    Only ranges of `extents` are written, the last mapped block whole, so nothing is allocated that was not; the file's size grows to the end of the
    map first, so that no crash lets the filesystem drop blocks beyond the end unwritten. `progress` gets the bytes done so far, one call at a time,
    from the threads. `rate_limit`: bytes a second, 0 for none. `should_stop` is asked between pieces; true ends early with fewer bytes than
    `extents.bytes`. Does not fsync: the caller does. Raises StorageError (io-error with the offset; opaque-storage without direct I/O).
    """
    _check(writers, chunk)
    use_direct(fd)
    try:
        found = os.fstat(fd)
        if not st.S_ISBLK(found.st_mode) and found.st_size < extents.end:
            os.ftruncate(fd, extents.end)
    except OSError as error:
        raise translated(error, "growing the image to the end of its blocks") from error

    def job(shift: _Shift) -> None:
        with aligned_buffer(chunk) as buffer, memoryview(buffer) as view:
            while (piece := shift.take()) is not None:
                offset, logical, length = piece
                with view[:length] as part:
                    pattern.fill(part, logical)
                    _write_all(fd, part, offset)
                shift.finished(length)

    pieces = ((at, at, size) for start, length in extents.iter_logical() for at, size in _split(start, length, chunk))
    shift = _Shift(pieces, progress, should_stop, rate_limit)
    _work(shift, writers, job)
    return shift.done


def _split(start: int, length: int, chunk: int) -> Iterator[tuple[int, int]]:
    for at in range(start, start + length, chunk):
        yield at, min(chunk, start + length - at)


def _write_all(fd: int, data: memoryview, offset: int) -> None:
    done = 0
    while done < len(data):
        try:
            count = os.pwrite(fd, data[done:], offset + done)
        except OSError as error:
            raise _failed("writing", offset + done, error) from error
        if count == 0:
            raise StorageError(f"writing at offset {offset + done}: nothing was written", reason=ReasonCode.IO_ERROR)
        done += count


def _read_all(fd: int, data: memoryview, offset: int) -> int:
    """Bytes read; fewer than asked only at the end of the file or device."""
    done = 0
    while done < len(data):
        try:
            count = os.preadv(fd, [data[done:]], offset + done)
        except OSError as error:
            raise _failed("reading", offset + done, error) from error
        if count == 0:
            break
        done += count
    return done


def _failed(what: str, offset: int, error: OSError) -> StorageError:
    return StorageError(f"{what} at offset {offset}: {os.strerror(error.errno or 0)}", reason=ReasonCode.IO_ERROR)


@dataclass(slots=True)
class _Tally:
    """What the readers found so far; under the shift's lock."""

    mismatches: int = 0
    first: int = -1
    repeats: int = 0
    seen: set[int] = field(default_factory=set)

    def add(self, logical: int, wrong: list[int], words: list[int]) -> None:
        if wrong:
            self.mismatches += len(wrong)
            place = logical + wrong[0]
            self.first = place if self.first < 0 else min(self.first, place)
        repeats = len(words) - len(set(words))
        if words and words[0] in self.seen:
            repeats += 1
        elif words and len(self.seen) < _REMEMBERED:
            self.seen.add(words[0])
        if 0 in words:
            repeats += max(1, words.count(0) - repeats)
        self.repeats += repeats


def compare_ranges(
    fd: int,
    extents: ExtentMap,
    pattern: Pattern,
    *,
    physical: bool,
    readers: int = 4,
    chunk: int = CHUNK,
    fraction: float = 1.0,
    pick_seed: bytes | None = None,
    progress: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Comparison:
    """Read back and compare with the pattern made anew (docs/physics.md 2, step 5). `fd` is the block device, read at physical offsets, where `physical`;
    else the file itself, at logical ones. Either way O_DIRECT, and the pattern is that of the logical offset.

    `fraction` below 1 reads that part of the pieces, drawn from `pick_seed` (to be made after the erasing), and at least one. What cannot be read
    because file or device end is a mismatch. `progress` as in `write_ranges`. A `should_stop` that turned true leaves `bytes` short: compare them
    with the map's. Raises StorageError (io-error with the offset; opaque-storage without direct I/O).
    """
    _check(readers, chunk)
    if fraction < 1.0 and not pick_seed:
        raise ValueError("a sample needs a seed that was drawn after the erasing")
    use_direct(fd)
    tally = _Tally()

    def job(shift: _Shift) -> None:
        with aligned_buffer(chunk) as read, aligned_buffer(chunk) as wanted, memoryview(read) as seen, memoryview(wanted) as fresh:
            addresses = ctypes.addressof(ctypes.c_char.from_buffer(seen)), ctypes.addressof(ctypes.c_char.from_buffer(fresh))
            while (piece := shift.take()) is not None:
                offset, logical, length = piece
                with seen[:length] as part, fresh[:length] as known:
                    got = _read_all(fd, part, offset)
                    pattern.fill(known, logical)
                    wrong = _differing(addresses, got, length)
                    words = part[: got & ~7].cast("Q")[:: BLOCK // 8].tolist()
                with shift.lock:
                    tally.add(logical, wrong, words)
                shift.finished(length)

    pieces = _sampled(_reads(extents, physical, chunk), fraction, pick_seed)
    shift = _Shift(pieces, progress, should_stop, 0)
    _work(shift, readers, job)
    return Comparison(shift.done, tally.mismatches, fraction < 1.0, tally.repeats, tally.first)


def _reads(extents: ExtentMap, physical: bool, chunk: int) -> Iterator[tuple[int, int, int]]:
    if physical:
        for logical, place, length in extents.iter_ranges():
            for at, size in _split(0, length, chunk):
                yield place + at, logical + at, size
    else:
        for start, length in extents.iter_logical():
            for at, size in _split(start, length, chunk):
                yield at, at, size


def _sampled(pieces: Iterator[tuple[int, int, int]], fraction: float, pick_seed: bytes | None) -> Iterator[tuple[int, int, int]]:
    if fraction >= 1.0:
        yield from pieces
        return
    dice, none_yet = random.Random(pick_seed), True
    spare: tuple[int, int, int] | None = None
    for piece in pieces:
        if dice.random() < fraction:
            none_yet = False
            yield piece
        elif spare is None:
            spare = piece
    if none_yet and spare is not None:
        yield spare


def _differing(addresses: tuple[int, int], got: int, length: int) -> list[int]:
    """Offsets, within a piece, of the 4096-byte blocks that differ or were not there to be read."""
    left, right = addresses
    if got == length and not memory_differs(left, right, length):
        return []
    blocks = range(0, length, BLOCK)
    return [at for at in blocks if at + min(BLOCK, length - at) > got or memory_differs(left + at, right + at, min(BLOCK, length - at))]
