"""How block devices stand on one another: sysfs' holders and slaves, partitions and their disk, loop devices and their files; and who claims one."""

from __future__ import annotations

import os
import stat as st
from collections.abc import Callable
from functools import cached_property
from typing import Final

from wiped.model.inventory import BlockFacts, FileIdentity
from wiped.model.plan import RefusalCode
from wiped.storage.filesystems import device_layers, first_line
from wiped.storage.kernel import identity_of
from wiped.storage.mounts import Mount, read_mounts

SYS: Final = "/sys/dev/block"
#: A kernel that knew deeper stacks would have run out of stack.
_DEPTH: Final = 32
#: Kernel names whose bytes are on this host and overwritten where they stand.
_DISKS: Final = ("sd", "vd", "xvd", "hd", "nvme", "mmcblk", "dasd")
#: Kernel names whose bytes are elsewhere, in memory, or where the driver likes.
_OPAQUE: Final = ("nbd", "rbd", "zram", "ram", "zd", "drbd", "ublk", "pmem", "sr", "fd", "bcache")
_DELETED: Final = " (deleted)"

Claim = tuple[str, str]


def number_of(rdev: int) -> str:
    """ "major:minor"."""
    return f"{os.major(rdev)}:{os.minor(rdev)}"


class DeviceTree:
    """One look at the host's block devices; what was read once is kept, so make a new one for each look. Devices are named by "major:minor"."""

    def __init__(self, sys: str = SYS) -> None:
        self._sys = sys
        self._below: dict[str, tuple[str, ...]] = {}
        self._above: dict[str, tuple[str, ...]] = {}

    def directory(self, number: str) -> str:
        """The device's directory in sysfs, "" for none."""
        path = os.path.realpath(f"{self._sys}/{number}")
        return path if os.path.isdir(path) else ""

    @cached_property
    def loops(self) -> dict[str, tuple[str, FileIdentity | None]]:
        """Bound loop devices: number -> (path of the file, its identity as seen from here)."""
        found = {}
        try:
            numbers = os.listdir(self._sys)
        except OSError:
            numbers = []
        for number in numbers:
            if number.startswith("7:") and (path := first_line(f"{self._sys}/{number}/loop/backing_file", strip=False)):
                found[number] = (path, _identity(path))
        return found

    @cached_property
    def mounts(self) -> tuple[Mount, ...]:
        """The mounts of this namespace."""
        return tuple(read_mounts().values())

    @cached_property
    def swaps(self) -> frozenset[int]:
        """Device numbers that are swapped to."""
        try:
            with open("/proc/swaps", encoding="utf-8", errors="surrogateescape") as source:
                names = [line.split()[0] for line in source.read().splitlines()[1:] if line.split()]
        except OSError:
            return frozenset()
        return frozenset(found.st_rdev for name in names if (found := _stat(name)) is not None and st.S_ISBLK(found.st_mode))

    @cached_property
    def btrfs_members(self) -> frozenset[str]:
        """Kernel names of all devices of mounted btrfs filesystems; a mount shows but one."""
        names: set[str] = set()
        try:
            for filesystem in os.listdir("/sys/fs/btrfs"):
                devices = f"/sys/fs/btrfs/{filesystem}/devices"
                names.update(os.listdir(devices) if os.path.isdir(devices) else ())
        except OSError:
            pass
        return frozenset(names)

    def backing_path(self, number: str) -> str:
        """The file that a loop device shows, "" for none."""
        return self.loops.get(number, ("", None))[0]

    def backing_identity(self, number: str) -> FileIdentity | None:
        """The regular file that a loop device shows; None for none, for a device, and for one that cannot be seen from here."""
        identity = self.loops.get(number, ("", None))[1]
        return identity if identity is not None and identity.inode else None

    def parents(self, number: str) -> tuple[str, ...]:
        """What it stands on directly: a partition's disk, slaves, the device that a loop device shows."""
        base = self.directory(number)
        found = [] if not base else [_number_at(f"{base}/slaves/{name}") for name in _names(f"{base}/slaves")]
        if base and os.path.exists(f"{base}/partition"):
            found.append(_number_at(os.path.dirname(base)))
        shown = self.loops.get(number, ("", None))[1]
        if shown is not None and not shown.inode:
            found.append(number_of(shown.device))
        return tuple(dict.fromkeys(each for each in found if each))

    def children(self, number: str) -> tuple[str, ...]:
        """What stands on it directly: partitions, holders, loop devices that show it."""
        base = self.directory(number)
        found = [] if not base else [_number_at(f"{base}/holders/{name}") for name in _names(f"{base}/holders")]
        found += [_number_at(f"{base}/{name}") for name in _names(base) if os.path.exists(f"{base}/{name}/partition")] if base else []
        found += self.loops_on(number)
        return tuple(dict.fromkeys(each for each in found if each))

    def loops_on(self, number: str) -> tuple[str, ...]:
        """Loop devices that show this device."""
        major, _, minor = number.partition(":")
        own = FileIdentity(os.makedev(int(major), int(minor)), 0)
        return tuple(each for each, (_, identity) in self.loops.items() if identity == own)

    def below(self, number: str) -> tuple[str, ...]:
        """Everything that it stands on, however deep."""
        if number not in self._below:
            self._below[number] = _closure(number, self.parents)
        return self._below[number]

    def above(self, number: str) -> tuple[str, ...]:
        """Everything that stands on it, however high."""
        if number not in self._above:
            self._above[number] = _closure(number, self.children)
        return self._above[number]


