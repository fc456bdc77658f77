"""Filesystems on loop devices whose raw bytes can be searched, and the markers to search for.

The image file under the loop device *is* the raw device: once the filesystem is unmounted, what it holds is what a thief
of the disk would find. A test that never saw its markers there before the wipe proves nothing. Source: docs/lab.md, "The raw
device under a filesystem"; docs/physics.md 1.
"""

from __future__ import annotations

import mmap
import os
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.mounts import mount_points
from tests.lab.privatelibvirt import wait_for

BLOCK = 4096
MIB = 1024 * 1024


@dataclass(frozen=True)
class Kind:
    """How one kind of filesystem is made, tuned and mounted."""

    mkfs: tuple[str, ...]
    tune: tuple[str, ...] = ()
    options: str = ""
    nodatacow: bool = False
    size: int = 256 * MIB


# 4 KiB blocks, as on any real disk (mke2fs would take 1 KiB for one so small). btrfs would discard freed blocks in the
# background, and a test of what *remains* would depend on the moment.
MKFS_EXT4 = ("mkfs.ext4", "-q", "-F", "-b", "4096")
KINDS: dict[str, Kind] = {
    "ext4": Kind(MKFS_EXT4),
    "xfs": Kind(("mkfs.xfs", "-q", "-f", "-m", "reflink=1"), size=320 * MIB),
    "btrfs": Kind(("mkfs.btrfs", "-q", "-f"), options="nodiscard"),
    "btrfs-nodatacow": Kind(("mkfs.btrfs", "-q", "-f"), options="nodiscard", nodatacow=True),
    "ext4-journal": Kind(MKFS_EXT4, options="data=journal"),
    # Set as a default of the filesystem it does not show in /proc/mounts.
    "ext4-journal-default": Kind(MKFS_EXT4, tune=("tune2fs", "-o", "journal_data")),
}


class RawFilesystem:
    """One filesystem of a `KINDS` kind in the new sparse file ``image``; a context manager (unmounts, deletes it).

    ``size`` in bytes. ``nodatacow``: the root directory gets ``chattr +C``, so files made in it are not copied on write. ``copied_from``: the image of a
    filesystem of this kind, whose content it begins with.
    """

    def __init__(
        self, kind: str, image: Path, size: int = 0, *, mkfs_options: tuple[str, ...] = (), mount_options: str = "", copied_from: Path | None = None
    ) -> None:  # fmt: skip
        self.kind = kind
        self.image = image
        self.device = ""
        self.mount_point: Path | None = None
        self._recipe = KINDS[kind]
        self._options = ",".join(filter(None, ["loop", self._recipe.options, mount_options]))
        if copied_from is None:
            with image.open("xb") as file:
                file.truncate(size or self._recipe.size)
            _run(*self._recipe.mkfs, *mkfs_options, str(image))
        else:
            _run("cp", "--sparse=always", "--reflink=auto", str(copied_from), str(image))
        if self._recipe.tune:
            _run(*self._recipe.tune, str(image))

    def __enter__(self) -> RawFilesystem:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def mount(self, at: Path) -> Path:
        """Mount over the existing directory ``at``, whose owner and mode the new root takes; returns ``at``.

        Beneath a `PrivateLibvirt`'s ``workdir`` (use its ``path()`` for libvirt's own directories) the namespace sees
        the same mount.
        """
        before = at.stat()
        _run("mount", "-o", self._options, str(self.image), str(at))
        self.mount_point = at.resolve()
        self.device = _source_of(self.mount_point)
        lost_found = at / "lost+found"
        if lost_found.is_dir():
            lost_found.rmdir()
        os.chown(at, before.st_uid, before.st_gid)
        at.chmod(before.st_mode & 0o7777)
        if self._recipe.nodatacow:
            _run("chattr", "+C", str(at))
        return at

    def unmount(self) -> None:
        """Sync and unmount, then wait until no namespace holds the device; raises CalledProcessError where busy."""
        if self.mount_point is None:
            return
        os.sync()
        if self.mount_point in mount_points(self.mount_point):  # a lab that stopped has taken it along
            _run("umount", str(self.mount_point))
        self.mount_point = None
        wait_for(lambda: not _loops_of(self.image), f"{self.device} let go of {self.image}")

    def close(self) -> None:
        """Unmount if mounted, and delete the image."""
        self.unmount()
        self.image.unlink(missing_ok=True)

    def count(self, *needles: bytes) -> int:
        """How many 4 KiB blocks of the raw device hold any of the needles. Unmount first: only that is evidence."""
        if self.mount_point is not None:
            os.sync()
        return marked_blocks(self.image, *needles)


@dataclass(frozen=True)
class Markers:
    """Byte strings that exist nowhere else: ``WIPED-MARK-<run>-<n>-``. Search for `prefix` to find any of one run."""

    run: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def prefix(self) -> bytes:
        """What all markers of this run begin with."""
        return f"WIPED-MARK-{self.run}-".encode()

    def one(self, number: int) -> bytes:
        """Marker ``number``, padded to 64 bytes."""
        return (self.prefix + b"%d-" % number).ljust(64, b"=")

    def block(self, number: int) -> bytes:
        """4,096 bytes filled with marker ``number``."""
        return self.one(number) * (BLOCK // 64)

    def write(self, path: Path, blocks: int, *, at_block: int = 0) -> None:
        """Write ``blocks`` marked blocks into a (new or existing) file from block ``at_block`` on, and fsync."""
        with path.open("r+b" if path.exists() else "xb") as file:
            file.seek(at_block * BLOCK)
            for number in range(at_block, at_block + blocks):
                file.write(self.block(number))
            file.flush()
            os.fsync(file.fileno())


def marked_blocks(path: Path, *needles: bytes) -> int:
    """The number of 4 KiB blocks of a file in which any of the needles begins (holes are skipped)."""
    return len({offset // BLOCK for needle in needles for offset in _hits(path, needle)})


def occurrences(path: Path, needle: bytes) -> int:
    """How often a byte string stands in a file."""
    return sum(1 for _ in _hits(path, needle))


def _hits(path: Path, needle: bytes) -> Iterator[int]:
    """Offsets of ``needle``, ascending; reads only what is allocated (a needle never spans a hole of zeros)."""
    if not needle or b"\0" in needle:
        raise ValueError("a needle is not empty and holds no zero byte")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            end = 0
            while end < size:
                try:
                    start = os.lseek(file.fileno(), end, os.SEEK_DATA)
                except OSError:
                    return  # ENXIO: only a hole is left
                end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                hit = view.find(needle, start, end)
                while hit >= 0:
                    yield hit
                    hit = view.find(needle, hit + len(needle), end)


def _source_of(mount_point: Path) -> str:
    """The device that is mounted (last) at a mount point of this namespace."""
    source = ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if left.split(" ")[4].encode().decode("unicode_escape") == str(mount_point):
            source = right.split(" ")[1]
    if not source or not mount_points(mount_point):
        raise RuntimeError(f"nothing is mounted at {mount_point}")
    return source


def _loops_of(image: Path) -> list[str]:
    """Loop devices that still stand on an image."""
    return _run("losetup", "-n", "-O", "NAME", "-j", str(image)).split()


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
