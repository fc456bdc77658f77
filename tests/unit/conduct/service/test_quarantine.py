"""Wipes in quarantine, tried again by hand."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from wiped.conduct.results import Ending
from wiped.errors import InputError


async def test_a_quarantined_phone_is_tried_again_by_hand() -> None:
    """retry: at once, whatever its back-off; a phone without a quarantined wipe is told so."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    with pytest.raises(InputError):
        await rig.service.quarantine.retry(uuid, "alice")
    rig.observer.mismatches = [3]
    assert await rig.drain() == [Ending.QUARANTINED]
    assert [wipe.uuid for wipe in await rig.service.quarantine.find()] == [uuid]
    status = await rig.service.status.get()
    assert (status.quarantined, status.phones["quarantined"]) == (1, 1)
    await rig.service.quarantine.retry(uuid, "alice")
    assert await rig.drain() == [Ending.RELEASED]
    assert await rig.service.quarantine.find() == ()
