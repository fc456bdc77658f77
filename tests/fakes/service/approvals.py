"""The fake service's part about approvals."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import APPROVAL, NOW
from wiped.errors import NotFoundError, RefusedError
from wiped.model.approvals import Approval, ApprovalState, Person


class FakeApprovals:
    """Implements `wiped.ports.service.ApprovalsService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def find(self, every: bool = False) -> tuple[Approval, ...]:
        self._desk.ask("approvals", every)
        return tuple(item for item in self._desk.pending if every or item.state is ApprovalState.PENDING)

    async def get(self, approval_id: str) -> Approval:
        self._desk.ask("approval", approval_id)
        for item in self._desk.pending:
            if item.id == approval_id:
                return item
        raise NotFoundError("no such approval", where="approval")

    async def approve(self, approval_id: str, *, fingerprint: str, person: Person) -> Approval:
        self._desk.ask("approve", approval_id, fingerprint, person)
        if fingerprint != APPROVAL.fingerprint:
            raise RefusedError("the plan changed: look again", codes=("drift",))
        return replace(APPROVAL, state=ApprovalState.APPROVED, approvals=(person.name,), decided_at=NOW)

    async def reject(self, approval_id: str, *, reason: str, person: Person) -> Approval:
        self._desk.ask("reject", approval_id, reason, person)
        return replace(APPROVAL, state=ApprovalState.REJECTED, decided_at=NOW)
