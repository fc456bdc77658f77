"""A restart with another configuration: nobody's time comes earlier by it (K5, I10), and nothing says otherwise (K3)."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.conduct.rig import Rig
from tests.unit.conduct.test_gate import phone_of, swept
from tests.unit.conduct.test_on_disk import rig_on_disk
from wiped.conduct import policies
from wiped.conduct.results import Ending
from wiped.model.policy import Policy
from wiped.model.subscription import State

DAY = 86_400


async def restarted(rig: Rig, **configured: Policy) -> None:
    """A new daemon with these policies."""
    rig.boot()
    rig.world = replace(rig.world, policies=configured)
    rig.reconciler = type(rig.reconciler)(rig.world)
    rig.executor = type(rig.executor)(rig.world)
    rig.service = type(rig.service)(rig.world, rig.reconciler, rig.hub, rig._nudged)
    await policies.recall(rig.world)
    await swept(rig)


async def test_a_shorter_grace_in_the_configuration_wipes_nobody_earlier() -> None:
    """Five phones in a grace of thirty days; it is made an hour: they keep theirs, list and explain agree, and who is renewed has the new one."""
    async with rig_on_disk() as rig:
        await restarted(rig, default=Policy(grace=30 * DAY, notice=(600,), stop_timeout=20))
        uuids = [rig.host.add_phone(number, running=True) for number in range(1, 6)]
        await rig.reconciler.sweep()
        for uuid in uuids:
            await rig.subscribe(uuid)
        rig.clock.move(10 * DAY)
        await swept(rig)
        before = [(await phone_of(rig, uuid)).due_at for uuid in uuids]
        await restarted(rig, default=Policy(grace=3600, notice=(600,), stop_timeout=20))
        for _ in range(3):
            await swept(rig)
            rig.clock.move(301)
        assert [(await phone_of(rig, uuid)).state for uuid in uuids] == [State.GRACE] * 5
        assert [(await phone_of(rig, uuid)).due_at for uuid in uuids] == before
        assert [(await rig.service.phones.explain(uuid)).decision.due_at for uuid in uuids] == before
        assert rig.host.remains("SECRET") == 25
        await rig.subscribe(uuids[0], seconds=600, number="s-2")
        rig.clock.move(600 + 3600 + 60)
        await rig.reconciler.sweep()
        assert await rig.drain() == [Ending.RELEASED]
        assert (await phone_of(rig, uuids[0])).state is State.RELEASED
        (_, told) = [entry.body for entry in await rig.ledger.audit.entries() if entry.kind == "policies"]
        assert told == {"changed": ["default"], "shortened": ["default"]}


async def test_a_longer_grace_counts_for_all_at_once() -> None:
    """After the restart every phone is decided anew: what is shown is what will be."""
    async with rig_on_disk() as rig:
        await restarted(rig, default=Policy(grace=3600, notice=(600,), stop_timeout=20))
        uuid = rig.host.add_phone(1)
        await rig.reconciler.sweep()
        await rig.subscribe(uuid)
        rig.clock.move(700)
        await swept(rig)
        before = (await phone_of(rig, uuid)).due_at
        await restarted(rig, default=Policy(grace=30 * DAY, notice=(600,), stop_timeout=20))
        after = (await phone_of(rig, uuid)).due_at
        assert before is not None
        assert after is not None
        assert (after - before).total_seconds() == 30 * DAY - 3600
        assert (await rig.service.phones.explain(uuid)).decision.due_at == after


async def test_a_policy_that_is_gone_is_an_alarm_until_it_is_back() -> None:
    """K3: named, with how many phones; they are decided again by themselves, or with the next start."""
    async with rig_on_disk() as rig:
        await restarted(rig, default=Policy(grace=3600))
        uuid = rig.host.add_phone(1, running=True)
        await rig.reconciler.sweep()
        await rig.subscribe(uuid, seconds=30 * DAY)
        await swept(rig)
        await restarted(rig, other=Policy(name="other"))
        assert "1 phones stay as they are" in (await rig.service.status.readiness())["policy"]
        assert "(default)" in (await rig.service.status.readiness())["policy"]
        assert ((await phone_of(rig, uuid)).state, rig.host.running(uuid)) == (State.ACTIVE, True)
        await restarted(rig, default=Policy(grace=3600))
        assert (await rig.service.status.readiness())["policy"] == ""


async def test_a_change_that_is_seen_by_a_clock_in_the_past_shortens_nothing() -> None:
    """A host that comes up a year back: the change still counts for ends that are recorded after it alone."""
    async with rig_on_disk() as rig:
        await restarted(rig, default=Policy(grace=30 * DAY, notice=(600,), stop_timeout=20))
        uuid = rig.host.add_phone(1, running=True)
        await rig.reconciler.sweep()
        await rig.subscribe(uuid)
        await swept(rig)
        rig.clock.step(-365 * DAY)
        await restarted(rig, default=Policy(grace=3600, notice=(600,), stop_timeout=20))
        rig.clock.step(365 * DAY)
        await restarted(rig, default=Policy(grace=3600, notice=(600,), stop_timeout=20))
        found = await rig.service.phones.explain(uuid)
        assert found.subscription is not None
        assert found.decision.due_at is not None
        assert (found.decision.due_at - found.subscription.expires_at).total_seconds() == 30 * DAY
