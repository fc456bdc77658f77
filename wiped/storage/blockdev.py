"""Block devices as a phone's disks: what they are, who else has them, and how they are opened. From sysfs and /proc; nothing on a device is parsed.

Source: Documentation/ABI/stable/sysfs-block, LVM's dm UUIDs (lib/activate/dev_manager.c): "LVM-", 64 letters of ids, and a suffix for hidden layers.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat as st
import struct
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from wiped.errors import RefusedError, StorageError
from wiped.model.inventory import BlockFacts, FileIdentity, FilesystemFacts
from wiped.model.outcome import ReasonCode
from wiped.model.plan import RefusalCode
from wiped.storage.blockstack import DeviceTree, facts_of_number, number_of
from wiped.storage.extents import ExtentMap
from wiped.storage.filesystems import describe_device, device_layers, filesystem_facts, vices_of
from wiped.storage.kernel import RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, identity_of, openat2, rdev_without_sync, translated
from wiped.storage.mounts import containing_root

DEV: Final = "/dev"
_MAX_LINKS: Final = 16
#: linux/fs.h
BLKDISCARD: Final = 0x1277
BLKGETSIZE64: Final = 0x80081272
BLKSSZGET: Final = 0x1268
_MIN_BLOCK: Final = 512


def block_facts(path_or_fd: str | int, tree: DeviceTree | None = None) -> BlockFacts:
    """What sysfs and /proc say about the device at a path (links are followed) or behind a descriptor (O_PATH does). `tree`: a look at the host's devices,
    to be shared by many calls. Raises RefusedError (not-regular: no block device), StorageError (vanished)."""
    try:
        found = os.stat(path_or_fd)
    except OSError as error:
        raise translated(error, str(path_or_fd)) from error
    if not st.S_ISBLK(found.st_mode):
        raise RefusedError(f"{path_or_fd}: not a block device", codes=[RefusalCode.NOT_REGULAR])
    return facts_of_number(number_of(found.st_rdev), tree or DeviceTree())


def aliases(facts: BlockFacts, tree: DeviceTree | None = None) -> frozenset[FileIdentity]:
    """The regular files whose bytes these are: what the loop devices at and below it show."""
    tree = tree or DeviceTree()
    return frozenset(identity for number in (facts.number, *tree.below(facts.number)) if (identity := tree.backing_identity(number)) is not None)


def stack_identities(facts: BlockFacts, tree: DeviceTree | None = None) -> frozenset[FileIdentity]:
    """Everything that whoever has this device can reach of others' bytes: all of the stack, and the files below it."""
    devices = {FileIdentity(os.makedev(*map(int, number.split(":"))), 0) for number in (facts.number, *facts.stacked)}
    return frozenset(devices) | aliases(facts, tree)


def resolve_block(path: str) -> str:
    """The device node that a path below /dev stands for. udev's links are followed as long as they are root's, in directories that nobody else can
    write, and do not leave /dev. Raises RefusedError (symlink; not-regular for what is no block device or not below /dev), StorageError (vanished)."""
    if not path.startswith(DEV + "/") or "\0" in path:
        raise RefusedError(f"{path}: device nodes are taken below {DEV} only", codes=[RefusalCode.NOT_REGULAR])
    pending = [part for part in path[len(DEV) :].split("/") if part not in ("", ".")][::-1]
    at, links = [DEV], 0
    try:
        _trusted_directory(DEV)
        while pending:
            part = pending.pop()
            if part == "..":
                if len(at) == 1:
                    raise RefusedError(f"{path}: it leads out of {DEV}", codes=[RefusalCode.SYMLINK])
                at.pop()
                continue
            name = "/".join([*at, part])
            found = os.lstat(name)
            if st.S_ISLNK(found.st_mode):
                links += 1
                target = os.readlink(name)
                if found.st_uid != 0 or links > _MAX_LINKS or (target.startswith("/") and not target.startswith(DEV + "/")):
                    raise RefusedError(f"{path}: {name} is a symbolic link that is not root's, or leads out of {DEV}", codes=[RefusalCode.SYMLINK])
                if target.startswith("/"):
                    at, target = [DEV], target[len(DEV) :]
                pending += [step for step in target.split("/") if step not in ("", ".")][::-1]
                continue
            if pending:
                _trusted_directory(name)
            at.append(part)
    except OSError as error:
        raise translated(error, path) from error
    node = "/".join(at)
    if not st.S_ISBLK(os.lstat(node).st_mode):
        raise RefusedError(f"{path}: not a block device", codes=[RefusalCode.NOT_REGULAR])
    return node


def _trusted_directory(name: str) -> None:
    found = os.lstat(name)
    if not st.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
    if found.st_uid != 0 or found.st_mode & 0o022:
        raise RefusedError(f"{name}: others than root can change what stands in it", codes=[RefusalCode.SYMLINK])


