"""A drain that two people cancel, until its date."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.conduct.rig import Rig
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import Approval, Person

ANNA, BORIS = Person("anna", 1001), Person("boris", 1002, may_approve=True)


async def cancelled(rig: Rig) -> Approval:
    """A drain in two hours that Anna wants to cancel."""
    drain = await rig.service.drains.start(rig.clock.now() + timedelta(hours=2), product="", reason="the hall closes", person=ANNA)
    with pytest.raises(RefusedError, match="cancelling a drain") as caught:
        await rig.service.drains.cancel(drain.id, reason="it does not", person=ANNA)
    approval = await rig.service.approvals.get(caught.value.approval)
    assert (approval.kind, approval.subject, drain.id in approval.what) == ("drain-cancel", drain.id, True)
    assert len(await rig.service.drains.in_force()) == 1
    return approval


async def test_a_drain_is_cancelled_by_two_people(tmp_path: Path) -> None:
    """Agreed to, it is in force no more; said again nothing happens."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        approval = await cancelled(rig)
        for _ in range(2):
            await rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
        assert await rig.service.drains.in_force() == ()
        (told,) = [entry.body for entry in await rig.ledger.audit.entries() if entry.kind == "drain-cancelled"]
        assert (told["operator"], told["approver"]) == ("anna", "boris")


async def test_a_drain_that_has_begun_is_not_cancelled(tmp_path: Path) -> None:
    """Its date came between the two people."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        approval = await cancelled(rig)
        rig.clock.move(2 * 3600)
        with pytest.raises(InputError, match="begun"):
            await rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
        assert len(await rig.service.drains.in_force()) == 1
