"""I9 over the real ledger: what hurts a customer, cannot be undone, or tells one something waits for the same conditions as the wipe itself."""

from __future__ import annotations

import asyncio
import re
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.conduct.rig import GRACE, Rig
from tests.unit.conduct.test_on_disk import rig_on_disk
from wiped.conduct import decisions
from wiped.conduct.sweep import retention
from wiped.errors import HypervisorError, RefusedError
from wiped.model.approvals import Person
from wiped.model.notices import NoticeKind
from wiped.model.policy import Policy
from wiped.model.records import PhoneRecord
from wiped.model.subscription import Hold, State

YEAR = 365 * 86_400
ANNA = Person("anna", 1001)


async def swept(rig: Rig) -> None:
    """A sweep, and all that follows from it."""
    await rig.reconciler.sweep()
    await rig.drain()


async def phone_of(rig: Rig, uuid: str) -> PhoneRecord:
    """What the ledger has of it."""
    found = await rig.ledger.phones.get(uuid)
    assert found is not None
    return found


async def rekeyed(rig: Rig, *uuids: str) -> None:
    """Billing's answer, with every account's reference in other letters."""
    for uuid in uuids:
        with pytest.raises(RefusedError, match="another account"):
            await rig.subscribe(uuid, seconds=YEAR, account="ACCT-1", number="s-1")


async def bound(rig: Rig, number: int) -> list[str]:
    """Running phones with a year to go."""
    uuids = [rig.host.add_phone(each, running=True) for each in range(1, number + 1)]
    await rig.reconciler.sweep()
    for uuid in uuids:
        await rig.subscribe(uuid, seconds=YEAR)
    await swept(rig)
    return uuids


@pytest.mark.parametrize("ahead", [2 * YEAR, -YEAR / 2])
async def test_a_clock_that_is_known_to_be_wrong_stops_nobody_and_tells_nobody(ahead: float) -> None:
    """K4: held and protected paying phones go on, no notice of an end goes out; set right, all is as before. What was fenced stays fenced."""
    async with rig_on_disk() as rig:
        held, protected, fenced = await bound(rig, 3)
        await rig.ledger.notices.receive(tuple(NoticeKind))
        await rig.ledger.holds.add(Hold("h-1", held, "", "litigation"), rig.clock.now(), "tester")
        await rig.ledger.phones.mark(protected, protected=True, reason="kept", operator="anna")
        await rig.ledger.phones.mark(fenced, suspended=True, reason="asked", operator="anna")
        await swept(rig)
        assert [rig.host.running(uuid) for uuid in (held, protected, fenced)] == [True, True, False]
        before = len(await rig.ledger.notices.find())
        rig.clock.step(ahead)
        for _ in range(3):
            await swept(rig)
            rig.clock.move(61)
        assert rig.world.conditions.clock_suspect
        assert [rig.host.running(uuid) for uuid in (held, protected, fenced)] == [True, True, False]
        assert [(await phone_of(rig, uuid)).state for uuid in (held, protected, fenced)] == [State.ACTIVE] * 3
        assert [notice.kind for notice in (await rig.ledger.notices.find())[before:]] == []
        await rig.service.phones.resume(fenced, reason="over", person=ANNA)
        await swept(rig)
        assert rig.host.running(fenced), "a person said so, and its time had not come when the clock was last right"
        rig.clock.step(-ahead)
        await rig.service.clock.trust(reason="set right", operator="anna")
        await swept(rig)
        assert [rig.host.running(uuid) for uuid in (held, protected, fenced)] == [True, True, True]
        assert not rig.host.fences


async def test_a_clock_that_goes_back_gives_nobody_back() -> None:
    """A due, held phone is not running again because the clock says that its term runs."""
    async with rig_on_disk() as rig:
        uuid = rig.host.add_phone(1, running=True)
        await rig.reconciler.sweep()
        await rig.subscribe(uuid)
        await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
        rig.clock.move(600 + GRACE + 1)
        await swept(rig)
        assert (rig.host.running(uuid), uuid in rig.host.fences) == (False, True)
        rig.clock.step(-2 * GRACE)
        for _ in range(3):
            await swept(rig)
            rig.clock.move(61)
        assert ((await phone_of(rig, uuid)).state, rig.host.running(uuid), uuid in rig.host.fences) == (State.DUE, False, True)


