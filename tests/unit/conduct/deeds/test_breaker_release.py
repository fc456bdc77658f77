"""Releasing the breaker: exactly the phones that were asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.conduct.hall import OP, OTHER, SOME_OR_MANY, opened, phones, released
from tests.unit.conduct.rig import GRACE, SAFETY, Rig
from wiped.conduct.results import Ending
from wiped.errors import RefusedError
from wiped.model.approvals import ApprovalState, Person
from wiped.model.subscription import State


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    async with Rig.on_disk(str(tmp_path)) as found:
        yield found


@SOME_OR_MANY
async def test_a_release_lets_exactly_those_that_wait_go(rig: Rig, many: int) -> None:
    """Those that fall due later count anew and open it again; it holds them, and only them."""
    rig.parallel = 4
    rig.boot()
    uuids = phones(rig, many)
    later = phones(rig, 13, first=100)
    await rig.due(*uuids)
    for uuid in later:
        await rig.subscribe(uuid, seconds=GRACE)
    before = await released(rig, "the contract with this customer ended")
    assert len(before.waiting) == many
    await rig.reconciler.sweep()
    rig.clock.move(2 * GRACE + 1)
    await rig.reconciler.sweep()
    assert sorted(phone.uuid for phone in (await opened(rig)).waiting) == sorted(later)
    endings = await rig.drain(rounds=200)
    assert endings.count(Ending.RELEASED) == many
    assert all([(await rig.ledger.phones.get(uuid)).state is State.RELEASED for uuid in uuids])  # type: ignore[union-attr]
    assert all(rig.host.running(uuid) for uuid in later)
    told = [entry for entry in await rig.ledger.audit.entries() if entry.kind == "breaker-released"]
    assert [(entry.body["operator"], len(entry.body["phones"])) for entry in told] == [("op", many)]
    assert told[0].body["approver"] == "other"
    assert "contract" not in repr(told)


async def test_a_wish_for_one_set_is_not_agreed_to_for_another(rig: Rig) -> None:
    """More phones came between the two people: nobody is let go, and it has to be asked for again; one person alone lets nobody go."""
    uuids = phones(rig, 7)
    await rig.due(*uuids[:6])
    with pytest.raises(RefusedError) as caught:
        await rig.service.breaker.release(fingerprint="", reason="looked at six", person=OP)
    approval = caught.value.approval
    for alone in (OP, Person("root", 0), Person("somebody", 1001, may_approve=True), Person("cid", 1003)):
        with pytest.raises(RefusedError) as caught:
            await rig.service.approvals.approve(approval, fingerprint="", person=alone)
        assert caught.value.codes == ("needs-approval",)
    await rig.subscribe(uuids[6], seconds=1)
    rig.clock.move(GRACE + 2)
    await rig.ledger.breaker.count_due([(uuids[6], 1)], rig.clock.now(), SAFETY)
    with pytest.raises(RefusedError) as caught:
        await rig.service.approvals.approve(approval, fingerprint="", person=OTHER)
    assert caught.value.codes == ("drift",)
    assert len((await opened(rig)).waiting) == 7
    assert (await rig.service.approvals.get(approval)).state is ApprovalState.WITHDRAWN
    assert len((await released(rig, "looked at seven")).waiting) == 7
