"""Certificates and incident records, and the key that verifies them."""

from __future__ import annotations

from wiped.conduct.world import World
from wiped.errors import NotFoundError
from wiped.model.records import CertificateRecord


class Certificates:
    """What the faces may ask about certificates."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def get(self, certificate_id: str) -> CertificateRecord:
        """A certificate or incident record by its id, or the newest of a wipe by the wipe's. Raises NotFoundError."""
        found = await self._world.ledger.certificates.get(certificate_id)
        if found is None:
            raise NotFoundError("no such certificate", where="certificate", hint="give its id, or its wipe's: wipectl wipes list")
        return found

    def public_key(self) -> bytes:
        """The public key that verifies this host's certificates, PEM."""
        return self._world.signer.public_pem
