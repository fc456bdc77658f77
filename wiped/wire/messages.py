"""Every message that crosses the wire, as frozen dataclasses; see `framing.py` for their bytes.

Eraser:    hello -> hello;  lock -> locked | refused;  erase -> progress* erased;  remove -> removed;  leave -> left;  trim -> progress* trimmed;
           EOF: the helper exits.
Observer:  hello -> hello;  survey -> inventory;  orphans -> orphans-found;  ranges -> ranges-chunk* ranges-end;  read-back -> progress* evidence.
Either:    anything -> failure (an error of ours, by its stable code).
One request at a time on a connection. Helpers take the storage rules from root's configuration file, never from the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from wiped.model.inventory import ArtefactKind, DomainFacts, FileIdentity, Inventory
from wiped.model.outcome import EraseResult, Evidence
from wiped.model.plan import Refusal

#: Both sides must speak the same version; there is one program of each on a host.
VERSION = 1
#: So many artefacts has a plan at most: a phone with more is refused by name.
MAX_STEPS: Final = 10_000
#: A longer line ends the connection. A survey of 1,000 domains is about 1 MiB, the inventory of MAX_STEPS artefacts with the longest paths less than this.
MAX_LINE: Final = 96 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Hello:
    """Each side's first message. `pid` is the helper's; `role` is `daemon`, `eraser` or `observer`."""

    type: ClassVar[str] = "hello"
    version: int
    role: str
    pid: int = 0
    program: str = ""


@dataclass(frozen=True, slots=True)
class LockStep:
    """One artefact to lock. `map_digest` "" means: not saved yet. `may_be_renamed`: a former run may have renamed it to `rename_to` already."""

    artefact_id: str
    kind: ArtefactKind
    location: str
    format: str
    identity: FileIdentity
    rename_to: str
    map_digest: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """Take the locks of one plan. `resumed`: erasing had begun before; headers no longer parse, only device, inode and ranges are compared.
    `retained`: never opened for writing, never locked; the eraser refuses a plan whose steps and retained share an identity."""

    type: ClassVar[str] = "lock"
    wipe_id: str
    uuid: str
    name: str
    steps: tuple[LockStep, ...]
    retained: tuple[FileIdentity, ...] = ()
    resumed: bool = False
    vanished: bool = False
    """The domain is not defined any more: the eraser then goes by its remembered files, and insists that libvirt knows no domain of this UUID."""


@dataclass(frozen=True, slots=True)
class LockedStep:
    """`status`: `locked`, `renamed` (found under its rename target, only `remove` may follow) or `missing`."""

    artefact_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Locked:
    """All locks are held until this connection ends."""

    type: ClassVar[str] = "locked"
    steps: tuple[LockedStep, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The helper refuses by itself; nothing is locked and nothing was written."""

    type: ClassVar[str] = "refused"
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Erase:
    """Overwrite one locked artefact. `seed`: 64 hex digits. `map_digest`: of the ranges in the ledger (I1); another coverage now is `extent-moved`."""

    type: ClassVar[str] = "erase"
    artefact_id: str
    seed: str
    map_digest: str
    passes: int = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """Bytes done of bytes in all, for one artefact."""

    type: ClassVar[str] = "progress"
    artefact_id: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Erased:
    """The end of one `erase`."""

    type: ClassVar[str] = "erased"
    result: EraseResult


