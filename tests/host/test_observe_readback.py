"""Read-back on real filesystems: what is proven, by which way, and everything that must not pass for proof."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.host.observer_stage import ARTEFACT, SEED, directories_in, erase, identity_of, observer, request_for
from tests.lab.rawdevice import BLOCK, Markers, RawFilesystem
from wiped.errors import HelperError
from wiped.model.inventory import LibvirtDirectories
from wiped.model.outcome import Evidence
from wiped.model.policy import StorageRules
from wiped.observe.readback import read_back
from wiped.storage.extents import read_extents
from wiped.wire.messages import ReadBack

MakeFilesystem = Callable[..., RawFilesystem]
VIA = {"ext4": "block-odirect", "xfs": "block-odirect", "btrfs-nodatacow": "btrfs-nodatacow-file"}


def look(request: ReadBack, root: Path) -> Evidence:
    """A read-back in this process."""
    return read_back(request, StorageRules(roots=(str(root),)), LibvirtDirectories(state="/nonexistent/state", logs="/nonexistent/logs"))


def marked(filesystem: RawFilesystem, markers: Markers, blocks: int = 512) -> tuple[Path, Path]:
    """A sparse image with marked blocks at its start and its middle; and its root."""
    root = filesystem.mount_point
    assert root is not None
    path = root / "phone.raw"
    with path.open("xb") as file:
        file.truncate(64 << 20)
    markers.write(path, blocks // 2)
    markers.write(path, blocks // 2, at_block=4096)
    return path, root


@pytest.mark.parametrize("kind", VIA)
def test_erased_file_is_proven(raw_fs: MakeFilesystem, markers: Markers, kind: str) -> None:
    """Before the erasing nothing matches; after it all of it does, the way is named, and the raw device holds no marker."""
    filesystem = raw_fs(kind)
    path, root = marked(filesystem, markers)
    assert filesystem.count(markers.prefix) >= 512
    before = look(request_for(path), root)
    assert (before.reasons, before.mismatches) == (("readback-mismatch",), 512)
    request = erase(path)
    evidence = look(request, root)
    assert (evidence.reasons, evidence.via, evidence.mismatches, evidence.detail) == ((), VIA[kind], 0, "")
    assert evidence.bytes_verified == 512 * BLOCK
    assert (evidence.artefact_id, evidence.map_digest, evidence.sampled) == (ARTEFACT, request.map_digest, False)
    for instant in (evidence.started_at, evidence.ended_at):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", instant)
    assert datetime.fromisoformat(evidence.started_at) <= datetime.fromisoformat(evidence.ended_at)
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 0


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_one_flipped_bit_on_the_device_is_found(raw_fs: MakeFilesystem, markers: Markers, kind: str) -> None:
    """One bit changed behind the filesystem's back is one mismatch, although file and device were cached with the right bytes before."""
    filesystem = raw_fs(kind)
    path, root = marked(filesystem, markers)
    request = erase(path)
    with path.open("rb") as file:
        logical, physical, length = list(read_extents(file.fileno()).iter_ranges())[-1]
    with open(filesystem.device, "rb") as device:  # fills the device's page cache, which a buffered read would answer from
        device.seek(physical)
        device.read(length)
    assert look(request, root).reasons == ()
    with filesystem.image.open("r+b") as raw:
        raw.seek(physical + length - 7)
        byte = raw.read(1)[0]
        raw.seek(physical + length - 7)
        raw.write(bytes([byte ^ 0x10]))
    evidence = look(request, root)
    assert (evidence.reasons, evidence.mismatches) == (("readback-mismatch",), 1)
    assert evidence.detail == f"1 blocks differ, the first at offset {logical + length - BLOCK}"


def test_stale_cache_of_the_device_is_not_believed(raw_fs: MakeFilesystem, markers: Markers) -> None:
    """The device's page cache holds the old bytes; the O_DIRECT read sees the new ones."""
    filesystem = raw_fs("ext4")
    path, root = marked(filesystem, markers)
    with path.open("rb") as file:
        _, physical, length = next(iter(read_extents(file.fileno()).iter_ranges()))
    with open(filesystem.device, "rb") as device:
        device.seek(physical)
        assert markers.prefix in device.read(length)
        request = erase(path)
        assert (look(request, root).reasons, look(request, root).mismatches) == ((), 0)


def test_zeros_are_no_proof(raw_fs: MakeFilesystem, markers: Markers) -> None:
    """Zeros in place of the keystream are told as such: a discard or a deduplicator could have answered."""
    path, root = marked(raw_fs("ext4"), markers)
    with path.open("r+b") as file:
        file.write(bytes(256 * BLOCK))
        file.flush()
        os.fsync(file.fileno())
    request = erase(path)
    with path.open("r+b") as file:
        file.write(bytes(256 * BLOCK))
        file.flush()
        os.fsync(file.fileno())
    evidence = look(request, root)
    assert (evidence.reasons, evidence.mismatches) == (("readback-mismatch",), 256)
    assert "256 blocks repeat or are zero" in evidence.detail


def test_another_seed_or_artefact_does_not_match(raw_fs: MakeFilesystem, markers: Markers) -> None:
    """Evidence is of this artefact with this seed and pass; every other keystream differs in every block."""
    path, root = marked(raw_fs("ext4"), markers)
    request = erase(path)
    for other in (
        dataclasses.replace(request, seed=bytes(32).hex()),
        dataclasses.replace(request, artefact_id="art-x"),
        dataclasses.replace(request, passes=2),
    ):
        assert look(other, root).mismatches == 512


