"""Releasing a legal hold: two people, and after a crash the second one alone makes it good."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.conduct.rig import Rig
from wiped.errors import RefusedError
from wiped.model.approvals import ApprovalState, Person

ANNA, BORIS = Person("anna", 1001), Person("boris", 1002, may_approve=True)


async def test_a_hold_is_released_by_two_people(tmp_path: Path) -> None:
    """Asked for, it is in force; agreed to, it is not; said again it is done if a crash came between, and nothing more."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        uuid = rig.host.add_phone(1)
        await rig.reconciler.sweep()
        holds = [
            await rig.service.holds.add(uuid=uuid, authority="Court", reference=f"{number} O 1", ground="litigation", until=None, person=ANNA)
            for number in (1, 2)
        ]
        asked = []
        for hold in holds:
            with pytest.raises(RefusedError, match="releasing a legal hold") as caught:
                await rig.service.holds.release(hold.id, reason="it ended", person=ANNA)
            asked.append(await rig.service.approvals.get(caught.value.approval))
        assert [(item.kind, item.subject, item.uuids) for item in asked] == [("hold-release", hold.id, (uuid,)) for hold in holds]
        assert [hold.id in item.what for hold, item in zip(holds, asked, strict=True)] == [True, True]
        assert [hold.reference for hold in await rig.service.holds.in_force()] == ["1 O 1", "2 O 1"]
        await rig.service.approvals.approve(asked[0].id, fingerprint=asked[0].fingerprint, person=BORIS)
        assert [hold.id for hold in await rig.service.holds.in_force()] == [holds[1].id]
        await rig.world.ledger.approvals.agree(asked[1].id, BORIS.name, rig.clock.now(), fingerprint=asked[1].fingerprint)
        assert [hold.id for hold in await rig.service.holds.in_force()] == [holds[1].id]
        for _ in range(2):
            assert (await rig.service.approvals.approve(asked[1].id, fingerprint="", person=BORIS)).state is ApprovalState.APPROVED
        assert await rig.service.holds.in_force() == ()
        told = [entry.body["operator"] for entry in await rig.ledger.audit.entries() if entry.kind == "hold-released"]
        assert told == ["anna", "anna"]