@dataclass(frozen=True, slots=True)
class Remove:
    """Rename, truncate, unlink, sync the directory. `evidence` must be a passed read-back of this very artefact (I3)."""

    type: ClassVar[str] = "remove"
    artefact_id: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Removed:
    """The name is gone and its directory synced."""

    type: ClassVar[str] = "removed"
    artefact_id: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Unlock one artefact and leave it in place."""

    type: ClassVar[str] = "leave"
    artefact_id: str


@dataclass(frozen=True, slots=True)
class Left:
    """Left in place."""

    type: ClassVar[str] = "left"
    artefact_id: str


@dataclass(frozen=True, slots=True)
class Trim:
    """To the eraser, on a connection of its own or after all removals: make the free space of the filesystem at `location` (a directory under a root or in
    libvirt's own directories) unreadable, if a probe shows that the device does so (docs/physics.md 3)."""

    type: ClassVar[str] = "trim"
    location: str


@dataclass(frozen=True, slots=True)
class Trimmed:
    """`method`: `fitrim`, `fill` or "" (nothing was proven); `bytes`: as the kernel reported; `detail`: why not, for people."""

    type: ClassVar[str] = "trimmed"
    location: str
    method: str
    bytes: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Orphans:
    """To the observer: which files under the roots no domain reaches. `domains`: every domain that libvirt knows."""

    type: ClassVar[str] = "orphans"
    domains: tuple[DomainFacts, ...]


@dataclass(frozen=True, slots=True)
class Orphan:
    """A regular file under a root that no domain reaches. `modified`: RFC 3339 UTC."""

    location: str
    identity: FileIdentity
    size_bytes: int
    allocated_bytes: int
    modified: str
    local: bool = True
    links: int = 1


@dataclass(frozen=True, slots=True)
class OrphansFound:
    """`truncated`: more than the wire takes; `problems`: (location, why) of what could not be looked at."""

    type: ClassVar[str] = "orphans-found"
    orphans: tuple[Orphan, ...]
    truncated: bool = False
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """Look at everything one phone reaches. `others`: every other domain that libvirt knows, for owners. `with_extents` also maps the files."""

    type: ClassVar[str] = "survey"
    domain: DomainFacts
    others: tuple[DomainFacts, ...]
    with_extents: bool = True


@dataclass(frozen=True, slots=True)
class Surveyed:
    """The answer to `survey`."""

    type: ClassVar[str] = "inventory"
    inventory: Inventory


@dataclass(frozen=True, slots=True)
class Ranges:
    """Send the extent map of one file."""

    type: ClassVar[str] = "ranges"
    location: str
    identity: FileIdentity


@dataclass(frozen=True, slots=True)
class RangesChunk:
    """Up to 32,768 merged ranges: base64 of `storage.extents.ExtentMap.to_blobs()`' form."""

    type: ClassVar[str] = "ranges-chunk"
    blob: str


@dataclass(frozen=True, slots=True)
class RangesEnd:
    """The end of the map, with the digest of all of it."""

    type: ClassVar[str] = "ranges-end"
    count: int
    map_digest: str


@dataclass(frozen=True, slots=True)
class ReadBack:
    """Read one erased artefact back from the device and compare with the keystream of the last pass. `fraction_millionths`: 1,000,000 is everything."""

    type: ClassVar[str] = "read-back"
    artefact_id: str
    location: str
    identity: FileIdentity
    seed: str
    map_digest: str
    passes: int = 1
    fraction_millionths: int = 1_000_000


@dataclass(frozen=True, slots=True)
class EvidenceFound:
    """The end of one `read-back`."""

    type: ClassVar[str] = "evidence"
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of the helper: `code` of `wiped.errors`, `reason` a reason code or "", and a sentence without personal data."""

    type: ClassVar[str] = "failure"
    code: str
    reason: str
    detail: str


Message = (
    Hello | Lock | Locked | Refused | Erase | Progress | Erased | Remove | Removed | Leave | Left | Trim | Trimmed
    | Orphans | OrphansFound
    | Survey | Surveyed | Ranges | RangesChunk | RangesEnd | ReadBack | EvidenceFound | Failure
)  # fmt: skip

MESSAGES: tuple[type[Message], ...] = (
    Hello, Lock, Locked, Refused, Erase, Progress, Erased, Remove, Removed, Leave, Left, Trim, Trimmed, Orphans, OrphansFound,
    Survey, Surveyed, Ranges, RangesChunk, RangesEnd, ReadBack, EvidenceFound, Failure,
)  # fmt: skip
