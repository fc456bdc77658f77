"""Outcomes and evidence of erasing, per artefact and per phone (PHYSICS 8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """CONTRACT's outcomes, best first."""

    PURGE = "purge"
    CLEAR = "clear"
    NOT_SANITIZED = "not-sanitized"


class ReasonCode(StrEnum):
    """Why something is `not-sanitized` (PHYSICS 8)."""

    COW_FILESYSTEM = "cow-filesystem"
    EXTENT_SHARED = "extent-shared"
    EXTENT_ENCODED = "extent-encoded"
    EXTENT_INLINE = "extent-inline"
    EXTENT_UNKNOWN = "extent-unknown"
    EXTENT_MOVED = "extent-moved"
    JOURNALED_DATA = "journaled-data"
    THIN_POOL = "thin-pool"
    OPAQUE_STORAGE = "opaque-storage"
    DISCARD_ONLY = "discard-only"
    IO_ERROR = "io-error"
    READBACK_MISMATCH = "readback-mismatch"
    READBACK_IMPOSSIBLE = "readback-impossible"
    IMAGE_IN_USE = "image-in-use"
    KEY_COPY_UNACCOUNTED = "key-copy-unaccounted"
    PLAINTEXT_BEFORE_ENCRYPTION = "plaintext-before-encryption"
    COPY_NOT_REACHED = "copy-not-reached"
    VANISHED = "vanished"
    LEGAL_HOLD = "legal-hold"


#: Reasons that are retried with back-off from 5 minutes to 24 hours (DESIGN, Quarantined); the others wait for a changed host.
RETRYABLE_REASONS = frozenset(
    {
        ReasonCode.IO_ERROR,
        ReasonCode.READBACK_MISMATCH,
        ReasonCode.READBACK_IMPOSSIBLE,
        ReasonCode.IMAGE_IN_USE,
        ReasonCode.KEY_COPY_UNACCOUNTED,
    }
)


class ResidualCode(StrEnum):
    """Residual risks that do not change the outcome (PHYSICS 8)."""

    FREED_BLOCKS_UNTRACED = "freed-blocks-untraced"
    FREED_BLOCKS_REALLOCATED = "freed-blocks-reallocated"
    """Ours, in place of `freed-blocks-untraced`: the filesystem's free space was made unreadable (FITRIM, proven by a probe) after the removal; only
    blocks that another file had been given before that are not traced."""
    GUEST_DISCARD_ENABLED = "guest-discard-enabled"
    GUEST_MEMORY_SWAPPED = "guest-memory-swapped"
    BELOW_BLOCK_DEVICE = "below-block-device"
    SAMPLED = "sampled"


class Via(StrEnum):
    """How the bytes were read back (CONTRACT `verified_via`)."""

    BLOCK_ODIRECT = "block-odirect"
    FILE_ODIRECT = "file-odirect"
    BTRFS_NODATACOW_FILE = "btrfs-nodatacow-file"


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
    """The verdict on the phone: the worst of its artefacts (PHYSICS 8)."""

    outcome: Outcome
    reasons: tuple[str, ...]
    residuals: tuple[str, ...]
    artefacts: tuple[ArtefactOutcome, ...]
    scope: str = "current extents"
