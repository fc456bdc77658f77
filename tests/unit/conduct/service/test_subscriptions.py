"""Subscriptions that operators record."""

from __future__ import annotations

import pytest

from tests.unit.conduct.rig import Rig
from tests.unit.conduct.terms import ALICE, term
from wiped.errors import InputError, RefusedError


async def test_a_policy_that_does_not_exist_is_bad_input() -> None:
    """The term would be under no policy: nothing is recorded."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    with pytest.raises(InputError, match="policy"):
        await rig.service.subscriptions.set(term(rig, uuid, policy="gold"), ALICE)
    assert await rig.service.subscriptions.current() == ()


async def test_an_import_is_seen_by_the_next_sweep() -> None:
    """Many terms at once; a sweep is asked for; a refused one is announced."""
    rig = Rig()
    uuids = [rig.host.add_phone(n) for n in (1, 2, 3)]
    await rig.reconciler.sweep()
    await rig.service.subscriptions.record_all([term(rig, uuid) for uuid in uuids], "alice")
    assert rig.nudges == 1
    await rig.reconciler.sweep()
    assert (await rig.service.status.get()).phones["notice"] == 3
    with pytest.raises(RefusedError):
        await rig.service.subscriptions.set(term(rig, uuids[0], account="acct-2"), ALICE)
    assert rig.announcer.codes["generation-occupied"] == 1
