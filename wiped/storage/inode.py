"""Flags and attributes of one inode, as words for plan, certificate and proof: `inode:...`, and `directory:...` for the directory that holds it.

FIEMAP does not tell everything: a file under fscrypt has no flag there, and an O_DIRECT read of it is served from the page cache; only FS_IOC_GETFLAGS and
statx(2) tell. What has no effect on where bytes lie is left out; what is not on the lists below becomes a word with its number, which proves nothing
(`decide.provable`). Sources: linux/fs.h (FS_*_FL, FS_XFLAG_*), linux/stat.h (STATX_ATTR_*, STATX_DIOALIGN), Linux 6.18.
"""

from __future__ import annotations

import fcntl
import os
import stat as st
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from wiped.storage.kernel import FS_IOC_GETFLAGS, FS_JOURNAL_DATA_FL, FS_NOCOW_FL, statx

_FS_IOC_FSGETXATTR: Final = 0x801C581F

#: FS_IOC_GETFLAGS. "": no effect on the bytes of a regular file, or judged elsewhere.
_FLAGS: Final[Mapping[int, str]] = {
    0x00000001: "",  # secure deletion: never implemented
    0x00000002: "",  # undelete: never implemented
    0x00000004: "compressed",
    0x00000008: "",  # synchronous
    0x00000010: "immutable",
    0x00000020: "append-only",
    0x00000040: "",  # no dump
    0x00000080: "",  # no atime
    0x00000200: "compressed",
    0x00000400: "",  # do not compress
    0x00000800: "encrypted",
    0x00001000: "",  # hash-indexed directory
    FS_JOURNAL_DATA_FL: "",  # `filesystems` judges it, with the mount's options
    0x00008000: "",  # no tail merging
    0x00010000: "",  # directory changes synchronous
    0x00020000: "",  # top directory
    0x00040000: "",  # huge file
    0x00080000: "",  # extents
    0x00100000: "verity",
    0x00400000: "",  # blocks beyond the end of the file
    FS_NOCOW_FL: "",  # `filesystems` judges it
    0x02000000: "",  # DAX is wished for: whether it is in force says statx
    0x10000000: "inline-data",
    0x20000000: "",  # project quota is inherited
    0x40000000: "",  # case-insensitive directory
}
#: FS_IOC_FSGETXATTR.
_XFLAGS: Final[Mapping[int, str]] = {
    0x00000001: "realtime",
    0x00000002: "",  # preallocated
    0x00000008: "immutable",
    0x00000010: "append-only",
    0x00000020: "",  # synchronous
    0x00000040: "",  # no atime
    0x00000080: "",  # no dump
    0x00000100: "",  # realtime is inherited (directories)
    0x00000200: "",  # project quota is inherited
    0x00000400: "",  # no symbolic links (directories)
    0x00000800: "",  # extent size hint
    0x00001000: "",  # extent size hint is inherited
    0x00002000: "",  # no defragmentation
    0x00004000: "",  # filestreams allocator
    0x00008000: "",  # DAX is wished for
    0x00010000: "",  # extent size hint of copies on write
    0x00020000: "verity",
    0x80000000: "",  # has extended attributes
}
#: statx's stx_attributes.
_ATTRIBUTES: Final[Mapping[int, str]] = {
    0x00000004: "compressed",
    0x00000010: "immutable",
    0x00000020: "append-only",
    0x00000040: "",  # no dump
    0x00000800: "encrypted",
    0x00001000: "",  # automount
    0x00002000: "",  # root of a mount
    0x00100000: "verity",
    0x00200000: "dax",
    0x00400000: "",  # writes may be atomic
}
_STATX_DIOALIGN: Final = 0x2000
#: Filesystems whose flags can be asked: where they cannot, something is not as it should be.
_ASKED: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs"})


@dataclass(frozen=True, slots=True)
class InodeFacts:
    """`flags`: FS_IOC_GETFLAGS, None where it cannot be asked. `words`: without what `filesystems` judges; sorted."""

    flags: int | None
    words: tuple[str, ...]


def inode_facts(fd: int, fs_type: str) -> InodeFacts:
    """What the kernel tells of an open file or directory (an O_PATH descriptor does) on a filesystem of that type. Never raises."""
    kind = _kind(fd)
    flags, xflags = _ioctls(fd) if kind in (st.S_IFREG, st.S_IFDIR) else (None, None)
    if kind != st.S_IFREG:
        return InodeFacts(flags, () if kind else ("inode:unverified",))
    words = set(_words(_FLAGS, flags or 0, "flag"))
    words.update(_words(_XFLAGS, xflags or 0, "xflag"))
    answer = statx(fd)
    if answer is None:
        words.add("unverified")
    else:
        words.update(_words(_ATTRIBUTES, answer.attributes, "attribute"))
        if answer.mask & _STATX_DIOALIGN and not answer.direct_offset and fs_type in _ASKED:
            words.add("no-direct-io")
    if (fs_type in _ASKED and flags is None) or (fs_type == "xfs" and xflags is None):
        words.add("unverified")
    return InodeFacts(flags, tuple(sorted(f"inode:{word}" for word in words)) + _directory_words(fd))


def _words(table: Mapping[int, str], value: int, what: str) -> Iterator[str]:
    """The words of the bits that are set; an unknown bit by its number."""
    for number in range(value.bit_length()):
        bit = 1 << number
        if value & bit and (word := table.get(bit, f"{what}-{bit:#x}")):
            yield word


def _kind(fd: int) -> int:
    try:
        return st.S_IFMT(os.fstat(fd).st_mode)
    except OSError:
        return 0


def _ioctls(fd: int) -> tuple[int | None, int | None]:
    """(FS_IOC_GETFLAGS, xflags of FS_IOC_FSGETXATTR); None for each that cannot be asked."""
    own = -1
    try:
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_PATH:
            fd = own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        return _asked(fd, FS_IOC_GETFLAGS, 8), _asked(fd, _FS_IOC_FSGETXATTR, 28)
    except OSError:
        return None, None
    finally:
        if own >= 0:
            os.close(own)


def _asked(fd: int, request: int, size: int) -> int | None:
    try:
        return int(struct.unpack_from("=I", fcntl.ioctl(fd, request, bytes(size)))[0])
    except OSError:
        return None


def _directory_words(fd: int) -> tuple[str, ...]:
    """Whether names in the file's directory can be changed: without that the file could be overwritten, but neither renamed nor removed."""
    folder = -1
    try:
        path = os.readlink(f"/proc/self/fd/{fd}")
        folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        answer = statx(folder)
    except (OSError, ValueError):
        return ()
    finally:
        if folder >= 0:
            os.close(folder)
    bits = answer.attributes if answer is not None else 0
    return tuple(f"directory:{word}" for bit, word in ((0x20, "append-only"), (0x10, "immutable")) if bits & bit)


def is_cached(fd: int, offset: int, length: int) -> bool:
    """Whether the page cache holds that stretch of an open, readable file: a buffered read that may not wait finds it there. True also where that cannot be
    asked. (mincore(2) would tell only the file's owner.) Asking may begin to read the stretch into the cache: ask last."""
    try:
        return bool(os.preadv(fd, [bytearray(length)], offset, os.RWF_NOWAIT))
    except BlockingIOError:
        return False
    except OSError:
        return True
