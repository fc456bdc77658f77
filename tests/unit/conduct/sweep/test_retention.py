"""Housekeeping asks the gate within each transaction (the stories: `test_gate.py`)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.conduct.rig import Rig
from wiped.conduct.results import Ending
from wiped.conduct.sweep import retention


@pytest.mark.parametrize("step", [0, 400 * 86_400, -400 * 86_400])
async def test_what_was_kept_long_enough_goes_by_a_clock_that_is_trusted(step: float) -> None:
    """And by no other, whether a look has found it suspect or not yet."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    assert await rig.drain() == [Ending.RELEASED]
    rig.clock.move(10 * 86_400)
    await rig.reconciler.look_at_clock()
    rig.clock.step(step)
    await retention.forget(rig.world, snapshots=timedelta(days=1), audit=timedelta(days=2))
    assert ((await rig.ledger.wipes.find(uuid))[0].snapshot is None) == (step == 0)
