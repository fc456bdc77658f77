"""What lies under a file: filesystem, mount options, device, and what the kernel tells of its inode. What that means for the proof: `decide.provable`.

`data=journal` copies every byte through the journal and hides in three places: the mount's options, the driver's own list (where it shows even
when it is a default kept in the superblock), and a flag of the single file. Where one of them cannot be read, a word says so (`data=unverified`), which
proves as little.
"""

from __future__ import annotations

import os
import stat as st
from typing import Final

from wiped.decide.provable import COPY_ON_WRITE, IN_PLACE, INODE_WORDS
from wiped.model.inventory import FilesystemFacts
from wiped.model.outcome import ReasonCode
from wiped.storage.inode import inode_facts
from wiped.storage.kernel import FS_JOURNAL_DATA_FL, FS_NOCOW_FL
from wiped.storage.mounts import Mount, mount_of

_EXT: Final = frozenset({"ext2", "ext3", "ext4"})
_OTHER_LOCAL: Final = frozenset(
    {"vfat", "exfat", "ntfs3", "ntfs", "jfs", "reiserfs", "udf", "hfsplus", "minix", "tmpfs", "ramfs", "hugetlbfs", "squashfs", "erofs"}
)


def filesystem_facts(fd: int) -> FilesystemFacts:
    """The facts about the filesystem of an open file (an O_PATH descriptor does). Never raises: what cannot be found out is the cautious answer."""
    mount = mount_of(fd)
    if mount is None:
        return FilesystemFacts(fs_type="unknown", local=False)
    inode = inode_facts(fd, mount.fs_type)
    flags = inode.flags
    options = [*mount.options, *inode.words]
    journaled = False
    if mount.fs_type in _EXT:
        journaled, shown = _data_journal(mount, flags)
        options += [item for item in shown if item not in options]
    if journaled:  # says all: such a file has no direct I/O
        options = [item for item in options if item != "inode:no-direct-io"]
    cow = mount.fs_type in COPY_ON_WRITE
    if mount.fs_type == "btrfs" and flags is not None and flags & FS_NOCOW_FL:
        cow = False
        options.append("inode:nodatacow")
    place = _block_device(mount)
    device, model, rotational = describe_device(place)
    options += [f"device:{word}" for word in device_layers(os.path.realpath(_sys_path(place)))] if place is not None else []
    return FilesystemFacts(
        fs_type=mount.fs_type,
        mount_options=tuple(options),
        mount_point=mount.mount_point,
        device=device or mount.source,
        model=model,
        rotational=rotational,
        data_journal=journaled,
        cow=cow,
        local=mount.fs_type in IN_PLACE | COPY_ON_WRITE | _OTHER_LOCAL,
    )


def _data_journal(mount: Mount, flags: int | None) -> tuple[bool, list[str]]:
    """Whether data goes through the journal, and what to show of it beside the mount's own options."""
    shown = []
    if flags is None or flags & FS_JOURNAL_DATA_FL:
        shown.append("inode:data=journal" if flags is not None else "inode:data=unverified")
    hidden = _driver_options(mount.device)
    if hidden is None and mount.fs_type != "ext2":
        shown.append("data=unverified")
    elif hidden is not None:
        shown += [item for item in hidden if item.startswith("data=")]
    return "data=journal" in mount.options or any(item.endswith("data=journal") for item in shown), shown


def _driver_options(device: tuple[int, int]) -> list[str] | None:
    """The ext4 driver's full list of options in force; None where it cannot be read. (The ext2 driver keeps none and has no journal.)"""
    try:
        name = os.path.basename(os.readlink(_sys_path(device)))
        with open(f"/proc/fs/ext4/{name}/options", encoding="utf-8", errors="replace") as source:
            return source.read().split()
    except OSError:
        return None


def _sys_path(device: tuple[int, int]) -> str:
    return f"/sys/dev/block/{device[0]}:{device[1]}"


def _block_device(mount: Mount) -> tuple[int, int] | None:
    """(major, minor) of the device under a mount; for btrfs and its like, whose own number is anonymous, the one that was mounted."""
    if mount.device[0] != 0:
        return mount.device
    try:
        found = os.stat(mount.source)
    except (OSError, ValueError):
        return None
    return (os.major(found.st_rdev), os.minor(found.st_rdev)) if st.S_ISBLK(found.st_mode) else None


