"""What was seen of a phone when it was last looked at, and must outlive that moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wiped.model.inventory import ArtefactKind, FileIdentity

#: Kinds that are never erased by memory alone: a device is used again without a trace, a secret is used by others.
NEVER_BY_MEMORY: Final = frozenset({ArtefactKind.BLOCK_DEVICE, ArtefactKind.LIBVIRT_SECRET})


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
