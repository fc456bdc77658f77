"""The plan: the very object that `plan` prints and `execute` consumes (docs/style.md 4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from wiped.model.inventory import ArtefactKind, ExtentFacts, FileIdentity, FilesystemFacts


class Method(StrEnum):
    """The methods of docs/contract.md."""

    OVERWRITE = "overwrite"
    """The mapped ranges are overwritten, read back and compared."""
    CRYPTO_ERASE = "crypto-erase"
    """The key is destroyed. Not used in this version."""
    REMOVE = "remove"
    """The file is removed without overwriting. Not used in this version."""


class RefusalCode(StrEnum):
    """The refusal codes of docs/contract.md."""

    SHARED_BY_DOMAIN = "shared-by-domain"
    """Another domain (its disks, snapshots or backing chains) reaches the file."""
    PROTECTED_ROOT = "protected-root"
    """The file is under `storage.protected`."""
    OUTSIDE_ROOTS = "outside-roots"
    """The file is under no root: add the root, or move the image."""
    SYMLINK = "symlink"
    """A component of the path is a symbolic link: write the real path in the domain's definition."""
    HARD_LINK = "hard-link"
    """The file has another name: remove that name, if it is left over."""
    NOT_REGULAR = "not-regular"
    """A device, FIFO or directory is where an image should be."""
    AMBIGUOUS_BASE = "ambiguous-base"
    """A backing file or medium that may be shared: put golden images under `storage.protected`, or decide with `wipectl images classify`."""
    GENERATION_OCCUPIED = "generation-occupied"
    """Another account's subscription came before this phone was wiped: the phone is fenced; correct it with billing."""
    UNTRUSTED_FORMAT = "untrusted-format"
    """No stated format, or a header that contradicts the stated one: formats are never probed."""
    EXTERNAL_DATA_FILE = "external-data-file"
    """A qcow2 file that keeps its data in another file."""
    IN_USE = "in-use"
    """Another process has the image open (QEMU, a backup, a loop device): tried again by itself."""
    MOUNTED = "mounted"
    """The file or device is mounted."""
    SHAREABLE_DISK = "shareable-disk"
    """The domain's definition says that others may write this disk."""
    IDENTITY_CHANGED = "identity-changed"
    """Another file is in the place of the planned one (`cp disk new; mv new disk`: the old one may still exist elsewhere). Once that is dealt with, `wipectl
    protect` and `unprotect` begin the wipe anew."""
    DRIFT = "drift"
    """Something changed between plan and wipe: planned anew."""
    LEGAL_HOLD = "legal-hold"
    """A legal hold forbids the wipe."""
    SUBSCRIPTION_ACTIVE = "subscription-active"
    """The term has not ended; with `needs-approval` beside it a second person can agree to end the term now."""
    SUBSCRIPTION_RENEWED = "subscription-renewed"
    """The subscription was renewed while the wipe was under way."""
    FEED_STALE = "feed-stale"
    """No recent complete answer of the feed: absent is not expired."""
    CLOCK_SUSPECT = "clock-suspect"
    """The clock was stepped, is before the newest audit entry, lost its synchronisation, or jumped over a reboot: correct the clock; if the clock is right,
    `wipectl clock trust`."""
    BREAKER_OPEN = "breaker-open"
    """Too many phones fell due at once: look at `wipectl breaker status`, then correct the feed, or `wipectl breaker release`."""
    NEEDS_APPROVAL = "needs-approval"
    """A second person is needed: where an approval is named, `wipectl approvals approve ID`; for an import, `subscriptions set` for that phone."""
    WRONG_CONFIRMATION = "wrong-confirmation"
    """The typed name is not the phone's."""
    DOMAIN_BUSY = "domain-busy"
    """The domain is being saved or migrated, or another libvirt job runs on it: tried again by itself."""
    MISSING = "missing"
    """An image that the domain's definition names does not exist, or its chain cannot be followed to the end."""
    UNREADABLE = "unreadable"
    """An image exists and cannot be read (I/O error, permission, a neighbour's image that cannot be followed)."""
    UNSUPPORTED_ARTEFACT = "unsupported-artefact"
    """The domain keeps data in a place that this version cannot wipe (network disk, a disk that is passed through, TPM state without a directory)."""
    LIVE_ONLY = "live-only"
    """Only the running phone has it, and libvirt forgets it at the stop (a hot-plugged disk, file-backed memory): the phone is not stopped."""
    IMMUTABLE = "immutable"
    """The file or its directory is immutable or append-only (chattr +i, +a): take the flag off, then the wipe is tried again."""
    EXTENT_SHARED = "extent-shared"
    """The file shares blocks with another file that is not its golden image (`cp --reflink`): remove that copy, if nobody needs it."""
    UNKNOWN_FILE = "unknown-file"
    """A file in the phone's own directory that its profile does not list, or a former file of the phone that no definition references: neither ignored nor
    destroyed."""
    DRAINING = "draining"
    """The host, or the product, stops operating and takes no new subscription (R7)."""
    REVISION_OLD = "revision-old"
    """A feed's record is older than one that was taken already: nothing of the record is taken."""
    UNSIGNED = "unsigned"
    """The feed must be signed, and this record is not signed, is signed by another key, or is out of its validity."""
    EXPIRED_APPROVAL = "approval-expired"
    """Nobody approved in time, or what was approved was not carried out in time: ask again."""
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
    """One artefact to be erased. `extents.map_digest` is the coverage that eraser and observer must find again (docs/physics.md 2, step 4)."""

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
    """Extents of a reflinked clone that stay with the golden image (docs/physics.md 1, last row); never overwritten, never read back."""
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