def block_root(path: str, roots: Sequence[str]) -> str:
    """The root beneath /dev that contains `path` by its letters, or that is the very path; "" for none."""
    plain = os.path.normpath(path)
    if path != plain:
        return ""
    inside = [root for root in roots if root.startswith(DEV + "/") and (plain == root.rstrip("/") or plain.startswith(root.rstrip("/") + "/"))]
    return max(inside, key=len, default="")


def shown_files(facts: BlockFacts, tree: DeviceTree | None = None) -> tuple[str, ...]:
    """Paths of the files whose bytes these are: what the loop devices at and below it show. A device that a loop device shows stands in the stack."""
    tree = tree or DeviceTree()
    return tuple(dict.fromkeys(path for number in (facts.number, *tree.below(facts.number)) if (path := tree.backing_path(number))))


def block_protected(path: str, facts: BlockFacts, protected: Sequence[str], tree: DeviceTree | None = None) -> str:
    """The protected path that is this device, contains its node or a link to it, contains a file that it shows, or is a device above or below it; "" for
    none."""
    for shown in shown_files(facts, tree):
        if place := containing_root(shown, protected):
            return place
    names = {os.path.normpath(path), os.path.realpath(path)}
    for place in protected:
        if any(name == each or name.startswith(each.rstrip("/") + "/") for name in names for each in {place.rstrip("/"), os.path.realpath(place)}):
            return place
        if place.startswith(DEV + "/") and any(number in (facts.number, *facts.stacked) for number in _numbers_at(place)):
            return place
    return ""


def _numbers_at(place: str) -> Iterable[str]:
    """Numbers of the device at a path, or of all devices in the directory at it."""
    names = [place]
    if os.path.isdir(place):
        try:
            names = [os.path.join(place, name) for name in os.listdir(place)]
        except OSError:
            names = []
    for name in names:
        try:
            found = os.stat(name)
        except OSError:
            continue
        if st.S_ISBLK(found.st_mode):
            yield number_of(found.st_rdev)


