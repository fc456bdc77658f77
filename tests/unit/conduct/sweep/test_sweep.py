"""The sweep: who is decided, what is queued, what is fenced and given back, and what is never concluded."""

from __future__ import annotations

import asyncio

import pytest

from tests.patience import PATIENCE
from tests.unit.conduct.ends import state_of
from tests.unit.conduct.rig import GRACE, Rig
from wiped.conduct.results import Ending
from wiped.errors import HypervisorError
from wiped.model.inventory import DomainState
from wiped.model.policy import Policy
from wiped.model.records import WipeStep
from wiped.model.subscription import FeedStatus, Hold, State


async def test_a_phone_lives_through_its_states_by_time_alone() -> None:
    """active, notice, grace, due, released; a domain without a term stays unbound for ever."""
    rig = Rig()
    uuid, nobody = rig.host.add_phone(1, running=True), rig.host.add_phone(2, running=True)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid, seconds=3600)
    seen = []
    for seconds in (0, 3100, 600, GRACE, 0):
        rig.clock.move(seconds)
        await rig.reconciler.sweep()
        seen.append(str(await state_of(rig, uuid)))
        await rig.drain()
    assert seen == ["active", "notice", "grace", "due", "released"]
    assert await state_of(rig, nobody) is State.UNBOUND
    assert rig.host.running(nobody)
    assert rig.host.remains("SECRET of phone-2") == 5


async def test_a_sweep_without_libvirt_keeps_going_with_what_is_known() -> None:
    """libvirt is down when the phone falls due: decided and queued all the same, wiped when libvirt is back, nothing vanished."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    rig.host.libvirt_down = True
    rig.clock.move(600 + GRACE + 1)
    last_success = rig.world.conditions.last_sweep_at
    await rig.reconciler.sweep()
    assert await state_of(rig, uuid) is State.DUE
    assert rig.world.conditions.last_sweep_at == last_success
    with pytest.raises(HypervisorError):
        await rig.drain()
    rig.host.libvirt_down = False
    await rig.reconciler.sweep()
    assert rig.world.conditions.last_sweep_at == rig.clock.now()
    assert await rig.drain() == [Ending.RELEASED]


async def test_a_silent_feed_concludes_nothing_new() -> None:
    """The feed's last complete answer is from before the due instant and too old: due, but not wiped, whatever the time."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    rig.feed.silent = True
    for _ in range(3):
        rig.clock.move(100_000)
        await rig.reconciler.sweep()
        assert await rig.drain() == []
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert "feed-stale" in {reason.code for reason in phone.reasons}
    assert await rig.ledger.wipes.find(uuid) == ()
    rig.feed.silent = False
    rig.clock.move(61)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


async def test_the_feeds_second_answer_wakes_what_waits_for_it() -> None:
    """A phone without grace that is due when the daemon starts: the next answer begins its wipe, and not the next look a minute later."""
    rig = Rig(policy=Policy(grace=0, notice=(), stop_timeout=20))
    uuid = rig.host.add_phone(1)
    await rig.subscribe(uuid, seconds=1)
    rig.clock.move(100)
    await rig.reconciler.sweep()
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert [reason.code for reason in phone.reasons][-1] == "not-settled"
    assert await rig.drain() == []
    rig.clock.move(1)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


async def test_phones_that_wait_for_the_second_answer_are_counted_together() -> None:
    """Also where some of them were to be decided again anyway: none begins before all are counted, and so many open the breaker."""
    rig = Rig(policy=Policy(grace=0, notice=(), stop_timeout=20))
    uuids = [rig.host.add_phone(number) for number in range(1, 51)]
    for uuid in uuids:
        await rig.subscribe(uuid, seconds=1)
    rig.clock.move(100)
    await rig.reconciler.sweep()
    await rig.ledger.decisions.touch(uuids[0])
    rig.clock.move(1)
    await rig.reconciler.sweep()
    assert len((await rig.ledger.breaker.get()).waiting) == len(uuids)
    assert await rig.drain() == []
    assert rig.host.remains("SECRET of phone-1") > 0


