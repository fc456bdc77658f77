"""Images that are no phone's business alone: classified by a person, or reached by no domain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from wiped.model.inventory import FileIdentity

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
class OrphanImage:
    """A file under a root that no domain reaches. `owner`: the phone that was last remembered to have it, "" for none; `modified`: RFC 3339 UTC."""

    location: str
    size_bytes: int
    allocated_bytes: int
    modified: str
    owner: str = ""
    owner_name: str = ""
