"""Outcomes and evidence of erasing, per artefact and per phone (docs/physics.md 8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The outcomes of docs/contract.md, best first."""

    PURGE = "purge"
    """Cryptographic erase: every copy of the key is gone. Not given in this version."""
    CLEAR = "clear"
    """Every mapped byte of every artefact was overwritten, read back and compared, and the file was removed; `scope: current extents`, residuals listed."""
    NOT_SANITIZED = "not-sanitized"
    """Anything else, with reasons; the phone stays fenced and in place, in quarantine."""


class ReasonCode(StrEnum):
    """Why something is `not-sanitized` (docs/physics.md 8)."""

    COW_FILESYSTEM = "cow-filesystem"
    """Copy-on-write: an overwrite goes to another place and the old blocks stay. Nothing was overwritten."""
    EXTENT_SHARED = "extent-shared"
    """An extent belongs to another file too (reflink, snapshot)."""
    EXTENT_ENCODED = "extent-encoded"
    """The filesystem compresses or encrypts the data."""
    EXTENT_INLINE = "extent-inline"
    """The data is inside the filesystem's metadata."""
    EXTENT_UNKNOWN = "extent-unknown"
    """The filesystem cannot say where the bytes are."""
    INODE_UNPROVEN = "inode-unproven"
    """A flag or attribute of the inode for which nothing is proven: fs-verity, DAX, XFS realtime, no direct I/O, or one that this program does not know. It
    stands among the mount options of plan and certificate, as `inode:...`. Nothing was overwritten."""
    UNVERIFIED = "unverified"
    """The kernel could not be asked what the file is (its flags, its attributes, whether its data is journalled). Nothing was overwritten."""
    EXTENT_MOVED = "extent-moved"
    """The ranges were not the same before and after the overwriting."""
    JOURNALED_DATA = "journaled-data"
    """ext4 with `data=journal`, by option or hidden default: copies are in the journal. Nothing was overwritten."""
    THIN_POOL = "thin-pool"
    """Beneath the file is a thin pool, which keeps the blocks of its snapshots."""
    OPAQUE_STORAGE = "opaque-storage"
    """Network or unknown storage: the place of the bytes cannot be seen."""
    DISCARD_ONLY = "discard-only"
    """Only a discard was possible, which proves nothing. Not given in this version."""
    IO_ERROR = "io-error"
    """The device failed."""
    READBACK_MISMATCH = "readback-mismatch"
    """The device returned other bytes than were written."""
    READBACK_IMPOSSIBLE = "readback-impossible"
    """What was written could not be read back."""
    IMAGE_IN_USE = "image-in-use"
    """Another process has the image open."""
    KEY_COPY_UNACCOUNTED = "key-copy-unaccounted"
    """A copy of a key is not accounted for. Not given in this version."""
    PLAINTEXT_BEFORE_ENCRYPTION = "plaintext-before-encryption"
    """The image was not encrypted from its creation on. Not given in this version."""
    COPY_NOT_REACHED = "copy-not-reached"
    """A copy of the data is known and was not reached."""
    VANISHED = "vanished"
    """The file was gone before its erasing was proven."""
    LEGAL_HOLD = "legal-hold"
    """A hold was added while the wipe was in quarantine: the data is kept."""


#: Reasons that are retried with back-off from 5 minutes to 24 hours (docs/design.md, "Quarantine"); the others wait for a changed host.
RETRYABLE_REASONS = frozenset(
    {
        ReasonCode.IO_ERROR,
        ReasonCode.UNVERIFIED,
        ReasonCode.READBACK_MISMATCH,
        ReasonCode.READBACK_IMPOSSIBLE,
        ReasonCode.IMAGE_IN_USE,
        ReasonCode.KEY_COPY_UNACCOUNTED,
    }
)


class ResidualCode(StrEnum):
    """Residual risks that do not change the outcome (docs/physics.md 8)."""

    FREED_BLOCKS_UNTRACED = "freed-blocks-untraced"
    """Blocks that left the file before the wipe: trimmed by the guest, freed by snapshots. The default, since nothing traces such blocks."""
    FREED_BLOCKS_REALLOCATED = "freed-blocks-reallocated"
    """In place of `freed-blocks-untraced`: after the removal the filesystem's free space was trimmed, and a probe file showed that this device makes trimmed
    blocks unreadable; only blocks that another file had been given before that are not traced."""
    GUEST_DISCARD_ENABLED = "guest-discard-enabled"
    """The guest could trim, so freed blocks are likely."""
    GUEST_MEMORY_SWAPPED = "guest-memory-swapped"
    """Memory of the QEMU process had been swapped out, or the process could not be asked."""
    BELOW_BLOCK_DEVICE = "below-block-device"
    """What is beneath the block device (flash translation, RAID, a volume's own snapshots) is not seen."""
    HOST_DEVICE_ATTACHED = "host-device-attached"
    """The guest had a device of the host of a class that `storage.harmless_host_devices` names; what the device keeps is not seen."""
    COPIES_UNSEEN = "copies-unseen"
    """Copies of the phone's storage that nothing names now and that were made before the product first looked, or between two of its looks: a backup that had
    ended, a block copy that was pivoted away from, an export by hand, the journal of a filesystem that was mounted with `data=journal` once. The default,
    since nobody tells of them afterwards."""
    SAMPLED = "sampled"
    """Only a share was read back (`storage.verify`)."""


class Via(StrEnum):
    """How the bytes were read back (docs/contract.md, "Words": verified via)."""

    BLOCK_ODIRECT = "block-odirect"
    """From the block device, at the file's physical ranges, with O_DIRECT."""
    FILE_ODIRECT = "file-odirect"
    """From the file with O_DIRECT, on ext4 or XFS, where the device cannot be opened."""
    BTRFS_NODATACOW_FILE = "btrfs-nodatacow-file"
    """From the file with O_DIRECT, for an unshared btrfs file without copy-on-write."""


@dataclass(frozen=True, slots=True)
class EraseResult:
    """What the eraser says of one artefact. `reasons` empty: every mapped byte was written, synced, and the map stayed (`digest_after`)."""

    artefact_id: str
    bytes_overwritten: int
    passes: int
    digest_before: str
    digest_after: str
    extents: int
    flags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the observer says after reading back. `mismatches` counts 4096-byte blocks that differ from the keystream. `reasons` empty and `via` set: proven."""

    artefact_id: str
    via: str
    bytes_verified: int
    mismatches: int
    map_digest: str
    sampled: bool = False
    started_at: str = ""
    ended_at: str = ""
    reasons: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ArtefactOutcome:
    """The verdict on one artefact."""

    artefact_id: str
    outcome: Outcome
    reasons: tuple[str, ...]
    bytes_overwritten: int
    bytes_verified: int
    mismatches: int
    verified_via: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on the phone: the worst of its artefacts (docs/physics.md 8)."""

    outcome: Outcome
    reasons: tuple[str, ...]
    residuals: tuple[str, ...]
    artefacts: tuple[ArtefactOutcome, ...]
    scope: str = "current extents"
