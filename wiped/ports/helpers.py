"""The two root helpers as the daemon sees them, and the files that the daemon leaves for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from wiped.model.images import ClassifiedImage
from wiped.model.inventory import DomainFacts, FileIdentity, Inventory
from wiped.model.outcome import EraseResult, Evidence
from wiped.model.sightings import Memory, RememberedFile
from wiped.wire.messages import Lock, Locked, OrphansFound, ReadBack, Trimmed


class Observer(Protocol):
    """The eyes (root, read-only). Raises HelperError or StorageError."""

    async def survey(self, domain: DomainFacts, others: Sequence[DomainFacts], *, with_extents: bool) -> Inventory:
        """Everything that one phone reaches on this host."""

    async def orphans(self, domains: Sequence[DomainFacts]) -> OrphansFound:
        """Files under the roots that none of `domains` (all that libvirt knows) reaches; bounded."""

    async def ranges(self, location: str, identity: FileIdentity) -> tuple[tuple[bytes, ...], str]:
        """The extent map of a file as compact blobs, and its digest. Raises RefusedError too, when another file stands at `location` now."""

    async def read_back(self, request: ReadBack, progress: Callable[[int, int], None]) -> Evidence:
        """Read an erased artefact back from the device. `progress(done, total)` in bytes."""


class EraserSession(Protocol):
    """One connection to one eraser; its locks live as long as the session."""

    @property
    def pid(self) -> int:
        """The helper's process id."""

    async def lock(self, request: Lock) -> Locked:
        """Take all locks or none. Raises RefusedError with the eraser's own codes."""

    async def erase(self, artefact_id: str, seed: bytes, map_digest: str, passes: int, progress: Callable[[int, int], None]) -> EraseResult:
        """Overwrite one locked artefact. Reasons in the result tell what was not done."""

    async def remove(self, artefact_id: str, evidence: Evidence) -> None:
        """Rename, truncate, unlink, sync. Idempotent over restarts."""

    async def leave(self, artefact_id: str) -> None:
        """Unlock one artefact, in place."""

    async def trim(self, location: str) -> Trimmed:
        """Make the free space of the filesystem at a directory unreadable; `method` "" where that could not be shown. After all removals, or on a session
        of its own. Raises RefusedError (not a directory of ours)."""


class Eraser(Protocol):
    """The hands (root)."""

    def session(self) -> AbstractAsyncContextManager[EraserSession]:
        """A new helper connection; leaving the context ends it and waits for the helper's exit."""


class Sheets(Protocol):
    """Small files beside the ledger that the helpers read for themselves; whole or absent, synced when the call returns. Raises StorageError."""

    async def classify(self, image: ClassifiedImage) -> None:
        """Write or replace the record of one image. Idempotent."""

    async def remember(self, memory: Memory, files: Sequence[RememberedFile]) -> None:
        """Write or replace what one phone has. Idempotent."""

    async def forget(self, uuid: str) -> None:
        """Remove it. Idempotent."""

    async def count(self) -> int:
        """How many records there are of images and of phones: a host that has some has a past."""
