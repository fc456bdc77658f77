"""A clock that an operator trusts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.conduct.hall import opened, phones
from tests.unit.conduct.rig import Rig
from wiped.errors import InputError


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    async with Rig.on_disk(str(tmp_path)) as found:
        yield found


async def test_a_clock_trusted_by_an_operator_is_audited_and_believed() -> None:
    """After it the phones are due: all at once, which is the breaker's turn."""
    rig = Rig()
    uuids = phones(rig, 8)
    await rig.reconciler.sweep()
    for uuid in uuids:
        await rig.subscribe(uuid)
    rig.clock.step(400 * 86_400)
    await rig.reconciler.sweep()
    before = await rig.service.clock.trust(reason="the battery was changed", operator="op")
    assert before.suspect == "stepped"
    with pytest.raises(InputError):
        await rig.service.clock.trust(reason="again", operator="op")
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert len((await opened(rig)).waiting) == 8
    entry = [entry for entry in await rig.ledger.audit.entries() if entry.kind == "clock"][-1]
    assert (entry.body["suspect"], entry.body["operator"]) == ("", "op")
