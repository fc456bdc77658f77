"""Extent maps as values: merging, digest, blobs, reasons to stop."""

from __future__ import annotations

import hashlib
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some

from wiped.errors import InputError
from wiped.model.inventory import FilesystemFacts
from wiped.storage.extents import ExtentMap, stop_reasons

EXT4 = FilesystemFacts(fs_type="ext4")


def map_of(*ranges: tuple[int, int, int]) -> ExtentMap:
    """A map of (logical, physical, length) ranges."""
    made = ExtentMap()
    for item in ranges:
        made.append(*item)
    return made


@some.composite
def maps(draw: some.DrawFn) -> ExtentMap:
    """Any map of up to 60 ranges, with neighbours that merge and some that do not."""
    made, at, on = ExtentMap(), 0, 4096
    for _ in range(draw(some.integers(0, 60))):
        at += draw(some.sampled_from([0, 0, 4096, 1 << 30]))
        on = draw(some.one_of(some.just(on), some.integers(1, 2**40).map(lambda number: number * 4096)))
        length = draw(some.integers(1, 1 << 20)) * 4096
        made.append(at, on, length)
        at, on = at + length, on + length
    made.flag_counts = draw(some.dictionaries(some.sampled_from(["last", "unwritten", "shared"]), some.integers(1, 99)))
    return made


def test_neighbours_merge() -> None:
    """Ranges contiguous in file and device are one; contiguous in only one of them stay two."""
    merged = map_of((0, 8192, 4096), (4096, 12288, 4096), (8192, 4096, 4096), (16384, 8192, 4096))
    assert list(merged.iter_ranges()) == [(0, 8192, 8192), (8192, 4096, 4096), (16384, 8192, 4096)]
    assert list(merged.iter_logical()) == [(0, 12288), (16384, 4096)]
    assert (merged.count, merged.bytes, merged.end) == (3, 16384, 20480)


def test_digest_is_of_the_ranges() -> None:
    """The digest is SHA-256 of the little-endian rows, whatever the flags."""
    made = map_of((0, 8192, 4096), (8192, 81920, 4096))
    before = made.digest
    made.flag_counts = {"unwritten": 2}
    assert before == made.digest == hashlib.sha256(struct.pack("<6Q", 0, 8192, 4096, 8192, 81920, 4096)).hexdigest()


def test_digest_follows_changes() -> None:
    """A digest that was asked for does not outlive an addition."""
    made = map_of((0, 8192, 4096))
    before = made.digest
    made.append(4096, 12288, 4096)
    assert made.digest == map_of((0, 8192, 8192)).digest != before


@given(maps(), some.integers(1, 70))
def test_blobs_round_trip(made: ExtentMap, size: int) -> None:
    """Blobs of any size give the same map again, flags included."""
    again = ExtentMap.from_blobs(made.to_blobs(size))
    assert (again.digest, again.bytes, again.count, again.flag_counts) == (made.digest, made.bytes, made.count, made.flag_counts)


@given(maps())
def test_logical_stretches_cover_the_same_bytes(made: ExtentMap) -> None:
    """What is written covers what is mapped: same sum, no overlap, no gapless neighbours left apart."""
    stretches = list(made.iter_logical())
    assert sum(length for _, length in stretches) == made.bytes
    assert all(start + length < following for (start, length), (following, _) in itertools.pairwise(stretches))


@given(some.binary(max_size=200))
def test_foreign_blobs(blob: bytes) -> None:
    """Bytes that are no blob of ours are bad input."""
    with pytest.raises(InputError):
        ExtentMap.from_blobs([blob])


def test_damaged_blobs() -> None:
    """A blob that was cut, repeated or had its count changed is refused; so is a bomb."""
    (blob,) = map_of((0, 8192, 4096), (8192, 81920, 4096)).to_blobs()
    for bad in ([blob[:-3]], [blob, blob[:-1]], [blob.replace(b'"n": 2', b'"n": 1')], [blob.replace(b'"n": 2', b'"n": 9')], [blob + b"x"]):
        with pytest.raises(InputError):
            ExtentMap.from_blobs(bad)


@pytest.mark.parametrize("item", [(4096, 0, 0), (0, 0, 4096), (2**64 - 1, 0, 4096), (8192, 2**64 - 1, 4096)])
def test_bad_ranges(item: tuple[int, int, int]) -> None:
    """Empty, overlapping and overflowing ranges are refused."""
    with pytest.raises(ValueError, match="extent"):
        map_of((0, 4096, 8192), item)


@pytest.mark.parametrize(
    ("flag", "reasons"),
    [
        ("last", ()),
        ("merged", ()),
        ("unwritten", ()),
        ("shared", ("extent-shared",)),
        ("encoded", ("extent-encoded",)),
        ("data-encrypted", ("extent-encoded",)),
        ("unknown", ("extent-unknown",)),
        ("delalloc", ("extent-unknown",)),
        ("not-aligned", ("extent-unknown",)),
        ("data-inline", ("extent-inline",)),
        ("data-tail", ("extent-inline",)),
        ("bit-0x40000", ("extent-unknown",)),
    ],
)
def test_stop_reasons(flag: str, reasons: tuple[str, ...]) -> None:
    """Each flag of docs/physics.md 2 stops with its reason; a flag nobody here knows stops too."""
    made = map_of((0, 8192, 4096))
    made.flag_counts = {flag: 1}
    assert stop_reasons(made, EXT4) == reasons


def test_physical_zero_is_no_place() -> None:
    """A mapped range at the device's very start is not believed."""
    assert stop_reasons(map_of((0, 0, 4096)), EXT4) == ("extent-unknown",)
