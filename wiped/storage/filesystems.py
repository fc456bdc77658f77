"""What lies under a file: filesystem, mount options, device; and whether overwriting in place can be proven there (docs/physics.md 2).

`data=journal` copies every byte through the journal and hides in three places: the mount's options, the driver's own list (where it shows even
when it is a default kept in the superblock), and a flag of the single file. Where one of them cannot be read, it counts as journaled.
"""

from __future__ import annotations

import fcntl
import os
import stat as st
import struct
from typing import Final

from wiped.model.inventory import FilesystemFacts
from wiped.model.outcome import ReasonCode
from wiped.storage.kernel import FS_IOC_GETFLAGS, FS_JOURNAL_DATA_FL, FS_NOCOW_FL
from wiped.storage.mounts import Mount, mount_of

_EXT: Final = frozenset({"ext2", "ext3", "ext4"})
#: Overwriting in place is what these do with a file's own, unshared blocks.
_IN_PLACE: Final = _EXT | {"xfs", "block"}
#: Write elsewhere by design. btrfs makes an exception per file (nodatacow); the others do not, or not in a way that can be seen.
_COPY_ON_WRITE: Final = frozenset({"btrfs", "zfs", "bcachefs", "f2fs", "nilfs2", "ubifs", "jffs2", "logfs"})
_OTHER_LOCAL: Final = frozenset(
    {"vfat", "exfat", "ntfs3", "ntfs", "jfs", "reiserfs", "udf", "hfsplus", "minix", "tmpfs", "ramfs", "hugetlbfs", "squashfs", "erofs"}
)


def filesystem_facts(fd: int) -> FilesystemFacts:
    """The facts about the filesystem of an open file (an O_PATH descriptor does). Never raises: what cannot be found out is the cautious answer."""
    mount = mount_of(fd)
    if mount is None:
        return FilesystemFacts(fs_type="unknown", local=False)
    flags = _inode_flags(fd)
    options = list(mount.options)
    journaled = False
    if mount.fs_type in _EXT:
        journaled, shown = _data_journal(mount, flags)
        options += [item for item in shown if item not in options]
    cow = mount.fs_type in _COPY_ON_WRITE
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
        local=mount.fs_type in _IN_PLACE | _COPY_ON_WRITE | _OTHER_LOCAL,
    )


def _inode_flags(fd: int) -> int | None:
    """FS_IOC_GETFLAGS of a regular file or directory; None where it cannot be asked."""
    own = -1
    try:
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_PATH:
            mode = os.fstat(fd).st_mode
            if not (st.S_ISREG(mode) or st.S_ISDIR(mode)):
                return None
            fd = own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        answer = fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(8))
        return int(struct.unpack_from("=I", answer)[0])
    except OSError:
        return None
    finally:
        if own >= 0:
            os.close(own)


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
    return "data=journal" in mount.options or any(item.endswith(("data=journal", "data=unverified")) for item in shown), shown


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
    return words | ({"cow"} if facts.cow else set()) | ({"journal"} if facts.data_journal else set())


def first_line(path: str, *, strip: bool = True) -> str:
    """The first line of a small file of the kernel's, "" where it cannot be read. Without `strip`: all but the end of the line."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as source:
            line = source.readline()
            return line.strip() if strip else line.rstrip("\n")
    except OSError:
        return ""


def provability_reasons(facts: FilesystemFacts) -> tuple[str, ...]:
    """Reason codes for which nothing on this filesystem can be proven erased; () for ext2/3/4, XFS, and a nodatacow file on btrfs (whose extents
    must be unshared besides: `extents.stop_reasons`).

    Below the filesystem, an LVM thin pool (`thin-pool`), a snapshot or a cache of the volume (`copy-not-reached`) keeps what is overwritten above it; a loop
    device on a file is no better than that file's filesystem.
    tmpfs and its like keep their bytes in memory and swap, which no read-back reaches: `opaque-storage`, as network filesystems, FUSE, overlays and
    whatever this program does not know.
    """
    reasons = []
    if facts.cow or "device:cow" in facts.mount_options:
        reasons.append(str(ReasonCode.COW_FILESYSTEM))
    if facts.data_journal or "device:journal" in facts.mount_options:
        reasons.append(str(ReasonCode.JOURNALED_DATA))
    if "device:thin-pool" in facts.mount_options:
        reasons.append(str(ReasonCode.THIN_POOL))
    if "device:snapshot" in facts.mount_options or "device:cache" in facts.mount_options:
        reasons.append(str(ReasonCode.COPY_NOT_REACHED))
    hidden = "device:dedup" in facts.mount_options or "device:unseen" in facts.mount_options
    if hidden or not facts.local or (facts.fs_type not in _IN_PLACE and facts.fs_type not in _COPY_ON_WRITE):
        reasons.append(str(ReasonCode.OPAQUE_STORAGE))
    return tuple(reasons)


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
