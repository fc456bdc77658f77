"""Asking for a release of the breaker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.conduct.hall import OP, opened, phones
from tests.unit.conduct.rig import GRACE, Rig
from wiped.errors import InputError, RefusedError


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    async with Rig.on_disk(str(tmp_path)) as found:
        yield found


async def test_another_set_than_the_one_looked_at_is_not_released(rig: Rig) -> None:
    """More phones came while the operator looked."""
    uuids = phones(rig, 7)
    await rig.due(*uuids[:6])
    seen = (await opened(rig)).fingerprint
    await rig.subscribe(uuids[6], seconds=1)
    rig.clock.move(GRACE + 2)
    await rig.reconciler.sweep()
    with pytest.raises(RefusedError) as caught:
        await rig.service.breaker.release(fingerprint=seen, reason="looked at six", person=OP)
    assert caught.value.codes == ("drift",)
    assert len((await opened(rig)).waiting) == 7


async def test_a_closed_breaker_has_nothing_to_release(rig: Rig) -> None:
    """Said so, and nothing is audited."""
    with pytest.raises(InputError):
        await rig.service.breaker.release(fingerprint="", reason="no reason", person=OP)
    assert not [entry for entry in await rig.ledger.audit.entries() if entry.kind.startswith("breaker")]
