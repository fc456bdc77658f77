"""What was once seen or settled and must outlive its moment: classified images and a phone's remembered files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from wiped.model.inventory import ArtefactKind, FileIdentity

#: What `wipectl images classify` may call an image.
GOLDEN, PRIVATE = "golden", "private"
MEANINGS = (GOLDEN, PRIVATE)


@dataclass(frozen=True, slots=True)
class ClassifiedImage:
    """An image as a person settled it. It holds for this very file at this very path. `meaning`: golden or private; `operator`: staff identity."""

    path: str
    identity: FileIdentity
    meaning: str
    at: datetime
    operator: str


@dataclass(frozen=True, slots=True)
class RememberedFile:
    """One file that was a phone's own alone when it was last looked at. `local`: on a filesystem of this host."""

    kind: ArtefactKind
    location: str
    identity: FileIdentity
    local: bool
    first_seen: datetime | None = None
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """When a phone was last looked at, in which generation, of which facts (a digest), and whether it was seen to leave by migration since."""

    uuid: str
    generation: int
    at: datetime
    digest: str
    migrated: bool = False


@dataclass(frozen=True, slots=True)
class OrphanImage:
    """A file under a root that no domain reaches. `owner`: the phone that was last remembered to have it, "" for none; `modified`: RFC 3339 UTC."""

    location: str
    size_bytes: int
    allocated_bytes: int
    modified: str
    owner: str = ""
    owner_name: str = ""
