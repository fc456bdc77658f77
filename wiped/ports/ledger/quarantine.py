"""Wipes that could not be proven."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from wiped.model.records import CertificateRecord


class QuarantineStore(Protocol):
    """Wipes that could not be proven."""

    async def retry_now(self, wipe_id: str, now: datetime, operator: str) -> None:
        """Set the next attempt of a quarantined wipe to now (audited)."""

    async def dispose(self, wipe_id: str, certificate: CertificateRecord, now: datetime, *, operator: str, approver: str) -> None:
        """End a quarantined wipe without proof (audited): step and state become DISPOSED, the outcome stays. `operator` asked for it, `approver` agreed.

        Raises InvariantError: R14 unless they are two different people, I3 when the wipe is not in quarantine. Idempotent."""
