"""What takes two people (R14)."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from wiped.model.approvals import Approval, ApprovalState


class ApprovalStore(Protocol):
    """What takes two people (R14)."""

    async def ask(self, approval: Approval, *, reason: str) -> Approval:
        """Record that something waits for another person (audited, with a notice). One that is pending for the same subject is returned instead."""

    async def find(self, *, unfinished: bool = True) -> tuple[Approval, ...]:
        """Pending ones (or all), oldest first."""

    async def get(self, approval_id: str) -> Approval | None:
        """One approval."""

    async def agree(self, approval_id: str, name: str, now: datetime, *, fingerprint: str) -> Approval:
        """One person's agreement (audited). Reaching `needed` different names makes it APPROVED. Raises RefusedError: approval-expired, drift
        (another fingerprint is recorded), needs-approval (the asker's own name); InputError when it is not pending. The same name again changes nothing."""

    async def settle(self, approval_id: str, state: ApprovalState, now: datetime, *, operator: str, fingerprint: str = "") -> Approval:
        """Reject, withdraw or let expire (audited); PENDING with another `fingerprint`: the plan changed, agreements so far are void. Idempotent."""
