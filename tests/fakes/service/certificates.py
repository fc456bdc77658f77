"""The fake service's part about certificates."""

from __future__ import annotations

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import CERTIFICATE_ID, NOW, UUID_ONE, WIPE_ID
from wiped.errors import NotFoundError
from wiped.model.records import CertificateRecord


class FakeCertificates:
    """Implements `wiped.ports.service.CertificatesService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def get(self, certificate_id: str) -> CertificateRecord:
        self._desk.ask("certificate", certificate_id)
        if certificate_id not in (CERTIFICATE_ID, WIPE_ID):
            raise NotFoundError("no such certificate", where="certificate")
        return CertificateRecord(CERTIFICATE_ID, WIPE_ID, UUID_ONE, "certificate", NOW, self._desk.envelope)

    def public_key(self) -> bytes:
        return self._desk.pem
