"""The fake service's part about the quarantine."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import APPROVAL_ID
from wiped.errors import RefusedError
from wiped.model.approvals import Person
from wiped.model.records import WipeRecord, WipeStep


class FakeQuarantine:
    """Implements `wiped.ports.service.QuarantineService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def find(self) -> tuple[WipeRecord, ...]:
        self._desk.ask("quarantine")
        return tuple(wipe for wipe in self._desk.made if wipe.step is WipeStep.QUARANTINED)

    async def retry(self, uuid: str, operator: str) -> WipeRecord:
        self._desk.ask("retry", uuid, operator)
        return replace(self._desk.made[0], step=WipeStep.QUEUED)

    async def dispose(self, uuid: str, *, reason: str, reference: str, confirm: str, person: Person) -> WipeRecord:
        self._desk.ask("dispose", uuid, reason, reference, confirm, person)
        raise RefusedError("accepting what cannot be proven takes a second, different person", codes=("needs-approval",), approval=APPROVAL_ID)
