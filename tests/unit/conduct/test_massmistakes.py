"""The breaker and the clock, through the whole inside of the daemon: many phones due at once, a jump, releases, power cuts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.ports import PowerCut
from tests.unit.conduct.rig import GRACE, SAFETY, Rig
from wiped.conduct.results import Ending
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import ApprovalState, Person
from wiped.model.breaker_and_clock import BreakerRecord
from wiped.model.records import WipeStep
from wiped.model.subscription import Action, Flag, State

MANY = 50
OP, OTHER = Person("op", 1001), Person("other", 1002, may_approve=True)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """Over the real ledger, which keeps approvals."""
    async with Rig.on_disk(str(tmp_path)) as found:
        yield found


async def released(rig: Rig, reason: str) -> BreakerRecord:
    """Two people let the waiting phones go; the breaker as it was."""
    before = await rig.ledger.breaker.get()
    with pytest.raises(RefusedError) as caught:
        await rig.service.release_breaker(fingerprint=before.fingerprint, reason=reason, person=OP)
    assert (caught.value.codes, (await rig.ledger.breaker.get()).open) == (("needs-approval",), True)
    await rig.service.approve(caught.value.approval, fingerprint=before.fingerprint, person=OTHER)
    return before


def phones(rig: Rig, count: int, first: int = 1) -> list[str]:
    """Running phones."""
    return [rig.host.add_phone(number, running=True) for number in range(first, first + count)]


async def untouched(rig: Rig, uuids: list[str]) -> bool:
    """Nothing was fenced, stopped, begun or overwritten."""
    return all(rig.host.running(uuid) and uuid not in rig.host.fences for uuid in uuids) and not await rig.ledger.wipes.find()


async def opened(rig: Rig) -> BreakerRecord:
    """The breaker, which must be open."""
    found = await rig.ledger.breaker.get()
    assert found.open
    return found


async def test_fifty_phones_due_at_once_open_the_breaker_and_none_is_wiped() -> None:
    """None is even begun; each says so, with what to do."""
    rig = Rig()
    uuids = phones(rig, MANY)
    await rig.due(*uuids)
    assert await rig.drain() == []
    assert await untouched(rig, uuids)
    breaker = await opened(rig)
    assert (breaker.newly_due, breaker.limit, breaker.bound) == (MANY, 10, MANY)
    assert sorted(phone.uuid for phone in breaker.waiting) == sorted(uuids)
    told = await rig.service.explain(uuids[0])
    assert (told.decision.action, told.decision.reasons[-1].code, Flag.BREAKER in told.decision.flags) == (Action.NONE, "breaker-open", True)
    status = await rig.service.status()
    assert status.breaker_open
    assert "wipectl breaker release --reason" in status.faults["breaker"]
    assert status.flags["breaker"] == MANY
    assert rig.announcer.codes["breaker-open"] == MANY
    for _ in range(3):
        rig.clock.move(3_700)
        await rig.reconciler.sweep()
        assert await rig.drain() == []
    assert rig.announcer.codes["breaker-open"] == MANY


async def test_a_release_lets_exactly_those_fifty_go(rig: Rig) -> None:
    """Those that fall due later count anew and open it again; it holds them, and only them."""
    rig.parallel = 4
    rig.boot()
    uuids = phones(rig, MANY)
    later = phones(rig, 13, first=100)
    await rig.due(*uuids)
    for uuid in later:
        await rig.subscribe(uuid, seconds=GRACE)
    before = await released(rig, "the contract with this customer ended")
    assert len(before.waiting) == MANY
    await rig.reconciler.sweep()
    rig.clock.move(2 * GRACE + 1)
    await rig.reconciler.sweep()
    assert sorted(phone.uuid for phone in (await opened(rig)).waiting) == sorted(later)
    endings = await rig.drain(rounds=200)
    assert endings.count(Ending.RELEASED) == MANY
    assert all([(await rig.ledger.phones.get(uuid)).state is State.RELEASED for uuid in uuids])  # type: ignore[union-attr]
    assert all(rig.host.running(uuid) for uuid in later)
    told = [entry for entry in await rig.ledger.audit.entries() if entry.kind == "breaker-released"]
    assert [(entry.body["operator"], len(entry.body["phones"])) for entry in told] == [("op", MANY)]
    assert told[0].body["approver"] == "other"
    assert "contract" not in repr(told)


async def test_as_many_as_allowed_are_wiped() -> None:
    """Five phones at once are no mistake; the sixth within the hour is."""
    rig = Rig()
    uuids = phones(rig, 5)
    await rig.due(*uuids)
    assert await rig.drain() == [Ending.RELEASED] * 5
    (sixth,) = phones(rig, 1, first=50)
    await rig.reconciler.sweep()
    await rig.subscribe(sixth, seconds=-GRACE + 120)
    rig.clock.move(200)
    await rig.reconciler.sweep()
    assert not (await rig.ledger.breaker.get()).open  # its end was recorded now: grace runs from here
    rig.clock.move(GRACE)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


async def test_the_sixth_within_the_window_stops_those_before_their_last_word(rig: Rig) -> None:
    """One after the other, as clocks have it: what had begun waits, and goes on after the release."""
    rig.parallel = 1
    rig.boot()
    uuids = phones(rig, 6)
    await rig.reconciler.sweep()
    for number, uuid in enumerate(uuids):
        await rig.subscribe(uuid, seconds=600 + number)
    rig.clock.move(600 + GRACE)
    for _ in uuids:
        rig.clock.move(1)
        await rig.reconciler.sweep()
    assert len(await rig.ledger.wipes.find(unfinished=True)) == 5
    assert set(await rig.drain()) == {Ending.WAITING}
    assert all(rig.host.running(uuid) for uuid in uuids)
    assert len((await opened(rig)).waiting) == 6
    await released(rig, "it is right")
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED] * 6


async def test_a_breaker_that_opens_under_the_locks_stops_the_last_word() -> None:
    """I7: it is read within the transaction that would write `erasing`. What is past it ends."""
    rig = Rig(parallel=2)
    first, second, *others = phones(rig, 7)
    await rig.due(first, second)
    assert await rig.run((await rig.wipe_of(second)).id) is Ending.RELEASED

    async def open_it() -> None:
        await rig.ledger.breaker.count_due([(uuid, 1) for uuid in others], rig.clock.now(), SAFETY)

    rig.milestones.when[WipeStep.REOBSERVED] = open_it
    assert await rig.run((await rig.wipe_of(first)).id) is Ending.WAITING
    assert (await rig.wipe_of(first)).step is WipeStep.REOBSERVED
    assert "SECRET" in repr(rig.host.names)


async def test_what_is_past_its_last_word_ends() -> None:
    """An open breaker leaves no half-erased phone."""
    rig = Rig()
    uuid, *others = phones(rig, 7)
    await rig.due(uuid)

    async def open_it() -> None:
        await rig.ledger.breaker.count_due([(other, 1) for other in others], rig.clock.now(), SAFETY)

    rig.milestones.when[WipeStep.ERASING] = open_it
    assert await rig.run((await rig.wipe_of(uuid)).id) is Ending.RELEASED
    assert (await rig.ledger.breaker.get()).open


async def test_a_single_manual_wipe_does_not_count_but_waits_like_all() -> None:
    """Its name was typed; while the breaker is open nothing new starts."""
    rig = Rig()
    uuids = phones(rig, 7)
    await rig.reconciler.sweep()
    for uuid in uuids:
        await rig.subscribe(uuid)
    rig.clock.move(700)
    for uuid in uuids:
        await rig.service.request_wipe(uuid, reason="asked", ticket="", confirm=rig.host.machines[uuid].facts.name, person=OP)
    rig.clock.move(SAFETY.settle + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED] * 7
    assert not (await rig.ledger.breaker.get()).open
    others = phones(rig, 8, first=60)
    await rig.due(*others[:7])
    await rig.subscribe(others[7], seconds=1)
    rig.clock.move(2)
    await rig.service.request_wipe(others[7], reason="asked", ticket="", confirm=rig.host.machines[others[7]].facts.name, person=OP)
    rig.clock.move(SAFETY.settle + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert others[7] not in {phone.uuid for phone in (await opened(rig)).waiting}


async def test_renewed_phones_leave_the_set_and_count_anew_when_they_fall_due_again(rig: Rig) -> None:
    """The feed was wrong and is corrected: a release lets nobody of them go."""
    uuids = phones(rig, 8)
    await rig.due(*uuids)
    await opened(rig)
    for uuid in uuids:
        await rig.subscribe(uuid, seconds=7_200, number="s-2")
    await rig.reconciler.sweep()
    assert (await opened(rig)).waiting == ()
    assert (await released(rig, "the feed was wrong")).waiting == ()
    rig.clock.move(7_200 + GRACE + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert len((await opened(rig)).waiting) == 8
    assert await untouched(rig, uuids)


async def test_another_set_than_the_one_looked_at_is_not_released(rig: Rig) -> None:
    """More phones came while the operator looked."""
    uuids = phones(rig, 7)
    await rig.due(*uuids[:6])
    seen = (await opened(rig)).fingerprint
    await rig.subscribe(uuids[6], seconds=1)
    rig.clock.move(GRACE + 2)
    await rig.reconciler.sweep()
    with pytest.raises(RefusedError) as caught:
        await rig.service.release_breaker(fingerprint=seen, reason="looked at six", person=OP)
    assert caught.value.codes == ("drift",)
    assert len((await opened(rig)).waiting) == 7


async def test_a_wish_for_one_set_is_not_agreed_to_for_another(rig: Rig) -> None:
    """More phones came between the two people: nobody is let go, and it has to be asked for again; one person alone lets nobody go."""
    uuids = phones(rig, 7)
    await rig.due(*uuids[:6])
    with pytest.raises(RefusedError) as caught:
        await rig.service.release_breaker(fingerprint="", reason="looked at six", person=OP)
    approval = caught.value.approval
    for alone in (OP, Person("root", 0), Person("somebody", 1001, may_approve=True), Person("cid", 1003)):
        with pytest.raises(RefusedError) as caught:
            await rig.service.approve(approval, fingerprint="", person=alone)
        assert caught.value.codes == ("needs-approval",)
    await rig.subscribe(uuids[6], seconds=1)
    rig.clock.move(GRACE + 2)
    await rig.ledger.breaker.count_due([(uuids[6], 1)], rig.clock.now(), SAFETY)
    with pytest.raises(RefusedError) as caught:
        await rig.service.approve(approval, fingerprint="", person=OTHER)
    assert caught.value.codes == ("drift",)
    assert len((await opened(rig)).waiting) == 7
    assert (await rig.service.approval(approval)).state is ApprovalState.WITHDRAWN
    assert len((await released(rig, "looked at seven")).waiting) == 7


async def test_a_closed_breaker_has_nothing_to_release(rig: Rig) -> None:
    """Said so, and nothing is audited."""
    with pytest.raises(InputError):
        await rig.service.release_breaker(fingerprint="", reason="no reason", person=OP)
    assert not [entry for entry in await rig.ledger.audit.entries() if entry.kind.startswith("breaker")]


async def test_a_power_cut_at_any_milestone_starts_none_of_fifty(rig: Rig) -> None:
    """Cut while counting, opening, releasing: what was not released is still held back by the next daemon, and what was released goes."""
    rig.parallel = 8
    rig.boot()
    uuids = phones(rig, MANY)
    await rig.reconciler.sweep()
    for uuid in uuids:
        await rig.subscribe(uuid)
    rig.clock.move(600 + GRACE + 1)
    for cut_at in range(4):
        rig.boot()
        rig.milestones.cut_at = cut_at
        try:
            await rig.reconciler.sweep()
        except PowerCut:
            continue
        assert await rig.drain() == []
    assert await untouched(rig, uuids)
    await opened(rig)
    rig.boot()
    await rig.reconciler.sweep()
    rig.milestones.seen.clear()
    rig.milestones.cut_at = 0
    with pytest.raises(PowerCut):
        await released(rig, "they are right")
    await rig.reboot()
    assert (await rig.drain(rounds=200)).count(Ending.RELEASED) == MANY


async def test_a_daemon_that_was_off_for_a_week_finds_fifty_due_and_waits() -> None:
    """That is right: nobody looked for a week."""
    rig = Rig()
    uuids = phones(rig, MANY)
    await rig.reconciler.sweep()
    for number, uuid in enumerate(uuids):
        await rig.subscribe(uuid, seconds=number * 12_000)
    await rig.reconciler.sweep()
    rig.clock.move(7 * 86_400 + GRACE)
    rig.boot()
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert await untouched(rig, uuids)
    assert len((await opened(rig)).waiting) == MANY


@pytest.mark.parametrize("down", [False, True])
async def test_a_jump_of_four_hundred_days_wipes_nothing(*, down: bool) -> None:
    """Seen while the daemon runs, and after it was down while the host was up; it says what to do."""
    rig = Rig()
    uuids = phones(rig, 3)
    await rig.reconciler.sweep()
    for uuid in uuids:
        await rig.subscribe(uuid, seconds=30 * 86_400)
    await rig.reconciler.sweep()
    rig.clock.step(400 * 86_400)
    if down:
        rig.boot()
    for _ in range(5):
        await rig.reconciler.sweep()
        assert await rig.drain() == []
        rig.clock.move(3_600)
    assert await untouched(rig, uuids)
    status = await rig.service.status()
    assert status.clock_suspect
    assert "wipectl clock trust --reason" in status.faults["clock"]
    reasons = (await rig.service.explain(uuids[0])).decision.reasons
    assert ("clock-suspect", True) in [(reason.code, "wipectl clock status" in reason.detail) for reason in reasons]
    assert rig.announcer.codes["clock-suspect"] == 3


async def test_a_jump_between_two_sweeps_stops_the_last_word() -> None:
    """A term that was renewed for a month looks over to a wipe that is already under its locks."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)

    async def jump() -> None:
        rig.clock.step(400 * 86_400)

    rig.milestones.when[WipeStep.REOBSERVED] = jump
    assert await rig.run((await rig.wipe_of(uuid)).id) is Ending.WAITING
    assert "SECRET" in repr(rig.host.names)


