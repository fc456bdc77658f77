"""Reflinked clones on a real XFS: the golden image's blocks stay, the phone's own go, and whatever else is shared is refused. Searched on the raw device."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.images import digest
from tests.lab.privatelibvirt import wait_for
from tests.lab.rawdevice import BLOCK, MIB, Markers, RawFilesystem
from wiped.model.inventory import LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.storage.artefacts import ArtefactMap, map_artefact
from wiped.storage.classified import record_name
from wiped.storage.direct import compare_ranges, write_ranges
from wiped.storage.extents import ExtentMap, read_extents
from wiped.storage.filesystems import open_block_device
from wiped.storage.image_chain import look_at_layer
from wiped.storage.keystream import Keystream
from wiped.storage.paths import open_image
from wiped.storage.shared_extents import GoldenFiles

MakeFs = Callable[..., RawFilesystem]
STREAM = Keystream(bytes(range(32)), "artefact", 1)
GOLDEN_BLOCKS = 2048


@pytest.fixture
def pool(raw_fs: MakeFs, markers: Markers) -> RawFilesystem:
    """An XFS with a golden image of 8 MiB of marked blocks in `golden/`, and a clone of it in `phones/disk`."""
    filesystem = raw_fs("xfs")
    top = top_of(filesystem)
    for name in ("golden", "phones"):
        (top / name).mkdir()
    markers.write(top / "golden/base.raw", GOLDEN_BLOCKS)
    clone(top / "golden/base.raw", top / "phones/disk")
    return filesystem


def top_of(filesystem: RawFilesystem) -> Path:
    """Where it is mounted."""
    assert filesystem.mount_point is not None
    return filesystem.mount_point


def clone(source: Path, target: Path) -> None:
    """cp --reflink=always, synced."""
    subprocess.run(["cp", "--reflink=always", str(source), str(target)], check=True)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def rules(filesystem: RawFilesystem, *, golden: bool = True) -> StorageRules:
    """The pool as root, and its golden directory protected."""
    top = top_of(filesystem)
    return StorageRules(roots=(str(top),), protected=(f"{top}/golden",) if golden else ())


def mapped(filesystem: RawFilesystem, name: str = "phones/disk", **options: object) -> ArtefactMap:
    """The artefact's map."""
    top = top_of(filesystem)
    directories = LibvirtDirectories(classified=str(top / "classified"))
    with (top / name).open("rb") as file:
        return map_artefact(file.fileno(), options.pop("rules", rules(filesystem)), directories, **options)  # type: ignore[arg-type]


def own_blocks(path: Path, secrets: Markers, blocks: list[int]) -> None:
    """The phone overwrites single blocks of its clone, and appends some."""
    with path.open("r+b") as file:
        for number in blocks:
            file.seek(number * BLOCK)
            file.write(secrets.block(number))
        file.flush()
        os.fsync(file.fileno())


def test_private_blocks_go_and_the_golden_image_stays(pool: RawFilesystem, markers: Markers) -> None:
    """Blocks that the phone wrote, scattered and beyond the end: found on the raw device before, none after; the golden image's digest is the same, and its
    markers are all still there. Every private block was overwritten where it stood."""
    top, secrets = top_of(pool), Markers()
    numbers = [*range(40), *range(100, 1000, 7), *range(1500, 1564), *range(GOLDEN_BLOCKS, GOLDEN_BLOCKS + 50)]
    own_blocks(top / "phones/disk", secrets, numbers)
    before = digest(top / "golden/base.raw")
    assert pool.count(secrets.prefix) == len(numbers)
    with open_image(str(top), str(top / "phones/disk"), write=True, expected=None) as image:
        directories = LibvirtDirectories(classified=str(top / "classified"))
        found = map_artefact(image.fd, rules(pool), directories, settled=True)
        assert (found.reasons, found.golden, found.block) == ((), str(top / "golden/base.raw"), False)
        assert found.retained is not None
        assert found.extents.bytes == len(numbers) * BLOCK
        assert found.retained.bytes == (GOLDEN_BLOCKS - len([number for number in numbers if number < GOLDEN_BLOCKS])) * BLOCK
        assert found.extents.shared_bytes == 0
        assert "shared" not in found.extents.flag_names
        assert write_ranges(image.fd, found.extents, STREAM) == found.extents.bytes
        os.fsync(image.fd)
        after = map_artefact(image.fd, rules(pool), directories)
        assert (after.digest, after.retained and after.retained.digest) == (found.digest, found.retained.digest)
        device = open_block_device(image.stat.st_dev)
        assert device is not None
        try:
            assert compare_ranges(device, found.extents, STREAM, physical=True).proven
        finally:
            os.close(device)
    assert digest(top / "golden/base.raw") == before
    pool.unmount()
    assert (pool.count(secrets.prefix), pool.count(markers.prefix)) == (0, GOLDEN_BLOCKS)