def test_moved_extents(raw_fs: MakeFilesystem, markers: Markers) -> None:
    """The same inode on other blocks: what was overwritten is not what is there now."""
    filesystem = raw_fs("xfs")
    path, root = marked(filesystem, markers)
    request = erase(path)
    copy = root / "copy"
    shutil.copyfile(path, copy)
    os.truncate(path, 0)
    (root / "blocker").write_bytes(bytes(4 << 20))
    shutil.copyfile(copy, path)
    os.sync()
    assert identity_of(path) == request.identity
    evidence = look(request, root)
    assert (evidence.reasons, evidence.via, evidence.bytes_verified) == (("extent-moved",), "", 0)


def test_another_file_at_the_same_place(raw_fs: MakeFilesystem, markers: Markers) -> None:
    """A file that was replaced, removed, linked or put behind a link gives no evidence."""
    path, root = marked(raw_fs("ext4"), markers)
    request = erase(path)
    aside = root / "aside"
    path.rename(aside)
    assert look(request, root).reasons == ("vanished",)
    path.write_bytes(b"another")
    assert look(request, root).reasons == ("readback-impossible",)
    path.unlink()
    path.symlink_to(aside)
    evidence = look(request, root)
    assert (evidence.reasons, evidence.detail.endswith("a symbolic link (symlink)")) == (("readback-impossible",), True)
    path.unlink()
    os.link(aside, path)
    assert look(request, root).reasons == ("readback-impossible",)
    aside.unlink()
    assert look(request, root).reasons == ()
    assert look(request, root.parent / "elsewhere").reasons == ("readback-impossible",)


@pytest.mark.parametrize(("kind", "reason"), [("btrfs", "cow-filesystem"), ("ext4-journal", "journaled-data"), ("ext4-journal-default", "journaled-data")])
def test_filesystems_that_keep_copies(raw_fs: MakeFilesystem, markers: Markers, kind: str, reason: str) -> None:
    """Copy-on-write and journaled data: every byte of the file may be right, and nothing is proven."""
    path, root = marked(raw_fs(kind), markers)
    request = erase(path) if kind != "btrfs" else request_for(path)
    evidence = look(request, root)
    assert reason in evidence.reasons
    assert (evidence.via, evidence.bytes_verified) == ("", 0)


@pytest.mark.parametrize("kind", ["xfs", "btrfs-nodatacow"])
def test_shared_extents(raw_fs: MakeFilesystem, markers: Markers, kind: str) -> None:
    """A reflink copy shares the blocks: reading them back proves nothing about who else holds them."""
    path, root = marked(raw_fs(kind), markers)
    request = erase(path)
    subprocess.run(["cp", "--reflink=always", path, root / "clone"], check=True)
    os.sync()
    evidence = look(request, root)
    assert "extent-shared" in evidence.reasons
    assert evidence.via == ""


def test_sample_reads_a_part(raw_fs: MakeFilesystem, markers: Markers) -> None:
    """A sample reads some pieces, says so, and finds a file that was not erased at all."""
    path, root = marked(raw_fs("ext4"), markers, blocks=8192)
    untouched = look(request_for(path, fraction_millionths=250_000), root)
    assert (untouched.reasons, untouched.sampled) == (("readback-mismatch",), True)
    erase(path)
    evidence = look(request_for(path, fraction_millionths=250_000), root)
    assert (evidence.reasons, evidence.via, evidence.sampled) == ((), "block-odirect", True)
    assert 0 < evidence.bytes_verified < 8192 * BLOCK


def test_empty_file(raw_fs: MakeFilesystem) -> None:
    """A file without any block has nothing that could be read: proven, with no bytes."""
    root = raw_fs("ext4").mount_point
    assert root is not None
    path = root / "console.log"
    path.touch()
    evidence = look(request_for(path), root)
    assert (evidence.reasons, evidence.via, evidence.bytes_verified) == ((), "block-odirect", 0)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
async def test_file_odirect_where_no_device_node_is(raw_fs: MakeFilesystem, markers: Markers, scratch: Path, kind: str) -> None:
    """An observer whose /dev has no block devices reads the file itself, O_DIRECT, and says so."""
    path, root = marked(raw_fs(kind), markers)
    untouched, request = request_for(path), None
    hidden = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev && exec "$@"', "sh")
    async with observer(StorageRules(roots=(str(root),)), directories_in(scratch / "libvirt"), prefix=hidden) as eyes:
        before = await eyes.read_back(untouched, lambda done, total: None)
        assert (before.reasons, before.mismatches) == (("readback-mismatch",), 512)
        request = erase(path)
        evidence = await eyes.read_back(request, lambda done, total: None)
    assert (evidence.reasons, evidence.via, evidence.mismatches, evidence.bytes_verified) == ((), "file-odirect", 0, 512 * BLOCK)


def test_requests_that_make_no_sense(raw_fs: MakeFilesystem, markers: Markers) -> None:
    """A short seed, no pass or an impossible fraction is the daemon's fault, not evidence."""
    path, root = marked(raw_fs("ext4"), markers)
    request = erase(path)
    for wrong in ({"seed": SEED.hex()[:-2]}, {"seed": "x" * 64}, {"passes": 0}, {"fraction_millionths": 0}, {"fraction_millionths": 1_000_001}):
        with pytest.raises(HelperError, match="impossible"):
            look(dataclasses.replace(request, **wrong), root)
