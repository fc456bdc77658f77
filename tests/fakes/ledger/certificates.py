"""Certificates and incident records, in the fake ledger."""

from __future__ import annotations

from tests.fakes.ledger.state import Memo
from wiped.model.records import CertificateRecord


class FakeCertificates:
    """`ports.ledger.CertificateStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def get(self, certificate_id: str) -> CertificateRecord | None:
        return next((c for c in reversed(self._state.certificates) if certificate_id in {c.id, c.wipe_id}), None)

    @property
    def issued(self) -> tuple[CertificateRecord, ...]:
        """All of them, oldest first."""
        return tuple(self._state.certificates)
