"""The fake ledger's approvals and requests, as far as a daemon over it needs them: nobody's words are kept, and no drain is announced."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from wiped.decide import approval as rules
from wiped.model.approvals import Approval, ApprovalState, Drain
from wiped.model.subscription import WipeRequest


class AskedMemory:
    """Mixed into `MemoryLedger`."""

    def __init__(self) -> None:
        super().__init__()
        self._requests: dict[str, list[WipeRequest]] = {}
        self._approvals: dict[str, Approval] = {}

    async def words(self, about: str) -> dict[str, str]:
        return {}

    async def drains(self) -> tuple[Drain, ...]:
        return ()

    async def requests(self, *, uuid: str = "", unfinished: bool = True) -> tuple[tuple[str, WipeRequest], ...]:
        return tuple((phone, request) for phone, found in self._requests.items() for request in found if uuid in ("", phone))

    async def ask_approval(self, approval: Approval, *, reason: str) -> Approval:
        same = [item for item in await self.approvals() if (item.kind, item.subject) == (approval.kind, approval.subject)]
        return same[0] if same else self._approvals.setdefault(approval.id, approval)

    async def approvals(self, *, unfinished: bool = True) -> tuple[Approval, ...]:
        return tuple(item for item in self._approvals.values() if not unfinished or item.state is ApprovalState.PENDING)

    async def approval(self, approval_id: str) -> Approval | None:
        return self._approvals.get(approval_id)

    async def agree(self, approval_id: str, name: str, now: datetime, *, fingerprint: str) -> Approval:
        found = replace(self._approvals[approval_id], approvals=(*self._approvals[approval_id].approvals, name))
        enough = rules.enough(found)
        self._approvals[approval_id] = replace(found, state=ApprovalState.APPROVED, decided_at=now) if enough else found
        return self._approvals[approval_id]

    async def settle_approval(self, approval_id: str, state: ApprovalState, now: datetime, *, operator: str, fingerprint: str = "") -> Approval:
        found = self._approvals[approval_id]
        if found.state is ApprovalState.PENDING:
            changed = {"fingerprint": fingerprint, "approvals": ()} if state is ApprovalState.PENDING else {"state": state, "decided_at": now}
            self._approvals[approval_id] = replace(found, **changed)  # type: ignore[arg-type]
        return self._approvals[approval_id]
