"""How a wipe ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from wiped.model.records import CertificateRecord, WipeStep


class VerdictStore(Protocol):
    """How a wipe ends."""

    async def judge(self, wipe_id: str, *, outcome: str, reasons: Sequence[str], residuals: Sequence[str],
                    certificate: CertificateRecord | None, now: datetime, retry_at: datetime | None) -> None:  # fmt: skip
        """Step 9: verdict, certificate (or incident record) and audit entry in one transaction. Proven: step JUDGED; else QUARANTINED."""

    async def finish(self, wipe_id: str, step: WipeStep, now: datetime) -> None:
        """The end: RELEASED or CANCELLED, and the phone's state with it. Idempotent."""
