"""The proof recipe (docs/physics.md 2) on real filesystems: maps that stay, bytes that go, and what must stop us. Searched on the raw device."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.rawdevice import BLOCK, MIB, Markers, RawFilesystem
from wiped.decide.provable import provability_reasons
from wiped.errors import StorageError
from wiped.storage.direct import compare_ranges, write_ranges
from wiped.storage.extents import ExtentMap, read_extents, stop_reasons
from wiped.storage.filesystems import filesystem_facts, open_block_device
from wiped.storage.keystream import Keystream
from wiped.storage.paths import SafeFile, open_image

MakeFs = Callable[..., RawFilesystem]
STREAM = Keystream(bytes(range(32)), "artefact", 1)
IN_PLACE = ["ext4", "xfs", "btrfs-nodatacow"]
KEEP_SIZE = 1
libc = ctypes.CDLL(None, use_errno=True)


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """fallocate(2)."""
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def sparse(path: Path, markers: Markers) -> None:
    """4 MiB of markers in three pieces of a 64 MiB file that does not end on a block."""
    for at in (0, 3000, 9000):
        markers.write(path, 340, at_block=at)
    os.truncate(path, 64 * MIB + 1234)


def preallocated(path: Path, markers: Markers) -> None:
    """12 MiB preallocated, 4 MiB beyond the size, partly written."""
    with path.open("xb") as file:
        fallocate(file.fileno(), 0, 0, 8 * MIB)
        fallocate(file.fileno(), KEEP_SIZE, 8 * MIB, 4 * MIB)
    markers.write(path, 500, at_block=100)


def fragmented(path: Path, markers: Markers) -> None:
    """Every second block first, the others later; and holes."""
    with path.open("xb") as file:
        for start in (0, 1):
            for number in range(start, 900, 2):
                if number % 7:
                    os.pwrite(file.fileno(), markers.block(number), number * BLOCK)
            os.fsync(file.fileno())


def tiny(path: Path, markers: Markers) -> None:
    """Less than a block, as an NVRAM file may be (too long to be inline in btrfs)."""
    path.write_bytes(markers.block(0)[:3000])
    with path.open("rb") as file:
        os.fsync(file.fileno())


SHAPES = [sparse, preallocated, fragmented, tiny]


def opened(filesystem: RawFilesystem, path: Path) -> SafeFile:
    """The image, opened as the eraser does."""
    return open_image(str(filesystem.mount_point), str(path), write=True, expected=None)


def overwrite(image: SafeFile) -> tuple[ExtentMap, ExtentMap]:
    """The recipe's steps 2 to 4; the maps before and after."""
    before = read_extents(image.fd)
    assert write_ranges(image.fd, before, STREAM) == before.bytes
    os.fsync(image.fd)
    return before, read_extents(image.fd)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("kind", IN_PLACE)
