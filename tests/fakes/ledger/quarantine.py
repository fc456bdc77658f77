"""Wipes without proof, in the fake ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tests.fakes.ledger.state import Memo
from wiped.errors import InvariantError
from wiped.model.records import CertificateRecord, WipeStep
from wiped.model.subscription import State


class FakeQuarantine:
    """`ports.ledger.QuarantineStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def retry_now(self, wipe_id: str, now: datetime, operator: str) -> None:
        self._state.write()
        self._state.wipes[wipe_id] = replace(self._state.wipes[wipe_id], retry_at=now)
        self._state.log("retry", {"wipe_id": wipe_id, "operator": operator}, now)

    async def dispose(self, wipe_id: str, certificate: CertificateRecord, now: datetime, *, operator: str, approver: str) -> None:
        self._state.write()
        wipe = self._state.wipes[wipe_id]
        if wipe.step is WipeStep.DISPOSED:
            return
        if wipe.step is not WipeStep.QUARANTINED or certificate.kind != "incident":
            raise InvariantError("I3", "only what waits in quarantine is disposed of")
        if not operator or approver in ("", operator):
            raise InvariantError("R14", "a disposal takes two different people")
        self._state.certificates.append(certificate)
        self._state.wipes[wipe_id] = replace(wipe, step=WipeStep.DISPOSED, certificate_id=certificate.id, finished_at=now, retry_at=None)
        self._state.phones[wipe.uuid] = replace(self._state.phones[wipe.uuid], state=State.DISPOSED, next_at=None)
        self._state.forget(wipe.uuid)
        self._state.log("disposed", {"wipe_id": wipe_id, "operator": operator, "approver": approver}, now)