async def test_what_is_known_to_be_due_is_wiped_without_the_feed() -> None:
    """The feed answered after the due instant and then fell silent: the wipe goes on."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    rig.feed.silent = True
    rig.clock.move(100_000)
    await rig.reboot()
    rig.world.conditions.feed = FeedStatus(rig.feed.status.complete_at, 3, "http")
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


async def test_a_held_phone_whose_time_has_come_is_stopped_fenced_and_kept() -> None:
    """Action FENCE: off, fenced, nothing erased; when the hold is lifted it is wiped."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
    rig.clock.move(600 + GRACE + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == [None]
    assert not rig.host.running(uuid)
    assert uuid in rig.host.fences
    assert rig.host.fences[uuid][0], "its files are in the fence, so that no other domain starts on them"
    assert not rig.eraser.erased
    await rig.reconciler.sweep()
    assert await rig.drain() == [], "what is done is not done again"
    await rig.ledger.holds.release("h-1", rig.clock.now(), "tester")
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


async def test_a_held_phone_that_is_renewed_is_given_back() -> None:
    """Fenced for a hold at its due time; renewed: the fence is lifted and the phone can start."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
    rig.clock.move(600 + GRACE + 1)
    await rig.reconciler.sweep()
    await rig.drain()
    assert uuid in rig.host.fences
    await rig.subscribe(uuid, seconds=86_400, number="s-2")
    await rig.reconciler.sweep()
    await rig.drain()
    assert uuid not in rig.host.fences
    rig.host.start(uuid)


async def test_another_account_on_an_unwiped_phone_is_fenced_at_once() -> None:
    """generation-occupied: recorded for nobody, stopped, fenced, kept."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid, seconds=86_400)
    with pytest.raises(Exception, match="another account"):
        await rig.subscribe(uuid, seconds=86_400, account="acct-2", number="s-9")
    await rig.reconciler.sweep()
    await rig.drain()
    assert not rig.host.running(uuid)
    assert uuid in rig.host.fences
    assert rig.host.remains("SECRET of phone-1") == 5


async def test_a_vanished_phone_that_comes_back_is_a_phone_as_before() -> None:
    """Undefined by hand before its time: vanished, its files untouched; defined again, it is wiped when it is due."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    machine = rig.host.machines.pop(uuid)
    rig.clock.move(600)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert await state_of(rig, uuid) is State.VANISHED
    assert rig.host.remains("SECRET of phone-1") == 5
    rig.host.machines[uuid] = machine
    rig.clock.move(GRACE + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED], "it came back, and it is due"


async def test_a_renewal_calls_off_a_wipe_that_waits_in_its_back_off() -> None:
    """Refused, fenced and off, in back-off; the renewal gives it back in the very next sweep."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    rig.host.disk_of(uuid).holders = 1
    await rig.due(uuid)
    work = await rig.reconciler.queue._next()
    assert work is not None
    rig.reconciler.queue._waiting.pop(work.key)
    await rig.reconciler.queue._one(work)
    assert uuid in rig.host.fences
    assert await rig.reconciler.queue._next() is None, "it is in its back-off"
    await rig.subscribe(uuid, seconds=86_400, number="s-2")
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.CANCELLED]
    assert rig.host.running(uuid)
    assert uuid not in rig.host.fences


async def test_an_unfinished_wipe_is_resumed_by_the_first_sweep() -> None:
    """The power went in the middle; the next daemon's first sweep queues it first."""
    rig = Rig()
    first, second = rig.host.add_phone(1), rig.host.add_phone(2)
    await rig.due(first, second)
    wipe = await rig.wipe_of(second)
    rig.eraser.dies_after = 3
    with pytest.raises(Exception, match="gone"):
        await rig.run(wipe.id)
    assert (await rig.wipe_of(second)).step is WipeStep.ERASING
    await rig.reboot()
    work = await rig.reconciler.queue._next()
    assert work is not None
    assert (work.uuid, work.begun) == (second, True)
    assert await rig.drain() == [Ending.RELEASED, Ending.RELEASED]


async def test_a_fenced_phone_that_was_started_is_stopped_again() -> None:
    """Held and fenced; the hook is not loaded and somebody starts it: the next sweep stops it."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
    rig.clock.move(600 + GRACE + 1)
    await rig.reconciler.sweep()
    await rig.drain()
    rig.host.hook_loaded = False
    rig.host.start(uuid)
    await rig.reconciler.sweep()
    await rig.drain()
    assert not rig.host.running(uuid)


async def test_a_missing_fence_is_put_up_again_by_housekeeping() -> None:
    """The fence directory was lost: the ledger knows who was fenced."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.begun(uuid)
    rig.observer.mismatches = [3]
    await rig.drain()
    rig.host.fences.clear()
    await rig.reconciler.heal()
    assert rig.host.fences[uuid][0]


async def test_one_phones_trouble_does_not_stop_the_others_turn() -> None:
    """A phone whose decision fails is logged; the next one is decided."""
    rig = Rig()
    first, second = rig.host.add_phone(1), rig.host.add_phone(2)
    await rig.reconciler.sweep()
    await rig.subscribe(first)
    await rig.subscribe(second)
    whole = rig.ledger.decisions.conclude

    async def failing(uuid: str, *more: object) -> None:
        if uuid == first:
            raise ValueError("a fault of ours")
        await whole(uuid, *more)  # type: ignore[arg-type]

    rig.ledger.decisions.conclude = failing  # type: ignore[method-assign]
    rig.clock.move(600 + GRACE + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]
    assert await state_of(rig, second) is State.RELEASED


