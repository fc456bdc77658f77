"""The plan: the very object that `plan` prints and `execute` consumes (STYLE 4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from wiped.model.inventory import ArtefactKind, ExtentFacts, FileIdentity, FilesystemFacts


class Method(StrEnum):
    """CONTRACT's methods."""

    OVERWRITE = "overwrite"
    CRYPTO_ERASE = "crypto-erase"
    REMOVE = "remove"


class RefusalCode(StrEnum):
    """CONTRACT's refusal codes."""

    SHARED_BY_DOMAIN = "shared-by-domain"
    PROTECTED_ROOT = "protected-root"
    OUTSIDE_ROOTS = "outside-roots"
    SYMLINK = "symlink"
    HARD_LINK = "hard-link"
    NOT_REGULAR = "not-regular"
    AMBIGUOUS_BASE = "ambiguous-base"
    GENERATION_OCCUPIED = "generation-occupied"
    UNTRUSTED_FORMAT = "untrusted-format"
    EXTERNAL_DATA_FILE = "external-data-file"
    IN_USE = "in-use"
    MOUNTED = "mounted"
    SHAREABLE_DISK = "shareable-disk"
    IDENTITY_CHANGED = "identity-changed"
    DRIFT = "drift"
    LEGAL_HOLD = "legal-hold"
    SUBSCRIPTION_ACTIVE = "subscription-active"
    SUBSCRIPTION_RENEWED = "subscription-renewed"
    FEED_STALE = "feed-stale"
    CLOCK_SUSPECT = "clock-suspect"
    BREAKER_OPEN = "breaker-open"
    NEEDS_APPROVAL = "needs-approval"
    WRONG_CONFIRMATION = "wrong-confirmation"
    # Additions of ours, documented in the README:
    DOMAIN_BUSY = "domain-busy"
    """The domain is being saved, migrated or is otherwise under a libvirt job: wait."""
    MISSING = "missing"
    """An image that the domain names is not there (or its chain cannot be walked to the end)."""
    UNREADABLE = "unreadable"
    """An image is there but cannot be read (I/O error, permission)."""
    UNSUPPORTED_ARTEFACT = "unsupported-artefact"
    """The domain keeps data in a place that this version cannot wipe (network disk, shared directory, TPM state...)."""
    LIVE_ONLY = "live-only"
    """Only the running phone has it, and libvirt forgets it at the stop (a hot-plugged disk, file-backed memory): the phone is not stopped."""
    UNKNOWN_FILE = "unknown-file"
    """A file in the phone's own directory that its profile does not list: neither ignored nor destroyed."""
    DRAINING = "draining"
    """The host, or the product, stops operating: no new subscription is accepted (R7)."""
    REVISION_OLD = "revision-old"
    """A feed's record is older than one that was taken already."""
    UNSIGNED = "unsigned"
    """The feed must be signed, and this record is not, or wrongly, or out of its validity."""
    EXPIRED_APPROVAL = "approval-expired"
    """It was not approved, or not carried out, in time: it is asked for anew."""
    UNBOUND = "unbound"
    """The domain has no subscription: nothing may be concluded about it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A guard's no: which code, at which file or key, and why in words."""

    code: RefusalCode
    location: str
    detail: str


@dataclass(frozen=True, slots=True)
class Step:
    """One artefact to be erased. `extents.map_digest` is the coverage that eraser and observer must find again (PHYSICS 2, step 4)."""

    artefact_id: str
    kind: ArtefactKind
    location: str
    format: str
    virtual_bytes: int
    allocated_bytes: int
    identity: FileIdentity
    method: Method
    reason: str
    filesystem: FilesystemFacts
    extents: ExtentFacts
    root: str = ""
    internal_snapshots: int = 0
    retained_extents: ExtentFacts | None = None
    """Extents of a reflinked clone that stay with the golden image (DESIGN, shared extents); never overwritten, never read back."""
    golden: str = ""
    gone: bool = False
    """Of a vanished phone: it was remembered and is not there any more (reason `vanished`)."""


@dataclass(frozen=True, slots=True)
class Retained:
    """A file that the phone reaches and that is kept: the golden image, shared media."""

    location: str
    kind: str
    reason: str
    identity: FileIdentity | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Exactly what would be destroyed, kept and refused. A plan with refusals is never executed.

    `fingerprint`: SHA-256 of the canonical form of steps, retained and refusals with the phone's UUID and generation; allocated sizes and extent
    maps are left out, since a running phone changes them every second and approvals are bound to the fingerprint.
    """

    uuid: str
    name: str
    generation: int
    steps: tuple[Step, ...]
    retained: tuple[Retained, ...]
    refusals: tuple[Refusal, ...]
    residuals: tuple[str, ...]
    expected_outcome: str
    expected_reasons: tuple[str, ...]
    fingerprint: str
    passes: int = 1
    verify: str = "full"
    vanished: bool = False
    """The domain is not defined any more: made from what was remembered of it."""
