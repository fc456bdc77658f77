"""A drain that may wipe running terms, by two people."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.unit.conduct.rig import Rig
from wiped.model.approvals import Person

ANNA, BORIS = Person("anna", 1001), Person("boris", 1002, may_approve=True)


async def test_a_drain_is_approved_by_a_second_person(tmp_path: Path) -> None:
    """Asked for with its announcement; agreed to it names the approver, and said again it changes nothing."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        drain = await rig.service.drains.start(rig.clock.now() + timedelta(hours=2), product="", reason="the hall closes", person=ANNA)
        (approval,) = await rig.service.approvals.find()
        assert (approval.kind, approval.subject, drain.id in approval.what) == ("drain", drain.id, True)
        assert [item.approved for item in await rig.service.drains.in_force()] == [False]
        for _ in range(2):
            await rig.service.approvals.approve(approval.id, fingerprint="", person=BORIS)
        assert [(item.approved, item.approver) for item in await rig.service.drains.in_force()] == [(True, "boris")]
        assert [entry.kind for entry in await rig.ledger.audit.entries()].count("drain-approved") == 1
