"""Blocks that a guest trimmed or a file lost (docs/physics.md 3): unreadable after FITRIM on a loop device; still there, and said so, where discards do
nothing."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import images
from tests.lab.privatelibvirt import wait_for
from tests.lab.rawdevice import BLOCK, MIB, MKFS_EXT4, Markers, RawFilesystem, marked_blocks
from wiped.model.policy import StorageRules
from wiped.storage.filesystems import filesystem_facts
from wiped.storage.free_space import PROBE_BYTES, make_free_space_unreadable, probe_trim

MakeFs = Callable[..., RawFilesystem]


TRIM = StorageRules(trim=True)


SLACK = 2 * MIB


#: linux/loop.h
LOOP_CTL_ADD, LOOP_CTL_REMOVE = 0x4C80, 0x4C81


BLOCKS = 4096


def lose(directory: Path, markers: Markers) -> None:
    """The case of docs/physics.md 1: 4,096 marked blocks in an image of 128 MiB, which the guest then trims."""
    image = images.create(directory / "disk", 128 * MIB, "raw")
    images.write_markers(image, markers, BLOCKS, "raw")
    images.discard(image, 0, BLOCKS, "raw")


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_trimmed_blocks_are_unreadable_afterwards(raw_fs: MakeFs, markers: Markers, kind: str) -> None:
    """4,096 markers before, 0 afterwards; no file of ours is left."""
    filesystem = raw_fs(kind)
    assert filesystem.mount_point is not None
    lose(filesystem.mount_point, markers)
    assert filesystem.count(markers.prefix) == BLOCKS
    names = sorted(os.listdir(filesystem.mount_point))
    found = make_free_space_unreadable(str(filesystem.mount_point), TRIM)
    assert (found.method, found.detail, found.bytes > 100 * MIB) == ("fitrim", "", True)
    assert sorted(os.listdir(filesystem.mount_point)) == names
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 0


@pytest.fixture
def deaf(scratch: Path) -> Iterator[tuple[Path, Path]]:
    """(mount point, raw file): an ext4 on a loop device that takes every discard and does nothing. The loop device's file is a FUSE export of QEMU's, which
    ignores discards."""
    raw, node, mount = scratch / "raw", scratch / "node", scratch / "m"
    with raw.open("xb") as file:
        file.truncate(300 * MIB)
    subprocess.run([*MKFS_EXT4, str(raw)], check=True)
    node.touch()
    mount.mkdir()
    daemon = subprocess.Popen(
        ["qemu-storage-daemon", "--blockdev", f"driver=file,node-name=f,filename={raw},discard=ignore", "--blockdev",
         "driver=raw,node-name=r,file=f,discard=ignore", "--export", f"type=fuse,id=e,node-name=r,mountpoint={node},writable=on,allow-other=off"]
    )  # fmt: skip
    wait_for(lambda: os.path.ismount(node) or node.stat().st_size > 0, "the export is there")
    subprocess.run(["mount", "-o", "loop", str(node), str(mount)], check=True)
    yield mount, raw
    if os.path.ismount(mount):
        subprocess.run(["umount", str(mount)], check=True)
    wait_for(lambda: not subprocess.run(["losetup", "-j", str(node)], capture_output=True, check=True).stdout, "the loop device is gone")
    subprocess.run(["umount", str(node)], check=True)
    daemon.terminate()
    daemon.wait(10)


def test_a_device_that_ignores_discards_is_found_out(deaf: tuple[Path, Path], markers: Markers) -> None:
    """FITRIM succeeds and reports bytes; the probe's blocks are all still there, so nothing is claimed, and the markers stay indeed."""
    mount, raw = deaf
    lose(mount, markers)
    with (raw.parent / "node").open("rb") as served:
        assert not filesystem_facts(served.fileno()).local  # FUSE: somebody else's program, or another host
    subprocess.run(["fstrim", str(mount)], check=True)
    fd = os.open(mount, os.O_RDONLY)
    try:
        probe = probe_trim(fd)
    finally:
        os.close(fd)
    assert (probe.unreadable, probe.left, probe.bytes > 0) == (False, PROBE_BYTES // BLOCK, True)
    found = make_free_space_unreadable(str(mount), TRIM)
    assert (found.method, "gives discarded blocks back" in found.detail) == ("", True)
    subprocess.run(["umount", str(mount)], check=True)
    assert marked_blocks(raw, markers.prefix) == BLOCKS


def test_where_discards_do_nothing_the_filling_helps(deaf: tuple[Path, Path], markers: Markers) -> None:
    """Without a reserve the free space is written all over; nothing of ours is left, and the space is free again. (Whether the allocator gave every last
    block is told in the answer.)"""
    mount, raw = deaf
    lose(mount, markers)
    assert marked_blocks(raw, markers.prefix) == BLOCKS
    free = os.statvfs(mount).f_bfree
    found = make_free_space_unreadable(str(mount), StorageRules(trim=True, fill_free_space=True, fill_reserve=0))
    assert (found.method, "could not be had" in found.detail) in (("fill", False), ("", True))
    wait_for(lambda: (os.sync(), abs(os.statvfs(mount).f_bfree - free) < 64)[1], "the space is free again")
    subprocess.run(["umount", str(mount)], check=True)
    assert marked_blocks(raw, markers.prefix) == 0


@pytest.fixture
def mute(scratch: Path) -> Iterator[Path]:
    """Mount point of an ext4 on a loop device that knows no discard. The switch outlives the file and cannot be set back, so the device is one of our own."""
    number = 5000 + os.getpid() % 1000
    image, mount, node = scratch / "image", scratch / "m", f"/dev/loop{number}"
    with image.open("xb") as file:
        file.truncate(200 * MIB)
    subprocess.run([*MKFS_EXT4, str(image)], check=True)
    mount.mkdir()
    with open("/dev/loop-control", "rb") as control:
        fcntl.ioctl(control, LOOP_CTL_ADD, number)
        wait_for(lambda: os.path.exists(node), "the device's node is there")
        subprocess.run(["losetup", node, str(image)], check=True)
        Path(f"/sys/block/loop{number}/queue/discard_max_bytes").write_text("0")
        subprocess.run(["mount", node, str(mount)], check=True)
        yield mount
        subprocess.run(["umount", str(mount)], check=True)
        subprocess.run(["losetup", "-d", node], check=True)
        wait_for(lambda: not os.path.exists(f"/sys/block/loop{number}/loop"), "the device is free")
        fcntl.ioctl(control, LOOP_CTL_REMOVE, number)


def test_a_device_without_discard(mute: Path) -> None:
    """Its queue says so: nothing is tried."""
    found = make_free_space_unreadable(str(mute), TRIM)
    assert (found.method, found.detail) == ("", "the device knows no discard")


@pytest.mark.parametrize(("kind", "part"), [("btrfs", "cow-filesystem"), ("ext4-journal", "journaled-data"), ("btrfs-nodatacow", "FITRIM on btrfs")])
def test_where_nothing_can_be_known(raw_fs: MakeFs, kind: str, part: str) -> None:
    """Filesystems that write elsewhere: said, not tried."""
    filesystem = raw_fs(kind)
    found = make_free_space_unreadable(str(filesystem.mount_point), StorageRules(trim=True, fill_free_space=True, fill_reserve=0))
    assert (found.method, part in found.detail) == ("", True)


def test_neither_is_wanted_and_no_directory(raw_fs: MakeFs, scratch: Path) -> None:
    """The rules say no; a place that is not there, or a link to one."""
    filesystem = raw_fs("ext4")
    found = make_free_space_unreadable(str(filesystem.mount_point), StorageRules(trim=False))
    assert (found.method, "neither" in found.detail) == ("", True)
    assert "no such file" in make_free_space_unreadable(str(scratch / "none"), TRIM).detail
    (scratch / "link").symlink_to(str(filesystem.mount_point))
    assert "symbolic link" in make_free_space_unreadable(str(scratch / "link"), TRIM).detail


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_filling_keeps_its_reserve(raw_fs: MakeFs, kind: str) -> None:
    """Free space never falls below the reserve, whatever is reached by it."""
    filesystem = raw_fs(kind)
    assert filesystem.mount_point is not None
    low = []

    def watch(done: int, total: int) -> None:
        found = os.statvfs(filesystem.mount_point or "/")
        low.append(found.f_bavail * found.f_frsize)

    rules = StorageRules(trim=False, fill_free_space=True, fill_reserve=48 * MIB)
    make_free_space_unreadable(str(filesystem.mount_point), rules, progress=watch)
    assert len(low) > 50
    assert min(low) >= 48 * MIB - SLACK


def test_what_the_filling_claims_is_so(deaf: tuple[Path, Path], markers: Markers) -> None:
    """With a reserve it may not come everywhere: then it claims nothing, and says how much is left; what it does claim is true on the raw device."""
    mount, raw = deaf
    lose(mount, markers)
    found = make_free_space_unreadable(str(mount), StorageRules(trim=False, fill_free_space=True, fill_reserve=40 * MIB))
    assert bool(found.method) != bool(found.detail)
    subprocess.run(["umount", str(mount)], check=True)
    assert not (found.method and marked_blocks(raw, markers.prefix))
    assert marked_blocks(raw, markers.prefix) < BLOCKS


def test_the_filling_stops_for_a_neighbour_and_when_told(raw_fs: MakeFs) -> None:
    """Somebody takes 100 MiB meanwhile; somebody says stop."""
    filesystem = raw_fs("ext4", size=600 * MIB)
    assert filesystem.mount_point is not None
    top = filesystem.mount_point

    def disturb(done: int, total: int) -> None:
        if done > 32 * MIB and not (top / "neighbour").exists():
            with (top / "neighbour").open("xb") as file:
                os.posix_fallocate(file.fileno(), 0, 100 * MIB)

    rules = StorageRules(trim=False, fill_free_space=True, fill_reserve=16 * MIB)
    found = make_free_space_unreadable(str(top), rules, progress=disturb)
    assert (found.method, found.detail) == ("", "another writer needs the room")
    calls = []
    found = make_free_space_unreadable(str(top), rules, should_stop=lambda: bool(calls.append(1)) or len(calls) > 1)
    assert (found.method, found.detail) == ("", "stopped")
