"""Certificates and incident records."""

from __future__ import annotations

from typing import Protocol

from wiped.model.records import CertificateRecord


class CertificateStore(Protocol):
    """Certificates and incident records."""

    async def get(self, certificate_id: str) -> CertificateRecord | None:
        """One envelope; the id of a wipe finds its newest."""
