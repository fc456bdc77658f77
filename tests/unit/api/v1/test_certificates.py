"""Certificates at the API."""

from __future__ import annotations

from tests.fakes.service import CERTIFICATE_ID, WIPE_ID
from tests.unit.api.conftest import Face


async def test_a_certificate_comes_byte_for_byte(face: Face) -> None:
    """By its own id and by its wipe's."""
    for identifier in (CERTIFICATE_ID, WIPE_ID):
        answer = await face.ask("GET", f"/v1/certificates/{identifier}")
        assert answer.body == face.service.envelope
    assert (await face.ask("GET", "/v1/key")).body == face.service.pem