async def test_a_suspicion_outlives_the_daemon_and_the_host() -> None:
    """Only synchronisation or an operator ends it."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid, seconds=86_400)
    rig.clock.step(400 * 86_400)
    await rig.reconciler.sweep()
    rig.boot()
    rig.clock.reboot(120)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert (await rig.service.clock()).suspect == "stepped"
    rig.clock.sync = True
    await rig.reconciler.sweep()
    assert (await rig.service.clock()).suspect == ""
    assert [entry.body["suspect"] for entry in await rig.ledger.audit.entries() if entry.kind == "clock"] == ["stepped", ""]


async def test_an_ordinary_reboot_stops_nothing() -> None:
    """Off for an hour, never synchronised: phones that fell due meanwhile are wiped."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    await rig.reconciler.sweep()
    rig.boot()
    rig.clock.reboot(600 + GRACE + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


async def test_a_clock_trusted_by_an_operator_is_audited_and_believed() -> None:
    """After it the phones are due: all at once, which is the breaker's turn."""
    rig = Rig()
    uuids = phones(rig, 8)
    await rig.reconciler.sweep()
    for uuid in uuids:
        await rig.subscribe(uuid)
    rig.clock.step(400 * 86_400)
    await rig.reconciler.sweep()
    before = await rig.service.trust_clock(reason="the battery was changed", operator="op")
    assert before.suspect == "stepped"
    with pytest.raises(InputError):
        await rig.service.trust_clock(reason="again", operator="op")
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    assert len((await opened(rig)).waiting) == 8
    entry = [entry for entry in await rig.ledger.audit.entries() if entry.kind == "clock"][-1]
    assert (entry.body["suspect"], entry.body["operator"]) == ("", "op")


async def test_a_clock_that_loses_its_synchronisation_is_suspect() -> None:
    """Seen since boot and lost; the clock itself stands right."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    rig.clock.sync = True
    await rig.reconciler.sweep()
    await rig.subscribe(uuid)
    rig.clock.sync = False
    rig.clock.move(600 + GRACE + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == []
    rig.clock.sync = True
    rig.clock.move(61)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]


def test_the_window_is_an_hour() -> None:
    """What the stories above rely on."""
    assert timedelta(seconds=SAFETY.breaker_window) == timedelta(hours=1)