async def test_the_next_instant_is_the_earliest_of_changes_and_retries() -> None:
    """What the date job is set to."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    assert await rig.reconciler.next_instant() is None
    await rig.reconciler.sweep()
    await rig.subscribe(uuid, seconds=3600)
    await rig.reconciler.sweep()
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert await rig.reconciler.next_instant() == phone.next_at
    rig.host.update(uuid, state=DomainState.SHUTOFF)
    rig.clock.move(3600 + GRACE + 1)
    await rig.reconciler.sweep()
    rig.observer.mismatches = [3]
    await rig.drain()
    assert await rig.reconciler.next_instant() == (await rig.wipe_of(uuid)).retry_at


async def test_a_quarantined_wipe_is_queued_when_its_time_comes_and_not_before() -> None:
    """Back-off is the ledger's, so it outlives the daemon."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    rig.observer.mismatches = [3]
    assert await rig.drain() == [Ending.QUARANTINED]
    await rig.reboot()
    assert await rig.drain() == []
    rig.clock.move(301)
    await rig.reboot()
    assert await rig.drain() == [Ending.RELEASED]


async def test_an_idle_sweep_asks_nothing_about_phones_whose_time_has_not_come() -> None:
    """Nothing is due: no phone is read, decided or written, however many there are."""
    rig = Rig()
    uuids = [rig.host.add_phone(number) for number in range(1, 40)]
    await rig.reconciler.sweep()
    for uuid in uuids:
        await rig.subscribe(uuid, seconds=86_400)
    await rig.reconciler.sweep()
    await rig.reconciler.sweep()
    await rig.reconciler.sweep()  # all of them were looked at by now, some in each sweep
    asked: list[str] = []

    class Counting:
        """Every store of the ledger, with its calls written down."""

        def __init__(self, within: object = rig.ledger, path: str = "") -> None:
            self.within, self.path = within, path

        def __getattr__(self, name: str) -> object:
            found = getattr(self.within, name)
            if not self.path and not isinstance(found, str):
                return Counting(found, f"{name}.")
            asked.append(self.path + name)
            return found

    object.__setattr__(rig.world, "ledger", Counting())
    await rig.reconciler.sweep()
    assert asked == ["fault", "approvals.find", "requests.find", "decisions.due", "wipes.find"]


async def test_a_quarantined_phone_that_was_started_is_stopped_hard() -> None:
    """Its image is half gone, its next attempt is far away, the hook is not loaded and somebody starts it: the next sweep stops it."""
    rig = Rig()
    uuid = rig.host.add_phone(1, acpi=None)
    await rig.due(uuid)
    rig.observer.mismatches = [3]
    assert await rig.drain() == [Ending.QUARANTINED]
    rig.host.hook_loaded = False
    rig.host.start(uuid)
    await rig.reconciler.sweep()
    assert await rig.drain() == [None]
    assert not rig.host.running(uuid)
    assert (await rig.wipe_of(uuid)).step is WipeStep.QUARANTINED


async def test_a_phone_is_fenced_by_its_uuid_while_libvirt_is_down() -> None:
    """Held at its due time and libvirt does not answer: the fence stands at once; files and stop follow when it is back."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
    rig.clock.move(600 + GRACE + 1)
    rig.host.libvirt_down = True
    await rig.reconciler.sweep()
    with pytest.raises(HypervisorError):
        await rig.drain()
    assert rig.host.fences[uuid] == (frozenset(), frozenset())
    rig.host.libvirt_down = False
    await rig.reconciler.sweep()
    await rig.drain()
    assert not rig.host.running(uuid)
    assert rig.host.fences[uuid][0]


async def test_two_phones_are_wiped_side_by_side_by_the_queue_itself() -> None:
    """Four due phones, two at a time, on two devices, with the queue's own tasks; a fifth, active one is left alone."""
    rig = Rig()
    uuids = [rig.host.add_phone(number, running=True, device=1 + number % 2) for number in (1, 2, 3, 4)]
    active = rig.host.add_phone(5, running=True)
    await rig.due(*uuids)
    queue = asyncio.create_task(rig.reconciler.queue.run(), name="queue")
    most = 0
    async with asyncio.timeout(PATIENCE):
        while (await rig.ledger.phones.counts())["released"] < 4:
            most = max(most, len(rig.reconciler.queue.running))
            await asyncio.sleep(0)
    queue.cancel()
    await asyncio.wait([queue])
    assert most == 2
    assert [rig.host.remains(f"SECRET of phone-{number}") for number in (1, 2, 3, 4, 5)] == [0, 0, 0, 0, 5]
    assert rig.host.running(active)
    assert all(count == 1 for count in rig.eraser.removed.values())


async def test_fencing_and_lifting_outlive_a_daemon_that_died_before_doing_them() -> None:
    """Decided and queued, then the daemon dies: the next one's sweep finds that it was never done."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
    rig.clock.move(600 + GRACE + 1)
    await rig.reconciler.sweep()
    await rig.reboot()
    await rig.drain()
    assert uuid in rig.host.fences
    assert not rig.host.running(uuid)
    await rig.reconciler.sweep()
    assert await rig.ledger.decisions.due(rig.clock.now()) == (), "what is done is not decided again and again"
    await rig.subscribe(uuid, seconds=86_400, number="s-2")
    await rig.reconciler.sweep()
    await rig.reboot()
    await rig.drain()
    assert uuid not in rig.host.fences
