"""Maps taken apart, as arithmetic: shared and private parts, stretches of a device, and what a million extents cost."""

from __future__ import annotations

import tracemalloc
from array import array

from hypothesis import given
from hypothesis import strategies as st

from wiped.storage.extents import ExtentMap
from wiped.storage.fsmap import FreeSpace
from wiped.storage.shared_extents import _compare

BLOCK = 4096
RANGES = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 40), st.booleans()), max_size=12)


def mapped(ranges: list[tuple[int, int, int, bool]]) -> ExtentMap:
    """A map of (gap, length, physical, shared) in blocks."""
    found, at = ExtentMap(), 0
    for gap, length, physical, shared in ranges:
        at += gap
        found.append(at * BLOCK, physical * BLOCK, length * BLOCK, shared=shared)
        at += length
    return found


def blocks(extents: ExtentMap) -> dict[int, int]:
    """Logical block -> physical block."""
    return {(logical + at) // BLOCK: (physical + at) // BLOCK for logical, physical, length in extents.iter_ranges() for at in range(0, length, BLOCK)}


def shared_blocks(ranges: list[tuple[int, int, int, bool]]) -> set[int]:
    """Logical blocks that were appended as shared."""
    found, at = set(), 0
    for gap, length, _, shared in ranges:
        at += gap
        found |= set(range(at, at + length)) if shared else set()
        at += length
    return found


@given(RANGES)
def test_cut_by_sharing(ranges: list[tuple[int, int, int, bool]]) -> None:
    """However ranges were merged, each block says whether it is shared, and stands where it stood."""
    extents = mapped(ranges)
    seen, shared = ExtentMap(), set()
    for logical, physical, length, is_shared in extents.by_sharing():
        seen.append(logical, physical, length)
        shared |= set(range(logical // BLOCK, (logical + length) // BLOCK)) if is_shared else set()
    assert blocks(seen) == blocks(extents)
    assert shared == shared_blocks(ranges)
    assert extents.shared_bytes == len(shared) * BLOCK


@given(RANGES, RANGES)
def test_what_a_golden_image_has_in_the_same_place(one: list[tuple[int, int, int, bool]], two: list[tuple[int, int, int, bool]]) -> None:
    """Block by block: same offset and same place, or the rest."""
    wanted, golden = mapped(one), mapped(two)
    same, rest = _compare(wanted, golden)
    equal = {logical for logical, physical in blocks(wanted).items() if blocks(golden).get(logical) == physical}
    assert blocks(same) == {logical: physical for logical, physical in blocks(wanted).items() if logical in equal}
    assert blocks(rest) == {logical: physical for logical, physical in blocks(wanted).items() if logical not in equal}


def test_sharing_leaves_digest_and_blobs_as_they_were() -> None:
    """It is beside the ranges: an approved plan or a saved map of an older version stays valid."""
    plain, marked = mapped([(0, 3, 5, False), (1, 2, 9, False)]), mapped([(0, 3, 5, True), (1, 2, 9, False)])
    assert (plain.digest, list(plain.to_blobs())) == (marked.digest, list(marked.to_blobs()))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), max_size=8), RANGES)
def test_stretches_of_a_device(pieces: list[tuple[int, int]], ranges: list[tuple[int, int, int, bool]]) -> None:
    """Taking out, and what is common, as sets of blocks."""
    at, stretches = 0, []
    for gap, length in pieces:
        stretches.append(((at + gap) * BLOCK, length * BLOCK))
        at += gap + length
    space, taken = FreeSpace(stretches), mapped(ranges)

    def as_set(found: FreeSpace) -> set[int]:
        return {spot for start, length in zip(found.start, found.length, strict=True) for spot in range(start // BLOCK, (start + length) // BLOCK)}

    left = space.without(taken)
    assert as_set(left) == as_set(space) - set(blocks(taken).values())
    assert left.bytes == len(as_set(left)) * BLOCK
    assert as_set(space.common(left)) == as_set(left)
    assert as_set(left.common(space)) == as_set(left)


def test_memory_is_a_hundred_bytes_an_extent() -> None:
    """Reading, taking apart and comparing with a golden image: 100 MiB for a million extents."""
    tracemalloc.start()
    try:
        count = 10_000
        extents, golden = ExtentMap(), ExtentMap()
        for index in range(count):
            extents.append(index * 2 * BLOCK, index * 3 * BLOCK + BLOCK, BLOCK, shared=index % 2 == 0)
        private, rest = ExtentMap(), ExtentMap()
        for logical, physical, length, shared in extents.by_sharing():
            (rest if shared else private).append(logical, physical, length)
        golden.logical, golden.physical, golden.length = array("Q", rest.logical), array("Q", rest.physical), array("Q", rest.length)
        same, none = _compare(rest, golden)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (private.count, same.count, none.count) == (count // 2, count // 2, 0)
    assert peak < 105 * count + (1 << 20)
