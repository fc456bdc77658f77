"""What takes two people, in the fake ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.fakes.ledger.state import Memo
from wiped.decide import approval as rules
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.approvals import Approval, ApprovalState
from wiped.model.notices import NoticeKind


class FakeApprovals:
    """`ports.ledger.ApprovalStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    def _known(self, approval_id: str) -> Approval:
        if approval_id not in self._state.approvals:
            raise NotFoundError("no such approval", where="approval")
        return self._state.approvals[approval_id]

    def _change(self, found: Approval, kind: str, now: datetime, told: dict[str, Any], **changes: Any) -> Approval:
        self._state.write()
        after = self._state.approvals[found.id] = replace(found, **changes)
        self._state.touched |= set(found.uuids)
        self._state.log(kind, {"id": found.id, "kind": str(found.kind), "operator": found.asked_by, **told}, now)
        return after

    async def ask(self, approval: Approval, *, reason: str) -> Approval:
        self._state.write()
        for other in self._state.approvals.values():
            if (other.kind, other.subject, other.state) == (approval.kind, approval.subject, ApprovalState.PENDING):
                return other
        self._state.approvals[approval.id] = approval
        self._state.keep_words(approval.id, reason=reason)
        self._state.log("approval-asked", {"id": approval.id, "kind": str(approval.kind), "operator": approval.asked_by}, approval.asked_at)
        phone = self._state.phones.get(approval.uuids[0]) if len(approval.uuids) == 1 else None
        data = {"approval_id": approval.id, "kind": str(approval.kind), "uuids": list(approval.uuids), "needed": approval.needed}
        self._state.tell(NoticeKind.APPROVAL_ASKED, phone, data, approval.asked_at)
        return approval

    async def find(self, *, unfinished: bool = True) -> tuple[Approval, ...]:
        return tuple(item for item in self._state.approvals.values() if not unfinished or item.state is ApprovalState.PENDING)

    async def get(self, approval_id: str) -> Approval | None:
        return self._state.approvals.get(approval_id)

    async def agree(self, approval_id: str, name: str, now: datetime, *, fingerprint: str) -> Approval:
        found = self._known(approval_id)
        if found.state is ApprovalState.APPROVED and name in found.approvals:
            return found
        if found.state is not ApprovalState.PENDING:
            raise InputError("it is settled", where="approval")
        if now >= found.expires_at:
            raise RefusedError("too late", codes=("approval-expired",))
        if name == found.asked_by:
            raise RefusedError("by the asker", codes=("needs-approval",))
        if fingerprint != found.fingerprint:
            raise RefusedError("another plan", codes=("drift",))
        if name in found.approvals:
            return found
        agreed = (*found.approvals, name)
        enough = rules.enough(replace(found, approvals=agreed))
        state = ApprovalState.APPROVED if enough else ApprovalState.PENDING
        return self._change(found, "approval-given", now, {"approver": name}, approvals=agreed, state=state, decided_at=now if enough else None)

    async def settle(self, approval_id: str, state: ApprovalState, now: datetime, *, operator: str, fingerprint: str = "") -> Approval:
        found = self._known(approval_id)
        if found.state is not ApprovalState.PENDING or (state is ApprovalState.PENDING and found.fingerprint == fingerprint):
            return found
        if state is ApprovalState.PENDING:
            return self._change(found, "approval-changed", now, {"fingerprint": fingerprint}, fingerprint=fingerprint, approvals=())
        return self._change(found, "approval-settled", now, {"state": str(state), "approver": operator}, state=state, decided_at=now)
