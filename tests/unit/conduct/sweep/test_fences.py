"""Fences of another day: what the ledger knows to be fenced is fenced again before the daemon answers anybody."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.conduct.rig import Rig
from wiped.conduct.sweep import fences
from wiped.errors import StorageError


async def quarantined(rig: Rig, number: int) -> str:
    """A phone whose wipe could not be proven: fenced for good."""
    uuid = rig.host.add_phone(number)
    await rig.begun(uuid)
    rig.observer.mismatches = [3]
    await rig.drain()
    assert uuid in rig.host.fences
    return uuid


async def test_a_fence_directory_that_was_lost_is_whole_at_the_start() -> None:
    """With the disks that the plan names; one that stands is left as it is, and nobody else is fenced."""
    rig = Rig()
    uuid, free = await quarantined(rig, 1), rig.host.add_phone(2)
    before = dict(rig.host.fences)
    rig.host.fences.clear()
    await fences.at_start(rig.world)
    assert rig.host.fences[uuid][0] == before[uuid][0]
    assert free not in rig.host.fences
    rig.host.fences[uuid] = (frozenset({"/another"}), frozenset())
    await fences.at_start(rig.world)
    assert rig.host.fences[uuid][0] == {"/another"}


async def test_a_fence_that_cannot_be_written_does_not_keep_the_daemon_from_its_work() -> None:
    """It is tried again by housekeeping, like one that was lost later."""
    rig = Rig()
    uuid = await quarantined(rig, 1)
    rig.host.fences.clear()
    put = rig.fences.put

    async def full(*_: Sequence[object]) -> None:
        raise StorageError("the fence directory: No space left on device")

    rig.fences.put = full  # type: ignore[assignment, method-assign]
    await fences.at_start(rig.world)
    assert rig.host.fences == {}
    rig.fences.put = put  # type: ignore[method-assign]
    await fences.put_up_again(rig.world, lambda _: True, {})
    assert rig.host.fences == {}, "what is at work on it sees to it"
    await fences.put_up_again(rig.world, lambda _: False, {})
    assert uuid in rig.host.fences
