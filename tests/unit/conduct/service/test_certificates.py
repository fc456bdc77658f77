"""Certificates by id and by wipe."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from wiped.errors import NotFoundError


async def test_certificates_are_found_by_their_id_and_by_their_wipe() -> None:
    """And what is not there is not found."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.drain()
    found = await rig.service.certificates.get(wipe.id)
    assert (await rig.service.certificates.get(found.id)).envelope == found.envelope
    assert b"BEGIN PUBLIC KEY" in rig.service.certificates.public_key()
    for call in (rig.service.certificates.get("none"), rig.service.wipes.get("none"), rig.service.phones.explain("none"), rig.service.plans.get("none")):
        with pytest.raises(NotFoundError):
            await call
