"""Where overwriting in place can be proven, by what is known of a file's filesystem, device and inode. Pure; the same answer for plan, eraser and observer.

The list is closed: a filesystem, a flag or an attribute that is not named here proves nothing, and says so (docs/design.md, I13).
Sources: docs/physics.md 2; the flags and attributes of linux/fs.h and statx(2), as words of `storage.inode`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wiped.model.inventory import FilesystemFacts
from wiped.model.outcome import ReasonCode

#: Overwriting in place is what these do with a file's own, unshared blocks; `block`: the artefact is a block device itself.
IN_PLACE: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "block"})
#: Write elsewhere by design. btrfs makes an exception per file (nodatacow); the others do not, or not in a way that can be seen.
COPY_ON_WRITE: Final = frozenset({"btrfs", "zfs", "bcachefs", "f2fs", "nilfs2", "ubifs", "jffs2", "logfs"})

#: What a word about an inode means for the proof; None: nothing. Any other word that begins with `inode:` proves nothing.
INODE_WORDS: Final[Mapping[str, ReasonCode | None]] = {
    "inode:nodatacow": None,  # judged with btrfs, by `FilesystemFacts.cow`
    "inode:data=journal": None,  # judged by `FilesystemFacts.data_journal`
    "inode:data=unverified": ReasonCode.UNVERIFIED,
    "inode:immutable": None,  # refused before anything is begun (`decide.refusal.immutable`)
    "inode:append-only": None,
    "inode:encrypted": ReasonCode.EXTENT_ENCODED,
    "inode:compressed": ReasonCode.EXTENT_ENCODED,
    "inode:inline-data": ReasonCode.EXTENT_INLINE,
    "inode:verity": ReasonCode.INODE_UNPROVEN,
    "inode:dax": ReasonCode.INODE_UNPROVEN,
    "inode:realtime": ReasonCode.INODE_UNPROVEN,
    "inode:no-direct-io": ReasonCode.INODE_UNPROVEN,
    "inode:unverified": ReasonCode.UNVERIFIED,
}

#: What a word about the device beneath means; any other word that begins with `device:` is storage that cannot be seen.
_DEVICE_WORDS: Final[Mapping[str, ReasonCode]] = {
    "device:cow": ReasonCode.COW_FILESYSTEM,
    "device:journal": ReasonCode.JOURNALED_DATA,
    "device:thin-pool": ReasonCode.THIN_POOL,
    "device:snapshot": ReasonCode.COPY_NOT_REACHED,
    "device:cache": ReasonCode.COPY_NOT_REACHED,
    "device:unproven": ReasonCode.INODE_UNPROVEN,
    "device:unverified": ReasonCode.UNVERIFIED,
}


def provability_reasons(facts: FilesystemFacts) -> tuple[str, ...]:
    """Reason codes for which nothing at this place can be proven erased, sorted; () for ext2/3/4, XFS, and a nodatacow file on btrfs (whose extents must be
    unshared besides: `storage.extents.stop_reasons`), with an inode and a device of which everything is understood.

    Below the filesystem, an LVM thin pool (`thin-pool`), a snapshot or a cache of the volume (`copy-not-reached`) keeps what is overwritten above it; a loop
    device on a file is no better than that file's filesystem.
    tmpfs and its like keep their bytes in memory and swap, which no read-back reaches: `opaque-storage`, as network filesystems, FUSE, overlays and
    whatever this program does not know.
    """
    reasons: set[str] = set()
    if facts.cow:
        reasons.add(str(ReasonCode.COW_FILESYSTEM))
    if facts.data_journal:
        reasons.add(str(ReasonCode.JOURNALED_DATA))
    if not facts.local or not (facts.cow or facts.fs_type in IN_PLACE or facts.fs_type == "btrfs"):
        reasons.add(str(ReasonCode.OPAQUE_STORAGE))
    for word in facts.mount_options:
        if word.startswith("device:"):
            reasons.add(str(_DEVICE_WORDS.get(word, ReasonCode.OPAQUE_STORAGE)))
        elif word == "data=unverified":
            reasons.add(str(ReasonCode.UNVERIFIED))
        elif word.startswith("inode:"):
            reason = INODE_WORDS.get(word, ReasonCode.INODE_UNPROVEN)
            reasons.update(() if reason is None else (str(reason),))
    return tuple(sorted(reasons))
