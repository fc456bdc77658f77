"""A plan shown before anything is done."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from wiped.errors import RefusedError


async def test_a_plan_changes_nothing() -> None:
    """Nothing is recorded, fenced, stopped or queued by looking."""
    rig = Rig()
    golden = rig.host.add_file("/golden/base.qcow2", b"GOLDEN")
    uuid = rig.host.add_phone(1, running=True, golden="/golden/base.qcow2")
    await rig.reconciler.sweep()
    plan = await rig.service.plans.get(uuid)
    assert [str(step.kind) for step in plan.steps] == ["disk-image", "nvram"]
    assert [(kept.location, kept.identity) for kept in plan.retained] == [("/golden/base.qcow2", golden.identity)]
    assert rig.host.running(uuid)
    assert await rig.ledger.wipes.find() == ()
    assert rig.host.fences == {}
    del rig.host.machines[uuid]
    with pytest.raises(RefusedError) as caught:
        await rig.service.plans.get(uuid)
    assert caught.value.codes == ("missing",)


async def test_a_plan_and_the_wipe_after_it_have_one_fingerprint() -> None:
    """What was shown is what is done."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    plan = await rig.service.plans.get(uuid)
    await rig.drain()
    assert (await rig.wipe_of(uuid)).plan.fingerprint == plan.fingerprint  # type: ignore[union-attr]
