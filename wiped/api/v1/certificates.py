"""Certificates and incident records, byte for byte, and the public key that verifies them."""

from __future__ import annotations

from aiohttp import web

from wiped.ports.service import CertificatesService


class CertificateHandlers:
    """The routes of certificates."""

    def __init__(self, certificates: CertificatesService) -> None:
        self._certificates = certificates

    async def get(self, request: web.Request) -> web.Response:
        """The envelope, byte for byte."""
        record = await self._certificates.get(request.match_info["id"])
        headers = {"Wiped-Certificate-Id": record.id, "Wiped-Certificate-Kind": record.kind}
        return web.Response(body=record.envelope, content_type="application/vnd.dsse.envelope.v1+json", headers=headers)

    async def public_key(self, _request: web.Request) -> web.Response:
        """The key that verifies this host's certificates."""
        return web.Response(body=self._certificates.public_key(), content_type="application/x-pem-file")