async def test_what_was_kept_long_enough_by_a_wrong_clock_stays() -> None:
    """K4: two years ahead and known to be wrong, nothing is dropped, anonymised or destroyed; an account's hold reaches its next phone as ever."""
    async with rig_on_disk() as rig:
        uuid = rig.host.add_phone(1)
        await rig.due(uuid)
        await rig.drain()
        assert (await phone_of(rig, uuid)).state is State.RELEASED
        periods = {"snapshots": timedelta(days=1), "audit": timedelta(days=2)}
        rig.clock.step(2 * YEAR)
        await rig.reconciler.look_at_clock()
        await retention.forget(rig.world, **periods)
        (wipe,) = await rig.ledger.wipes.find(uuid)
        assert wipe.snapshot is not None
        kinds = {entry.kind for entry in await rig.ledger.audit.entries()}
        assert {"anonymised", "slot-destroyed", "slot-not-sanitized", "snapshots-dropped"}.isdisjoint(kinds)
        await rig.service.clock.trust(reason="it is two years later", operator="anna")
        await retention.forget(rig.world, **periods)
        assert {"anonymised", "snapshots-dropped"} <= {entry.kind for entry in await rig.ledger.audit.entries()}


async def test_a_step_between_two_looks_destroys_no_salt() -> None:
    """Asked within the transaction: the clock jumps after the last look, and before any other."""
    async with rig_on_disk() as rig:
        uuid = rig.host.add_phone(1)
        await rig.due(uuid)
        await rig.drain()
        rig.clock.step(2 * YEAR)
        assert not rig.world.conditions.clock_suspect
        await retention.forget(rig.world, snapshots=timedelta(days=1), audit=timedelta(days=2))
        assert (await rig.ledger.wipes.find(uuid))[0].snapshot is not None


async def test_an_answer_that_names_other_accounts_for_all_stops_nobody() -> None:
    """K4: the breaker counts what hurts running phones as it counts wipes. Two people let exactly these go; corrected, it was nothing."""
    async with rig_on_disk() as rig:
        uuids = await bound(rig, 12)
        await rekeyed(rig, *uuids)
        for _ in range(2):
            await swept(rig)
        breaker = await rig.ledger.breaker.get()
        assert (breaker.open, len(breaker.waiting)) == (True, 12)
        assert all(rig.host.running(uuid) for uuid in uuids)
        assert not rig.host.fences
        codes = [reason.code for reason in (await phone_of(rig, uuids[0])).reasons]
        assert [code for code in codes if code in ("generation-occupied", "breaker-open")] == ["generation-occupied", "breaker-open"]
        for uuid in uuids:
            await rig.subscribe(uuid, seconds=YEAR, number="s-2")
        await swept(rig)
        assert (await rig.ledger.breaker.get()).waiting == ()
        assert all(rig.host.running(uuid) for uuid in uuids)


@pytest.mark.parametrize("off_before", [False, True])
async def test_a_phone_that_was_stopped_by_mistake_is_started_again_when_it_is_corrected(*, off_before: bool) -> None:
    """K4: one of another account is stopped and fenced; the right account gives it back, running if it ran, over a crash of the daemon too."""
    async with rig_on_disk() as rig:
        first, *_ = await bound(rig, 3)
        if off_before:
            rig.host.update(first, state=rig.host.machines[first].facts.state.SHUTOFF)
        await rekeyed(rig, first)
        await swept(rig)
        assert (rig.host.running(first), first in rig.host.fences) == (False, True)
        await rig.reboot()
        await rig.subscribe(first, seconds=YEAR, number="s-2")
        rig.host.libvirt_down = True
        with nullcontext() if off_before else pytest.raises(HypervisorError):
            await swept(rig)
        rig.host.libvirt_down = False
        rig.clock.move(400)
        await swept(rig)
        assert (rig.host.running(first), first in rig.host.fences) == (not off_before, False)
        assert not (await phone_of(rig, first)).stopped


async def test_a_suspended_phone_runs_again_when_it_is_resumed() -> None:
    """What the suspension stopped; a phone that its customer had turned off stays off."""
    async with rig_on_disk() as rig:
        on, off = await bound(rig, 2)
        rig.host.update(off, state=rig.host.machines[off].facts.state.SHUTOFF)
        for uuid in (on, off):
            await rig.service.phones.suspend(uuid, reason="a leak?", person=ANNA)
        await swept(rig)
        assert not rig.host.running(on)
        for uuid in (on, off):
            await rig.service.phones.resume(uuid, reason="none", person=ANNA)
        await swept(rig)
        assert [rig.host.running(uuid) for uuid in (on, off)] == [True, False]