class BlockFile:
    """An open block device with the face of `paths.SafeFile`: `fd`, `dir_fd` of the directory of its node, `name` there, `path` as asked for, `identity`,
    `stat`, and `size` in bytes. A context manager; `close` is idempotent. Nothing is ever renamed or unlinked through it."""

    def __init__(self, fd: int, dir_fd: int, name: str, path: str) -> None:
        self.fd = fd
        self.dir_fd = dir_fd
        self.name = name
        self.path = path
        self.stat = os.fstat(fd)
        self.identity = identity_of(self.stat)
        self.size = device_size(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor, for callers that take file objects."""
        return self.fd

    def close(self) -> None:
        """Close both descriptors; locks and the exclusive claim go with them."""
        for fd in (self.fd, self.dir_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self.dir_fd = -1

    def check(self, expected: FileIdentity | None = None) -> None:
        """Look again: the path still leads to this device, and the device still has its size.

        Raises RefusedError (identity-changed, symlink, not-regular), StorageError (vanished, io-error).
        """
        try:
            now = identity_of(os.fstat(self.fd))
            named = identity_of(os.stat(resolve_block(self.path), follow_symlinks=False))
        except OSError as error:
            raise translated(error, self.path) from error
        if named != now or (expected is not None and now != expected) or device_size(self.fd) != self.size:
            raise RefusedError(f"{self.path}: another device stands there now", codes=[RefusalCode.IDENTITY_CHANGED])


def open_block(path: str, identity: FileIdentity | None, *, write: bool, exclusive: bool) -> BlockFile:
    """Open the device at `path` (see `resolve_block`) with, where given, that very identity. `exclusive`: claim it from the kernel (O_EXCL), which mounts,
    swap, device-mapper, RAID and other exclusive openers refuse. Other plain openers are found by `prove_alone` alone.

    Raises RefusedError (symlink, not-regular, identity-changed, in-use, unreadable), StorageError (vanished, io-error).
    """
    node = resolve_block(path)
    dir_fd = looked_at = fd = -1
    try:
        dir_fd = openat2(-100, os.path.dirname(node), os.O_RDONLY | os.O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
        looked_at = openat2(dir_fd, os.path.basename(node), os.O_PATH | os.O_NOFOLLOW, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)
        found = os.fstat(looked_at)
        if not st.S_ISBLK(found.st_mode):
            raise RefusedError(f"{path}: not a block device", codes=[RefusalCode.NOT_REGULAR])
        if identity is not None and identity_of(found) != identity:
            raise RefusedError(f"{path}: another device stands there now", codes=[RefusalCode.IDENTITY_CHANGED])
        flags = (os.O_RDWR if write else os.O_RDONLY) | (os.O_EXCL if exclusive else 0)
        fd = os.open(f"/proc/self/fd/{looked_at}", flags | os.O_CLOEXEC | os.O_NONBLOCK)
        return BlockFile(fd, dir_fd, os.path.basename(node), path)
    except (OSError, RefusedError, StorageError) as error:
        for each in (fd, dir_fd):
            if each >= 0:
                os.close(each)
        if not isinstance(error, OSError):
            raise
        if error.errno == errno.EBUSY:
            detail = f"{path}: the kernel has it in use (a mount, swap, a mapping, an array, or an exclusive opener)"
            raise RefusedError(detail, codes=[RefusalCode.IN_USE]) from error
        raise translated(error, path) from error
    finally:
        if looked_at >= 0:
            os.close(looked_at)


def device_size(fd: int) -> int:
    """Bytes of an open device (BLKGETSIZE64). Raises StorageError."""
    try:
        return int(struct.unpack("=Q", fcntl.ioctl(fd, BLKGETSIZE64, bytes(8)))[0])
    except OSError as error:
        raise translated(error, "the size of a device") from error


def logical_block(fd: int) -> int:
    """The smallest piece that can be read or written, in bytes (BLKSSZGET). Raises StorageError."""
    try:
        return int(struct.unpack("=i", fcntl.ioctl(fd, BLKSSZGET, bytes(4)))[0])
    except OSError as error:
        raise translated(error, "the block size of a device") from error


def whole_device_map(fd: int) -> ExtentMap:
    """The map of a device: one range, all of it, where it stands. Raises StorageError (opaque-storage: no size, as a loop device without file)."""
    size = device_size(fd)
    if size < _MIN_BLOCK:
        raise StorageError("the device has no size", reason=ReasonCode.OPAQUE_STORAGE)
    found = ExtentMap()
    found.append(0, 0, size)
    return found


def discard(fd: int) -> bool:
    """Tell the device that all of it is no longer needed (BLKDISCARD). Best effort: whether it said yes; proves nothing, never raises."""
    try:
        fcntl.ioctl(fd, BLKDISCARD, struct.pack("=QQ", 0, device_size(fd)))
    except (OSError, StorageError):
        return False
    return True


def block_filesystem(fd: int, tree: DeviceTree | None = None) -> FilesystemFacts:
    """The facts of an open device (O_PATH does) in the form of a filesystem's: type `block`. A loop device has the vices of the filesystem on which its file
    lies (`cow`, `data_journal`); a file that cannot be seen from here is `device:unseen`. Never raises."""
    tree = tree or DeviceTree()
    number = os.fstat(fd).st_rdev
    key = number_of(number)
    device, model, rotational = describe_device((os.major(number), os.minor(number)))
    options: dict[str, None] = {}
    cow = journaled = False
    for each in (key, *tree.below(key)):
        options |= dict.fromkeys(f"device:{word}" for word in device_layers(tree.directory(each)))
        if not tree.backing_path(each):
            continue
        backing = _backing_facts(tree, each)
        if backing is None:
            options["device:unseen"] = None
        else:
            cow, journaled = cow or backing.cow, journaled or backing.data_journal
            options |= dict.fromkeys(word for word in backing.mount_options if word.startswith("device:"))
            options |= dict.fromkeys(f"device:{word}" for word in sorted(vices_of(backing)))
            if not backing.local:
                options["device:unseen"] = None
    return FilesystemFacts(
        fs_type="block", mount_options=tuple(options), device=device, model=model, rotational=rotational, data_journal=journaled, cow=cow, local=True
    )


def _backing_facts(tree: DeviceTree, number: str) -> FilesystemFacts | None:
    """The filesystem under a loop device's file; None where the file cannot be found. One that is a block device is walked as one."""
    try:
        fd = os.open(tree.backing_path(number), os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        if st.S_ISBLK(os.fstat(fd).st_mode):
            return FilesystemFacts(fs_type="block")
        return filesystem_facts(fd)
    finally:
        os.close(fd)


def prove_alone(fd: int) -> None:
    """Prove that no other process of this host has the device open: in place of the write lease, which devices do not know. What the kernel itself holds is
    told by the exclusive opening and `block_facts`. Whoever only looks (udev) is soon gone: ask again.

    Raises RefusedError (in-use), also where another process's descriptors cannot be seen (CAP_SYS_PTRACE).
    """
    wanted = os.fstat(fd).st_rdev
    own = str(os.getpid())
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or entry == own:
            continue
        try:
            names = os.listdir(f"/proc/{entry}/fd")
        except PermissionError as error:
            detail = "in use: the descriptors of another process cannot be seen, so that nobody has the device open cannot be proven"
            raise RefusedError(detail, codes=[RefusalCode.IN_USE]) from error
        except OSError:
            continue  # it has ended
        for name in names:
            if rdev_without_sync(f"/proc/{entry}/fd/{name}") == wanted:
                raise RefusedError(f"in use: process {entry} has the device open", codes=[RefusalCode.IN_USE])
