"""The audit log, in the fake ledger: chained as the real one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.fakes.ledger.state import Memo
from wiped.attest.audit_chain import Head, follow
from wiped.model.records import AuditEntry


class FakeAudit:
    """`ports.ledger.AuditStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def entries(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        return tuple(self._state.audit[after : after + limit])

    async def note(self, kind: str, body: dict[str, Any], now: datetime) -> AuditEntry:
        self._state.write()
        return self._state.log(kind, body, now)

    async def verify(self) -> Head:
        return follow(Head(), self._state.audit)