def describe_device(device: tuple[int, int] | None) -> tuple[str, str, bool | None]:
    """(device path, model, rotational) from sysfs. A partition has its disk's."""
    if device is None:
        return "", "", None
    base = os.path.realpath(_sys_path(device))
    if not os.path.isdir(base):
        return "", "", None
    mapped = first_line(f"{base}/dm/name")
    name = f"/dev/mapper/{mapped}" if mapped else "/dev/" + os.path.basename(base).replace("!", "/")
    disk = os.path.dirname(base) if os.path.exists(f"{base}/partition") else base
    spinning = first_line(f"{disk}/queue/rotational")
    return name, first_line(f"{disk}/device/model"), {"0": False, "1": True}.get(spinning)


#: Device-mapper UUIDs that LVM gives to hidden parts, and what a volume standing on one is.
_HIDDEN_PARTS: Final = {
    "-tpool": "thin-pool",
    "-tdata": "thin-pool",
    "-real": "snapshot",
    "-cow": "snapshot",
    "-cdata": "cache",
    "-cmeta": "cache",
    "-corig": "cache",
    "-cpool": "cache",
    "-cvol": "cache",
    "-wcorig": "cache",
    "-vpool": "dedup",
    "-vdata": "dedup",
}


def device_layers(base: str, depth: int = 8) -> tuple[str, ...]:
    """What the device at a sysfs directory stands on, however deep, that keeps old blocks when new ones are written: `thin-pool`, `snapshot`, `cache`,
    `dedup`; and, under a loop device whose file can be seen from here, `cow` and `journal` of that file's filesystem."""
    uuid = first_line(f"{base}/dm/uuid")
    found = {word for suffix, word in _HIDDEN_PARTS.items() if uuid.endswith(suffix)}
    if not depth:
        return tuple(sorted(found))
    try:
        below = [os.path.realpath(f"{base}/slaves/{name}") for name in os.listdir(f"{base}/slaves")]
    except OSError:
        below = []
    if os.path.exists(f"{base}/partition"):
        below.append(os.path.dirname(os.path.realpath(base)))
    for lower in below:
        found.update(device_layers(lower, depth - 1))
    if backing := first_line(f"{base}/loop/backing_file", strip=False):
        found.update(_layers_of_file(backing, depth - 1))
    return tuple(sorted(found))


def _layers_of_file(path: str, depth: int) -> set[str]:
    """The words of a loop device's file; () where it cannot be seen."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return set()
    try:
        found = os.fstat(fd)
        if st.S_ISBLK(found.st_mode):
            return set(device_layers(os.path.realpath(_sys_path((os.major(found.st_rdev), os.minor(found.st_rdev)))), depth))
        facts = filesystem_facts(fd)
    finally:
        os.close(fd)
    words = {option.partition(":")[2] for option in facts.mount_options if option.startswith("device:")}
    return words | vices_of(facts) | ({"cow"} if facts.cow else set()) | ({"journal"} if facts.data_journal else set())


def vices_of(facts: FilesystemFacts) -> set[str]:
    """What a device on a file inherits of what the file itself is: `unproven` (encrypted, inline, of an unknown flag...), `unverified`."""
    found: set[str] = set()
    for word in facts.mount_options:
        reason = INODE_WORDS.get(word, ReasonCode.INODE_UNPROVEN) if word.startswith("inode:") else None
        if word == "data=unverified" or reason is ReasonCode.UNVERIFIED:
            found.add("unverified")
        elif reason is not None:
            found.add("unproven")
    return found


def first_line(path: str, *, strip: bool = True) -> str:
    """The first line of a small file of the kernel's, "" where it cannot be read. Without `strip`: all but the end of the line."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as source:
            line = source.readline()
            return line.strip() if strip else line.rstrip("\n")
    except OSError:
        return ""


def open_block_device(st_dev: int) -> int | None:
    """The block device of a filesystem, by a file's `st_dev`, O_RDONLY and O_DIRECT; None where it cannot be opened (a device cgroup, a container, an
    anonymous number as on btrfs). Only a node that really is that device is opened."""
    device = (os.major(st_dev), os.minor(st_dev))
    if device[0] == 0:
        return None
    described = describe_device(device)[0]
    for name in (f"/dev/block/{device[0]}:{device[1]}", described, f"/dev/{os.path.basename(os.path.realpath(_sys_path(device)))}"):
        if name and (fd := _open_node(name, st_dev)) is not None:
            return fd
    return None


def _open_node(name: str, st_dev: int) -> int | None:
    looked_at = -1
    try:
        looked_at = os.open(name, os.O_PATH | os.O_CLOEXEC)
        found = os.fstat(looked_at)
        if not st.S_ISBLK(found.st_mode) or found.st_rdev != st_dev:
            return None
        return os.open(f"/proc/self/fd/{looked_at}", os.O_RDONLY | os.O_DIRECT | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    finally:
        if looked_at >= 0:
            os.close(looked_at)
