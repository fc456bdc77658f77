"""A decision from facts and conditions."""

from __future__ import annotations

from tests.unit.conduct.rig import Rig


async def test_a_term_under_an_unknown_policy_is_never_concluded() -> None:
    """A policy that was removed from the configuration: nothing is concluded, least of all by another policy's grace."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    rig.world.policies.clear()  # type: ignore[attr-defined]
    rig.clock.move(1_000_000)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert rig.host.running(uuid)
    assert (await rig.ledger.phones.get(uuid)).reasons[0].code == "unknown-policy"  # type: ignore[union-attr]
