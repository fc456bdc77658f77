"""The audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from wiped.attest.audit_chain import Head
from wiped.model.records import AuditEntry


class AuditStore(Protocol):
    """The audit log."""

    async def entries(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Audit entries with seq > `after`, in order."""

    async def note(self, kind: str, body: dict[str, Any], now: datetime) -> AuditEntry:
        """Append an audit entry of its own (daemon started, refused, feed stale...)."""

    async def verify(self) -> Head:
        """Follow the whole chain; its head. Raises VerificationError naming the first entry that does not fit."""
