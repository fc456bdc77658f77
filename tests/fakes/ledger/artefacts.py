"""What a wipe destroys, in the fake ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.fakes.ledger.state import Memo
from wiped.model.outcome import EraseResult, Evidence
from wiped.model.records import ArtefactState


class FakeArtefacts:
    """`ports.ledger.ArtefactStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    def _artefact(self, wipe_id: str, artefact_id: str, **changes: Any) -> None:
        self._state.write()
        wipe = self._state.wipes[wipe_id]
        artefacts = tuple(replace(item, **changes) if item.artefact_id == artefact_id else item for item in wipe.artefacts)
        self._state.wipes[wipe_id] = replace(wipe, artefacts=artefacts)

    async def save_ranges(self, wipe_id: str, artefact_id: str, blobs: Sequence[bytes], map_digest: str) -> None:
        self._artefact(wipe_id, artefact_id, map_digest=map_digest)
        self._state.ranges[wipe_id, artefact_id] = tuple(blobs)

    async def saved_ranges(self, wipe_id: str, artefact_id: str) -> tuple[bytes, ...]:
        return self._state.ranges.get((wipe_id, artefact_id), ())

    async def record_erased(self, wipe_id: str, result: EraseResult) -> None:
        self._artefact(wipe_id, result.artefact_id, result=result, evidence=None, state=ArtefactState.ERASED)

    async def record_evidence(self, wipe_id: str, evidence: Evidence, *, proven: bool) -> None:
        self._artefact(wipe_id, evidence.artefact_id, evidence=evidence, state=ArtefactState.PROVEN if proven else ArtefactState.ERASED)

    async def record_removed(self, wipe_id: str, artefact_id: str) -> None:
        self._artefact(wipe_id, artefact_id, state=ArtefactState.REMOVED)
