"""How a wipe ends, in the fake ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tests.fakes.ledger.state import Memo
from wiped.model.notices import NoticeKind
from wiped.model.outcome import Outcome
from wiped.model.records import FINAL_STEPS, ArtefactState, CertificateRecord, WipeStep
from wiped.model.subscription import State


class FakeVerdicts:
    """`ports.ledger.VerdictStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def judge(
        self,
        wipe_id: str,
        *,
        outcome: str,
        reasons: Sequence[str],
        residuals: Sequence[str],
        certificate: CertificateRecord | None,
        now: datetime,
        retry_at: datetime | None,
    ) -> None:
        self._state.write()
        wipe = self._state.wipes[wipe_id]
        proven = outcome != Outcome.NOT_SANITIZED
        keep = {ArtefactState.REMOVED, ArtefactState.PROVEN}
        artefacts = tuple(item if item.state in keep else replace(item, state=ArtefactState.LEFT) for item in wipe.artefacts)
        if certificate is not None:
            self._state.certificates.append(certificate)
        self._state.wipes[wipe_id] = replace(
            wipe,
            step=WipeStep.JUDGED if proven else WipeStep.QUARANTINED,
            outcome=outcome,
            reasons=tuple(reasons),
            residuals=tuple(residuals),
            certificate_id=certificate.id if certificate else wipe.certificate_id,
            retry_at=retry_at,
            artefacts=artefacts,
        )
        self._state.phones[wipe.uuid] = replace(self._state.phones[wipe.uuid], state=State.WIPED if proven else State.QUARANTINED, next_at=None)
        self._state.log("judged", {"wipe_id": wipe_id, "outcome": outcome, "reasons": list(reasons)}, now)
        told = {"wipe_id": wipe_id, "outcome": str(outcome), "certificate_id": certificate.id if certificate else "", "reasons": list(reasons)}
        self._state.tell(NoticeKind.WIPED if proven else NoticeKind.NOT_SANITIZED, self._state.phones[wipe.uuid], told, now)

    async def finish(self, wipe_id: str, step: WipeStep, now: datetime) -> None:
        self._state.write()
        wipe = self._state.wipes[wipe_id]
        if wipe.step in FINAL_STEPS:
            return
        self._state.wipes[wipe_id] = replace(wipe, step=step, finished_at=now)
        self._state.ranges = {key: blobs for key, blobs in self._state.ranges.items() if key[0] != wipe_id}
        if step is WipeStep.RELEASED:
            self._state.phones[wipe.uuid] = replace(self._state.phones[wipe.uuid], state=State.RELEASED, next_at=None)
            self._state.forget(wipe.uuid)
            for item in self._state.requests:
                item.closed = item.closed or (item.uuid, item.generation) == (wipe.uuid, wipe.generation)
        self._state.log(str(step), {"wipe_id": wipe_id}, now)