async def test_a_policy_that_is_missing_takes_no_fence_down_and_stops_nothing() -> None:
    """K3: the phone stays as it was told, is asked about again by itself, and is what it was when the policy is back."""
    async with rig_on_disk() as rig:
        running, asked = await bound(rig, 2)
        await rig.service.requests.add("deletion", "no-consent", uuid=asked, reference="T-1", reason="asked", confirm="phone-2", person=ANNA)
        await swept(rig)
        assert asked in rig.host.fences
        policy = rig.world.policies["default"]
        rig.world = replace(rig.world, policies={"other": Policy()})
        rig.reconciler = type(rig.reconciler)(rig.world)
        for uuid in (running, asked):
            await rig.ledger.decisions.touch(uuid)
        for _ in range(3):
            await swept(rig)
            rig.clock.move(301)
        assert ([rig.host.running(uuid) for uuid in (running, asked)], set(rig.host.fences)) == ([True, False], {asked})
        phone = await phone_of(rig, running)
        assert (phone.state, phone.reasons[0].code) == (State.ACTIVE, "unknown-policy")
        assert phone.next_at is not None
        rig.world = replace(rig.world, policies={"default": policy})
        rig.reconciler = type(rig.reconciler)(rig.world)
        await swept(rig)
        assert [reason.code for reason in (await phone_of(rig, running)).reasons] == ["subscription-active"]


async def test_a_renewed_phone_is_given_back_before_any_wipe_begins() -> None:
    """K7: restoring comes before taking away in the queue."""
    async with rig_on_disk() as rig:
        uuids = await bound(rig, 4)
        late = uuids[0]
        await rig.service.phones.suspend(late, reason="asked", person=ANNA)
        await swept(rig)
        for number, uuid in enumerate(uuids[1:]):
            await rig.subscribe(uuid, seconds=1, number=f"e-{number}")
        rig.clock.move(1 + GRACE + 60)
        await rig.reconciler.sweep()
        await rig.service.phones.resume(late, reason="over", person=ANNA)
        first = await asyncio.wait_for(rig.reconciler.queue._next(), 5)
        assert first is not None
        assert (str(first.kind), first.uuid) == ("lift", late)


async def test_a_phone_that_cannot_be_started_is_not_fenced_for_that() -> None:
    """Its fence is down, housekeeping puts up none, and it is tried again until it runs."""
    async with rig_on_disk() as rig:
        (uuid,) = await bound(rig, 1)
        await rig.service.phones.suspend(uuid, reason="asked", person=ANNA)
        await swept(rig)

        async def fails(_uuid: str) -> None:
            raise HypervisorError("no memory")

        rig.hypervisor.start = fails  # type: ignore[method-assign]
        await rig.service.phones.resume(uuid, reason="over", person=ANNA)
        for _ in range(3):
            with pytest.raises(HypervisorError):
                await swept(rig)
            await rig.reconciler.heal()
            assert not rig.host.fences
            assert (await phone_of(rig, uuid)).fenced is False
            rig.clock.move(301)
        await rig.reboot()
        await swept(rig)
        assert (rig.host.running(uuid), (await phone_of(rig, uuid)).stopped) == (True, False)


#: What cannot be undone, hurts a customer, or gives back -> the files that do it, each behind the gate: by `decisions` (last word, decision), by `retention`,
#: or where a phone's fence stands already and its bytes are going.
DOORS = {
    r"fences\.put\(": {"wipe/fence.py"},
    r"fences\.lift\(": {"wipe/fence.py"},
    r"fence\.put\(": {"wipe/run.py", "wipe/vanished.py", "wipe/prepare.py", "wipe/refused.py", "sweep/fences.py", "sweep/sweep.py", "service/phones.py"},
    r"fence\.(lift|give_back)\(": {"wipe/verdict.py", "wipe/prepare.py", "sweep/sweep.py"},
    r"hypervisor\.(destroy|shutdown)\(": {"wipe/stop.py"},
    r"hypervisor\.start\(": {"wipe/fence.py", "wipe/prepare.py"},
    r"hypervisor\.undefine\w*\(": {"wipe/verdict.py"},
    r"\bstop\.stop\(": {"wipe/run.py", "wipe/prepare.py", "wipe/refused.py", "sweep/sweep.py"},
    r"session\.(erase|remove)\(": {"wipe/attempt.py"},
    r"wipes\.last_word\(": {"wipe/attempt.py"},
    r"retention\.retain\(": {"sweep/retention.py"},
    r"ledger\.images\.classify\(": {"deeds/classify_private.py"},
}


def test_no_other_file_does_what_hurts() -> None:
    """A new one asks the gate first, and is put on the list with its reason."""
    room = Path(decisions.__file__).parent
    texts = {str(path.relative_to(room)): path.read_text() for path in room.rglob("*.py")}
    found = {door: {name for name, text in texts.items() if re.search(door, text)} for door in DOORS}
    assert found == DOORS
    outside = [path for path in room.parent.rglob("*.py") if room not in path.parents and path.parent.name not in ("virt", "ports", "libvirt")]
    acts = re.compile(r"fences\.(put|lift)\(|hypervisor\.(destroy|shutdown|start|undefine)\(|retention\.retain\(")
    assert [str(path) for path in outside if acts.search(path.read_text())] == []
