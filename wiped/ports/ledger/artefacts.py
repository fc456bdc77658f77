"""What a wipe destroys, one artefact at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wiped.model.outcome import EraseResult, Evidence


class ArtefactStore(Protocol):
    """What a wipe destroys, one artefact at a time."""

    async def save_ranges(self, wipe_id: str, artefact_id: str, blobs: Sequence[bytes], map_digest: str) -> None:
        """The physical ranges of an artefact, while its lock is held."""

    async def saved_ranges(self, wipe_id: str, artefact_id: str) -> tuple[bytes, ...]:
        """The blobs that `save_ranges` recorded, in order; () when the wipe is over."""

    async def record_erased(self, wipe_id: str, result: EraseResult) -> None:
        """What the eraser said of one artefact."""

    async def record_evidence(self, wipe_id: str, evidence: Evidence, *, proven: bool) -> None:
        """What the observer said of one artefact."""

    async def record_removed(self, wipe_id: str, artefact_id: str) -> None:
        """The artefact's name is gone."""
