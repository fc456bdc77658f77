"""The intent is durable, and nothing that it names is left out."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import PowerCut, Rig
from wiped.conduct.results import Ending


async def test_what_the_stop_made_libvirt_forget_is_never_left_out() -> None:
    """The first plan had a file that the definition does not name any more once the phone is off: refused as drift, whatever restarts, and nothing is
    called clear; named again, the phone is wiped whole."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    rig.host.add_phone(2)
    named = rig.host.machines[uuid].facts.nvram
    wipe = await rig.begun(uuid)
    rig.milestones.when["stopped"] = rig.cut
    with pytest.raises(PowerCut):
        await rig.run(wipe.id)
    rig.host.update(uuid, nvram="")
    for _ in range(2):
        await rig.reboot()
        assert await rig.run(wipe.id) is Ending.REFUSED
    assert named in rig.host.names
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert "drift" in phone.refusals
    rig.host.update(uuid, nvram=named)
    assert await rig.survive(wipe.id) is Ending.RELEASED
    assert rig.host.remains("SECRET of phone-1 nvram") == 0