def test_markers_are_gone_and_the_map_stays(raw_fs: MakeFs, markers: Markers, kind: str, shape: Callable[[Path, Markers], None]) -> None:
    """On a filesystem that overwrites in place: no reason to stop, the same map, the same blocks allocated, and no marker on the raw device."""
    filesystem = raw_fs(kind)
    assert filesystem.mount_point is not None
    path = filesystem.mount_point / "image"
    shape(path, markers)
    assert filesystem.count(markers.prefix) > 0
    with opened(filesystem, path) as image:
        facts = filesystem_facts(image.fd)
        assert (stop_reasons(read_extents(image.fd), facts), provability_reasons(facts)) == ((), ())
        blocks = os.fstat(image.fd).st_blocks
        before, after = overwrite(image)
        assert (after.digest, after.bytes) == (before.digest, before.bytes)
        assert before.bytes <= os.fstat(image.fd).st_blocks * 512 <= blocks * 512  # the map's own blocks, counted too, may become fewer
        assert compare_ranges(image.fd, before, STREAM, physical=False).proven
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 0


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_block_device_shows_a_single_flipped_byte(raw_fs: MakeFs, markers: Markers, kind: str) -> None:
    """Read back through the block device at physical ranges: all equal; then one byte changed there is one mismatch, which a cached file hides."""
    filesystem = raw_fs(kind)
    assert filesystem.mount_point is not None
    path = filesystem.mount_point / "image"
    fragmented(path, markers)
    with opened(filesystem, path) as image:
        before, _ = overwrite(image)
        device = open_block_device(image.stat.st_dev)
        assert device is not None
        try:
            found = compare_ranges(device, before, STREAM, physical=True)
            assert (found.bytes, found.proven) == (before.bytes, True)
            logical, physical, _ = list(before.iter_ranges())[-1]
            with open(filesystem.device, "r+b", buffering=0) as raw:
                os.pwrite(raw.fileno(), bytes([os.pread(raw.fileno(), 1, physical + 99)[0] ^ 1]), physical + 99)
                os.fsync(raw.fileno())
            found = compare_ranges(device, before, STREAM, physical=True)
            assert (found.mismatches, found.first_mismatch) == (1, logical)
        finally:
            os.close(device)


def test_block_device_is_not_there_for_btrfs(raw_fs: MakeFs) -> None:
    """btrfs has an anonymous device number: its device is named in the facts, and not read."""
    filesystem = raw_fs("btrfs")
    fd = os.open(str(filesystem.mount_point), os.O_RDONLY)
    try:
        assert filesystem_facts(fd).device == filesystem.device
        assert open_block_device(os.fstat(fd).st_dev) is None
    finally:
        os.close(fd)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_unwritten_extents_hold_old_blocks(raw_fs: MakeFs, markers: Markers, kind: str) -> None:
    """Preallocation over somebody's freed blocks reads as zeros and holds his markers: they go with the wipe, exactly as many as it covers."""
    filesystem = raw_fs(kind)
    at = filesystem.mount_point
    assert at is not None
    old, path = at / "old", at / "image"
    markers.write(old, 4096)
    with old.open("rb") as file:
        freed = {physical + at for _, physical, length in read_extents(file.fileno()).iter_ranges() for at in range(0, length, BLOCK)}
    old.unlink()
    os.statvfs(at)  # lets XFS finish the removal, which it does later
    os.sync()
    with path.open("xb") as file:
        with contextlib.suppress(OSError):  # until the filesystem is full
            for offset in range(0, 1 << 40, MIB):
                fallocate(file.fileno(), 0, offset, MIB)
        os.fsync(file.fileno())
    assert filesystem.count(markers.prefix) == 4096
    with opened(filesystem, path) as image:
        before, after = overwrite(image)
        assert ("unwritten" in before.flag_names, after.digest) == (True, before.digest)
        covered = sum(1 for _, physical, length in before.iter_ranges() for at in range(0, length, BLOCK) if physical + at in freed)
    filesystem.unmount()
    assert covered > 1000
    assert filesystem.count(markers.prefix) == 4096 - covered


def test_copy_on_write_moves(raw_fs: MakeFs, markers: Markers) -> None:
    """btrfs without nodatacow: said beforehand, and true: the map moves and the markers stay."""
    filesystem = raw_fs("btrfs")
    assert filesystem.mount_point is not None
    path = filesystem.mount_point / "image"
    markers.write(path, 1024)
    with opened(filesystem, path) as image:
        assert provability_reasons(filesystem_facts(image.fd)) == ("cow-filesystem",)
        before, after = overwrite(image)
        assert before.digest != after.digest
    filesystem.unmount()
    assert filesystem.count(markers.prefix) > 0


