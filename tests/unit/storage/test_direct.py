"""Direct writing and comparing over extent maps, on plain files of the test directory's own filesystem."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wiped.errors import StorageError
from wiped.storage.direct import Comparison, compare_ranges, write_ranges
from wiped.storage.extents import ExtentMap
from wiped.storage.keystream import Keystream, ZeroPattern

BLOCK = 4096
STREAM = Keystream(bytes(range(32)), "artefact", 1)


def map_of(*ranges: tuple[int, int]) -> ExtentMap:
    """A map of (logical, length) ranges that lie on the device where they lie in the file."""
    made = ExtentMap()
    for logical, length in ranges:
        made.append(logical, logical, length)
    return made


def expected(offset: int, length: int) -> bytes:
    """What the keystream holds there."""
    buffer = bytearray(length)
    STREAM.fill(buffer, offset)
    return bytes(buffer)


@pytest.fixture
def image(tmp_path: Path) -> Iterator[int]:
    """A file of 4 MiB of letters, open for reading and writing (not yet O_DIRECT)."""
    path = tmp_path / "image"
    path.write_bytes(b"x" * (4 << 20))
    fd = os.open(path, os.O_RDWR)
    os.fsync(fd)
    yield fd
    os.close(fd)


def content(fd: int) -> bytes:
    """All bytes of the file, by a descriptor of its own (buffered)."""
    return Path(f"/proc/self/fd/{fd}").read_bytes()


@pytest.mark.parametrize("writers", [1, 4])
@pytest.mark.parametrize("chunk", [BLOCK, 12288, 1 << 20])
def test_writes_exactly_the_ranges(image: int, writers: int, chunk: int) -> None:
    """The ranges hold the keystream of their offsets; every other byte is untouched."""
    ranges = [(0, 2 * BLOCK), (5 * BLOCK, BLOCK), (1 << 20, 1500 * 512 // BLOCK * BLOCK)]
    seen: list[int] = []
    done = write_ranges(image, map_of(*ranges), STREAM, writers=writers, chunk=chunk, progress=seen.append)
    wanted = bytearray(b"x" * (4 << 20))
    for offset, length in ranges:
        wanted[offset : offset + length] = expected(offset, length)
    assert content(image) == bytes(wanted)
    assert done == sum(length for _, length in ranges) == seen[-1]
    assert seen == sorted(seen)


def test_last_block_is_written_whole(tmp_path: Path) -> None:
    """A file of 5000 bytes has two blocks: both are overwritten to their end."""
    path = tmp_path / "odd"
    path.write_bytes(b"x" * 5000)
    fd = os.open(path, os.O_RDWR)
    try:
        assert write_ranges(fd, map_of((0, 2 * BLOCK)), STREAM) == 2 * BLOCK
        assert content(fd) == expected(0, 2 * BLOCK)
    finally:
        os.close(fd)


def test_empty_map(image: int) -> None:
    """Nothing mapped, nothing written, nothing compared, no error."""
    assert write_ranges(image, ExtentMap(), STREAM) == 0
    assert compare_ranges(image, ExtentMap(), STREAM, physical=False) == Comparison(0, 0, False, 0)


def test_stops_when_asked(image: int) -> None:
    """`should_stop` between pieces ends the work early, with the bytes done so far."""
    done: list[int] = []
    count = write_ranges(image, map_of((0, 4 << 20)), STREAM, chunk=BLOCK, writers=2, progress=done.append, should_stop=lambda: len(done) >= 10)
    assert 10 * BLOCK <= count <= 12 * BLOCK


def test_rate_limit(image: int) -> None:
    """One mebibyte at four a second takes about a quarter of a second, with any number of writers."""
    stamps: list[float] = []
    start = os.times().elapsed
    write_ranges(image, map_of((0, 1 << 20)), STREAM, chunk=1 << 16, rate_limit=4 << 20, progress=lambda _: stamps.append(os.times().elapsed))
    assert 0.2 <= stamps[-1] - start <= 2


def test_write_error_has_its_offset(tmp_path: Path) -> None:
    """A failing write stops all writers and says where: here the descriptor is read-only."""
    path = tmp_path / "image"
    path.write_bytes(b"x" * BLOCK)
    fd = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(StorageError, match="offset 0") as caught:
            write_ranges(fd, map_of((0, BLOCK)), STREAM)
        assert caught.value.reason == "io-error"
    finally:
        os.close(fd)
    assert path.read_bytes() == b"x" * BLOCK


def test_full_comparison(image: int) -> None:
    """What was written compares equal, all of it, whether read as file or as device."""
    extents = map_of((0, 1 << 20), (2 << 20, 2 << 20))
    write_ranges(image, extents, STREAM)
    for physical in (False, True):
        assert compare_ranges(image, extents, STREAM, physical=physical) == Comparison(3 << 20, 0, False, 0)


@pytest.mark.parametrize("offset", [0, 4095, (1 << 20) + 77, (4 << 20) - 1])
def test_a_single_flipped_bit(image: int, offset: int) -> None:
    """One bit anywhere is one mismatching block, and its place is told."""
    extents = map_of((0, 4 << 20))
    write_ranges(image, extents, STREAM)
    byte = content(image)[offset]
    with open(f"/proc/self/fd/{image}", "r+b") as file:
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))
    found = compare_ranges(image, extents, STREAM, physical=False)
    assert (found.mismatches, found.first_mismatch, found.proven) == (1, offset // BLOCK * BLOCK, False)


def test_short_file_is_a_mismatch(image: int) -> None:
    """Blocks that are no longer there to be read count as different."""
    extents = map_of((0, 4 << 20))
    write_ranges(image, extents, STREAM)
    os.ftruncate(image, (4 << 20) - 3 * BLOCK)
    assert compare_ranges(image, extents, STREAM, physical=False).mismatches == 3


def test_zeros_are_not_believed(image: int) -> None:
    """A pattern that is broken in writer and reader alike, all zeros, compares equal and is still rejected."""
    extents = map_of((0, 1 << 20))
    write_ranges(image, extents, ZeroPattern())
    found = compare_ranges(image, extents, ZeroPattern(), physical=False)
    assert (found.mismatches, found.repeating_or_zero >= 256, found.proven) == (0, True, False)


class Stuck:
    """A broken keystream that does not advance between calls."""

    def fill(self, buffer: memoryview, offset: int) -> None:
        """The start of the stream, always."""
        STREAM.fill(buffer, 0)


def test_repetition_is_not_believed(image: int) -> None:
    """A keystream that begins anew with every piece compares equal and is still rejected, across pieces too."""
    extents = map_of((0, 4 << 20))
    write_ranges(image, extents, Stuck(), chunk=BLOCK)
    found = compare_ranges(image, extents, Stuck(), physical=False, chunk=BLOCK)
    assert (found.mismatches, found.repeating_or_zero) == (0, 1023)


def test_sampling(image: int) -> None:
    """A sample reads a part, the same one for the same seed, another for another, and never nothing."""
    extents = map_of((0, 4 << 20))
    write_ranges(image, extents, STREAM)

    def places(seed: bytes, fraction: float) -> tuple[int, Comparison]:
        touched = Touched()
        found = compare_ranges(image, extents, touched, physical=False, chunk=BLOCK, fraction=fraction, pick_seed=seed)
        return hash(frozenset(touched.offsets)), found

    one, found = places(b"a", 0.1)
    assert found.sampled
    assert 30 * BLOCK < found.bytes < 200 * BLOCK
    assert one == places(b"a", 0.1)[0] != places(b"b", 0.1)[0]
    assert places(b"a", 1e-9)[1].bytes == BLOCK
    with pytest.raises(ValueError, match="seed"):
        compare_ranges(image, extents, STREAM, physical=False, fraction=0.5)


class Touched:
    """The keystream, noting which offsets were asked for."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self._lock = threading.Lock()

    def fill(self, buffer: memoryview, offset: int) -> None:
        """Fill and note."""
        with self._lock:
            self.offsets.append(offset)
        STREAM.fill(buffer, offset)


@pytest.mark.parametrize(("workers", "chunk"), [(0, BLOCK), (1, 0), (1, 1000)])
def test_bad_arguments(image: int, workers: int, chunk: int) -> None:
    """No threads, or a chunk that O_DIRECT would not take, are programming errors."""
    with pytest.raises(ValueError, match="4096"):
        write_ranges(image, map_of((0, BLOCK)), STREAM, writers=workers, chunk=chunk)