def _closure(number: str, step: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    level = [number]
    for _ in range(_DEPTH):
        level = [each for at in level for each in step(at) if each not in found and each != number]
        if not level:
            break
        found |= dict.fromkeys(level)
    return tuple(found)


def facts_of_number(number: str, tree: DeviceTree) -> BlockFacts:
    """What there is to say of one device. Never raises: a device that sysfs does not show has kind `other` and a claim that says so."""
    base = tree.directory(number)
    disk = os.path.dirname(base) if base and os.path.exists(f"{base}/partition") else base
    below = tree.below(number)
    return BlockFacts(
        number=number,
        kind=kind_of(number, tree),
        size_bytes=_integer(f"{base}/size") * 512,
        logical_block=_integer(f"{disk}/queue/logical_block_size") or 512,
        discards=_integer(f"{disk}/queue/discard_max_bytes") > 0,
        backing_file=next((path for each in (number, *below) if (path := tree.backing_path(each))), ""),
        claims=tuple(dict.fromkeys(_claims(number, tree))),
        stacked=tuple(dict.fromkeys((number, *below, *tree.above(number)))),
    )


def kind_of(number: str, tree: DeviceTree) -> str:
    """BlockFacts.kind."""
    base = tree.directory(number)
    name = os.path.basename(base)
    if not base:
        return "other"
    if os.path.exists(f"{base}/partition"):
        return "partition"
    if os.path.exists(f"{base}/dm"):
        return _kind_of_mapping(first_line(f"{base}/dm/uuid"), base)
    if os.path.exists(f"{base}/md"):
        return "raid"
    if name.startswith("loop"):
        return "loop"
    return "disk" if name.startswith(_DISKS) else "other"


def _kind_of_mapping(uuid: str, base: str) -> str:
    if uuid.startswith("LVM-"):
        layers = device_layers(base)
        return "lvm-thin" if "thin-pool" in layers else "lvm-snapshot" if "snapshot" in layers else "lvm" if not layers else "device-mapper"
    return {"mpath": "multipath", "CRYPT": "crypt"}.get(uuid.partition("-")[0], "device-mapper")


def _claims(number: str, tree: DeviceTree) -> list[Claim]:
    """Whoever else has the device: (refusal code, detail), the gravest first."""
    below = tree.below(number)
    found = [claim for each in (number, *tree.above(number), *below) for claim in _mounted(each, tree)]
    found += [(str(RefusalCode.IN_USE), f"{_name(each, tree)} stands on it") for each in _holders(number, tree)]
    shown = tree.backing_identity(number)
    for other, (_, identity) in tree.loops.items():
        if shown is not None and identity == shown and other != number:
            found.append((str(RefusalCode.IN_USE), f"{_name(other, tree)} shows the same file"))
    for each in (number, *below):
        found += _unprovable(each, tree, own=each == number)
    return found


def _mounted(number: str, tree: DeviceTree) -> list[Claim]:
    major, minor = (int(word) for word in number.split(":"))
    rdev, name, code = os.makedev(major, minor), _name(number, tree), str(RefusalCode.MOUNTED)
    found = []
    for mount in tree.mounts:
        source = _stat(mount.source) if mount.device[0] == 0 and mount.source.startswith("/dev/") else None
        if mount.device == (major, minor) or (source is not None and st.S_ISBLK(source.st_mode) and source.st_rdev == rdev):
            found.append((code, f"{name} is mounted at {ascii(mount.mount_point)[1:-1]}"))
            break
    else:
        if name in tree.btrfs_members:
            found.append((code, f"{name} is part of a mounted btrfs"))
    if rdev in tree.swaps:
        found.append((code, f"{name} is swap"))
    return found


def _holders(number: str, tree: DeviceTree) -> list[str]:
    """What stands on the device, its partitions, or the disk that it is a partition of, partitions themselves left out."""
    found: list[str] = []
    base = tree.directory(number)
    disk = [_number_at(os.path.dirname(base))] if base and os.path.exists(f"{base}/partition") else []
    parts = [each for each in tree.children(number) if os.path.exists(f"{tree.directory(each)}/partition")]
    for each in (number, *parts, *disk):
        found += [child for child in tree.children(each) if not os.path.exists(f"{tree.directory(child)}/partition")]
    return list(dict.fromkeys(found))


def _unprovable(number: str, tree: DeviceTree, *, own: bool) -> list[Claim]:
    """Why overwriting would not reach the old bytes. `own`: the device itself, of whose kind the guards know; else one below it."""
    base, code = tree.directory(number), str(RefusalCode.UNSUPPORTED_ARTEFACT)
    name = os.path.basename(base)
    if not base:
        return [(code, f"opaque-storage: device {number} is not known to sysfs")]
    words = {
        "thin-pool": "thin-pool: a thin pool maps its blocks, and keeps those of its snapshots",
        "snapshot": "copy-not-reached: it is a snapshot of a volume or has one, which keeps what is overwritten",
        "cache": "copy-not-reached: a cache lies between it and the disk, and either may keep what the other loses",
        "dedup": "opaque-storage: its blocks are deduplicated or compressed below",
        "cow": "cow-filesystem: it shows a file on a filesystem that writes elsewhere",
        "journal": "journaled-data: it shows a file whose data goes through a journal",
    }
    found = [(code, words[layer]) for layer in device_layers(base)]
    if name.startswith(_OPAQUE):
        found.append((code, f"opaque-storage: {name} is no plain disk of this host"))
    if own and _integer(f"{base}/size") == 0:
        found.append((code, f"opaque-storage: {name} has no size (a loop device without a file?)"))
    if not own and kind_of(number, tree) == "device-mapper" and not found and not first_line(f"{base}/dm/uuid").startswith("part"):
        found.append((code, f"opaque-storage: it stands on {name}, a mapping of unknown kind"))
    return found


def _name(number: str, tree: DeviceTree) -> str:
    return os.path.basename(tree.directory(number)) or number


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _number_at(directory: str) -> str:
    return first_line(f"{directory}/dev")


def _integer(path: str) -> int:
    text = first_line(path)
    return int(text) if text.isascii() and text.isdigit() else 0


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _identity(path: str) -> FileIdentity | None:
    """Of a loop device's file. A removed one has no name to look it up by."""
    found = None if path.endswith(_DELETED) else _stat(path)
    return None if found is None else identity_of(found)