@pytest.mark.parametrize("kind", ["ext4-journal", "ext4-journal-default"])
def test_journaled_data_is_seen(raw_fs: MakeFs, markers: Markers, kind: str) -> None:
    """data=journal by mount option, and hidden in the superblock where the mount table does not show it; by any kind of descriptor."""
    filesystem = raw_fs(kind)
    assert filesystem.mount_point is not None
    path = filesystem.mount_point / "image"
    markers.write(path, 8)
    for flags in (os.O_RDONLY, os.O_PATH):
        fd = os.open(path, flags)
        facts = filesystem_facts(fd)
        os.close(fd)
        assert (facts.data_journal, provability_reasons(facts)) == (True, ("journaled-data",))
        assert "data=journal" in facts.mount_options
    shown = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {filesystem.mount_point} " in line]
    assert ("data=journal" in shown[-1]) is (kind == "ext4-journal")


def test_journaled_inode_is_seen(raw_fs: MakeFs, markers: Markers) -> None:
    """One file with the journal flag on an ordinary ext4, and its neighbour without."""
    filesystem = raw_fs("ext4")
    assert filesystem.mount_point is not None
    at = filesystem.mount_point
    for name in ("flagged", "plain"):
        markers.write(at / name, 8)
    filesystem.unmount()  # chattr +j needs a capability that containers lack: extents flag and journal flag, offline
    subprocess.run(["debugfs", "-w", "-R", "set_inode_field /flagged flags 0x84000", str(filesystem.image)], check=True, capture_output=True)
    filesystem.mount(at)
    answers = {}
    for name in ("flagged", "plain"):
        for flags in (os.O_RDONLY, os.O_PATH):
            fd = os.open(at / name, flags)
            answers[name, flags] = provability_reasons(filesystem_facts(fd))
            os.close(fd)
    assert answers == {(name, flags): (("journaled-data",) if name == "flagged" else ()) for name, flags in answers}


@pytest.mark.parametrize("kind", ["xfs", "btrfs-nodatacow"])
def test_reflink_is_shared(raw_fs: MakeFs, markers: Markers, kind: str) -> None:
    """A clone makes both files' extents shared, even where only a part is."""
    filesystem = raw_fs(kind)
    assert filesystem.mount_point is not None
    path = filesystem.mount_point / "image"
    markers.write(path, 1024)
    with opened(filesystem, path) as image:
        facts = filesystem_facts(image.fd)
        assert stop_reasons(read_extents(image.fd), facts) == ()
        subprocess.run(["cp", "--reflink=always", str(path), f"{path}.clone"], check=True)
        assert stop_reasons(read_extents(image.fd), facts) == ("extent-shared",)


def test_snapshot_is_shared(raw_fs: MakeFs, markers: Markers) -> None:
    """A btrfs snapshot shares the extents of a nodatacow file too."""
    filesystem = raw_fs("btrfs-nodatacow")
    assert filesystem.mount_point is not None
    subprocess.run(["btrfs", "-q", "subvolume", "create", f"{filesystem.mount_point}/sub"], check=True)
    subprocess.run(["chattr", "+C", f"{filesystem.mount_point}/sub"], check=True)
    path = filesystem.mount_point / "sub/image"
    markers.write(path, 1024)
    subprocess.run(["btrfs", "-q", "subvolume", "snapshot", f"{filesystem.mount_point}/sub", f"{filesystem.mount_point}/snap"], check=True)
    with path.open("rb") as file:
        facts = filesystem_facts(file.fileno())
        assert (facts.cow, stop_reasons(read_extents(file.fileno()), facts)) == (False, ("extent-shared",))


@pytest.mark.parametrize(("kind", "options"), [("ext4", ("-O", "inline_data", "-I", "512")), ("btrfs", ())])
def test_inline_data(raw_fs: MakeFs, kind: str, options: tuple[str, ...]) -> None:
    """A file that is kept within metadata has no blocks of its own to overwrite."""
    filesystem = raw_fs(kind, mkfs_options=options)
    assert filesystem.mount_point is not None
    path = filesystem.mount_point / "image"
    path.write_bytes(b"secret" * 20)
    os.sync()
    with path.open("rb") as file:
        assert "extent-inline" in stop_reasons(read_extents(file.fileno()), filesystem_facts(file.fileno()))