def test_speculative_preallocation_is_dropped(pool: RawFilesystem, markers: Markers) -> None:
    """XFS keeps new blocks ready around a shared block that was written. Overwritten within it, a private block would move: settled, it stays."""
    top, secrets = top_of(pool), Markers()
    path = top / "phones/disk"
    own_blocks(path, secrets, [*range(70, 76), *range(200, 206)])
    pool.unmount()  # drops what is kept ready by now
    pool.mount(top)
    with path.open("r+b", buffering=0) as guest:
        for number in (78, 208):  # near the private blocks, in one 128 KiB with them
            os.pwrite(guest.fileno(), secrets.block(number), number * BLOCK)
        os.fsync(guest.fileno())
        with open_image(str(top), str(path), write=True, expected=None) as image:
            found = map_artefact(image.fd, rules(pool), LibvirtDirectories(classified="/nowhere"), settled=True)
            assert found.reasons == ()
            write_ranges(image.fd, found.extents, STREAM)
            os.fsync(image.fd)
            assert map_artefact(image.fd, rules(pool), LibvirtDirectories(classified="/nowhere")).digest == found.digest
    pool.unmount()
    assert pool.count(secrets.prefix) == 0


def test_without_the_golden_image_all_shared_blocks_are_foreign(pool: RawFilesystem) -> None:
    """Whose the other name is, cannot be known: the whole file is refused."""
    found = mapped(pool, rules=rules(pool, golden=False))
    assert (found.reasons, found.retained, found.golden) == (("extent-shared",), None, "")


def test_a_copy_of_the_phones_own_blocks_is_foreign(pool: RawFilesystem) -> None:
    """A backup by reflink shares what the phone wrote: overwriting would leave it there."""
    top = top_of(pool)
    own_blocks(top / "phones/disk", Markers(), [5, 6, 7])
    assert mapped(pool).reasons == ()
    clone(top / "phones/disk", top / "phones/backup")
    assert mapped(pool).reasons == ("extent-shared",)
    (top / "phones/backup").unlink()
    wait_for(lambda: mapped(pool).reasons == (), "XFS let go of the removed backup's blocks")


def test_golden_blocks_at_another_offset_are_foreign(pool: RawFilesystem) -> None:
    """Only the same place of the golden image is the golden's content in the phone's place."""
    top = top_of(pool)
    (top / "phones/shifted").touch()
    subprocess.run(["xfs_io", "-c", f"reflink {top}/golden/base.raw 0 {MIB} {MIB}", str(top / "phones/shifted")], check=True, capture_output=True)
    assert mapped(pool, "phones/shifted").reasons == ("extent-shared",)


def test_two_golden_images_in_one_clone(pool: RawFilesystem, markers: Markers) -> None:
    """Each shared block may be another golden image's."""
    top = top_of(pool)
    Markers().write(top / "golden/second.raw", 256)
    subprocess.run(["xfs_io", "-c", f"reflink {top}/golden/second.raw 0 0 {MIB}", str(top / "phones/disk")], check=True, capture_output=True)
    found = mapped(pool)
    assert (found.reasons, found.extents.bytes) == ((), 0)
    assert found.retained is not None
    assert found.retained.bytes == GOLDEN_BLOCKS * BLOCK


def test_a_golden_pool_and_a_classified_image_count_too(pool: RawFilesystem) -> None:
    """Beside protected roots: the directories of golden pools, and what people classified."""
    top = top_of(pool)
    plain = rules(pool, golden=False)
    assert mapped(pool, rules=plain, golden_directories=[str(top / "golden")]).reasons == ()
    golden = top / "golden/base.raw"
    (top / "classified").mkdir()
    record = {"path": str(golden), "device": golden.stat().st_dev, "inode": golden.stat().st_ino, "as": "golden", "at": "2026-01-01T00:00:00Z"}
    (top / "classified" / record_name(str(golden))).write_text(json.dumps(record))
    assert mapped(pool, rules=plain).golden == str(golden)


def test_the_observers_layer_tells_both_parts(pool: RawFilesystem) -> None:
    """The same map as the eraser's; foreign blocks are the layer's problem; and without candidates nothing is taken apart."""
    top = top_of(pool)
    own_blocks(top / "phones/disk", Markers(), [1, 2, 3])
    goldens = GoldenFiles(rules(pool), LibvirtDirectories(classified="/nowhere"))
    options = {"roots": [str(top)], "protected": [f"{top}/golden"], "libvirt_dirs": [], "with_extents": True}
    layer = look_at_layer(str(top / "phones/disk"), "raw", goldens=goldens, **options)  # type: ignore[arg-type]
    found = mapped(pool)
    assert found.retained is not None
    assert (layer.problem, layer.extents, layer.retained_extents, layer.golden) == ("", found.extents.facts(), found.retained.facts(), found.golden)
    clone(top / "phones/disk", top / "phones/backup")
    assert look_at_layer(str(top / "phones/disk"), "raw", goldens=goldens, **options).problem == "extent-shared"  # type: ignore[arg-type]


def test_an_unshared_map_is_what_it_was(pool: RawFilesystem) -> None:
    """No sharing: one map, whatever is protected; the same digest by both ways of reading it."""
    top = top_of(pool)
    Markers().write(top / "phones/own", 300)
    found = mapped(pool, "phones/own")
    with (top / "phones/own").open("rb") as file:
        whole = read_extents(file.fileno())
    assert (found.reasons, found.retained, found.digest) == ((), None, whole.digest)
    assert ExtentMap.from_blobs(found.extents.to_blobs()).digest == whole.digest
