"""The fake service's part about the audit log."""

from __future__ import annotations

from tests.fakes.service.desk import Desk
from wiped.attest.audit_chain import HEAD_TYPE
from wiped.attest.signing import seal
from wiped.errors import NotFoundError
from wiped.model.records import AuditEntry


class FakeAudit:
    """Implements `wiped.ports.service.AuditService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def entries(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        self._desk.ask("audit", after, limit)
        return tuple(entry for entry in self._desk.entries if entry.seq > after)[:limit]

    async def head(self, seq: int) -> bytes:
        self._desk.ask("audit_head", seq)
        for entry in self._desk.entries:
            if entry.seq == seq:
                return seal({"seq": seq, "hash": entry.hash, "at": entry.at, "exported_at": entry.at}, self._desk.signer, payload_type=HEAD_TYPE)
        raise NotFoundError("no such audit entry", where="seq")