def test_compressed_data(raw_fs: MakeFs) -> None:
    """Compressed extents are not what was written."""
    filesystem = raw_fs("btrfs", mount_options="compress-force=zstd")
    assert filesystem.mount_point is not None
    path = filesystem.mount_point / "image"
    path.write_bytes(b"secret" * 200000)
    with path.open("rb") as file:
        assert "extent-encoded" in stop_reasons(read_extents(file.fileno()), filesystem_facts(file.fileno()))


def test_no_map_to_be_had() -> None:
    """Where the filesystem knows no FIEMAP, the storage is opaque."""
    with open("/proc/self/stat", "rb") as file, pytest.raises(StorageError) as caught:
        read_extents(file.fileno())
    assert caught.value.reason == "opaque-storage"


def test_write_error_of_the_device(raw_fs: MakeFs, scratch: Path) -> None:
    """A device that fails a write (its own backing store is full) is `io-error`, with the offset; reading back cannot vouch for it either."""
    outer = raw_fs("ext4", size=40 * MIB)
    assert outer.mount_point is not None
    point = scratch / "inner"
    point.mkdir()
    with RawFilesystem("ext4", outer.mount_point / "inner.img", 200 * MIB, mkfs_options=("-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard")) as inner:
        inner.mount(point)
        path = point / "image"
        with path.open("xb") as file:
            fallocate(file.fileno(), 0, 0, 100 * MIB)
            os.fsync(file.fileno())
        with opened(inner, path) as image:
            extents = read_extents(image.fd)
            with pytest.raises(StorageError, match=r"writing at offset \d+") as caught:
                write_ranges(image.fd, extents, STREAM)
            assert caught.value.reason == "io-error"
            try:  # the kernel may have dropped the pages that it could not write: then even reading fails
                assert not compare_ranges(image.fd, extents, STREAM, physical=False).proven
            except StorageError as error:
                assert error.reason == "io-error"  # noqa: PT017 - one of two answers, neither of which proves anything


@pytest.mark.long
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_fifty_thousand_extents(raw_fs: MakeFs, kind: str) -> None:
    """A badly fragmented file: every extent is found, the blobs are small, and all of it is written and read back."""
    filesystem = raw_fs(kind, size=640 * MIB)
    assert filesystem.mount_point is not None
    path = filesystem.mount_point / "image"
    with path.open("xb") as file:
        for number in range(50_000):
            fallocate(file.fileno(), 0, 2 * number * BLOCK, BLOCK)
        os.fsync(file.fileno())
    with opened(filesystem, path) as image:
        before, after = overwrite(image)
        assert (before.count, before.bytes, after.digest) == (50_000, 50_000 * BLOCK, before.digest)
        blobs = list(before.to_blobs())
        assert ExtentMap.from_blobs(blobs).digest == before.digest
        assert sum(len(blob) for blob in blobs) < 500_000
        device = open_block_device(image.stat.st_dev)
        assert device is not None
        try:
            assert compare_ranges(device, before, STREAM, physical=True).proven
        finally:
            os.close(device)


MEASURE = """
import os, resource, sys
from wiped.storage.extents import read_extents
fd = os.open(sys.argv[1], os.O_RDONLY)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = read_extents(fd)
found.digest
print(found.count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_of_a_map(raw_fs: MakeFs) -> None:
    """Reading a map of 50,000 extents costs a process of its own less than 6 MiB, of which arrays are 1.2: no objects per extent are kept."""
    filesystem = raw_fs("ext4", size=640 * MIB)
    assert filesystem.mount_point is not None
    path = filesystem.mount_point / "image"
    with path.open("xb") as file:
        for number in range(50_000):
            fallocate(file.fileno(), 0, 2 * number * BLOCK, BLOCK)
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True)
    count, kibibytes = (int(word) for word in done.stdout.split())
    assert count == 50_000
    assert kibibytes * 1024 < 6 * MIB
