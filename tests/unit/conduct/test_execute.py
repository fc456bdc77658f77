"""One wipe in its order: the happy path, every way to be called off, refused, interrupted and retried."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.host import COW, EXT4
from tests.unit.conduct.rig import PowerCut, Rig
from wiped.attest.signing import open_envelope
from wiped.conduct.results import Ending
from wiped.errors import HelperError, HypervisorError, LedgerError
from wiped.model.inventory import DomainState, JobKind
from wiped.model.records import ArtefactState, WipeStep
from wiped.model.subscription import Hold, State

ORDER = ["intent", "fenced", "stopped", "locked", "reobserved", "erasing", "verifying", "removing", "judged", "released"]


async def proven(rig: Rig, uuid: str, name: str) -> None:
    """The end that every good story has, looked at from outside."""
    wipe = await rig.wipe_of(uuid)
    assert wipe.step is WipeStep.RELEASED
    assert wipe.outcome == "clear"
    assert rig.host.remains(f"SECRET of {name}") == 0
    assert not [path for path in rig.host.names if name in path or ".wiped-" in path]
    assert uuid not in rig.host.machines
    assert uuid not in rig.host.fences
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert (phone.state, phone.fenced) == (State.RELEASED, False)
    assert all(item.state is ArtefactState.REMOVED for item in wipe.artefacts)
    assert all(count == 1 for count in rig.eraser.removed.values())
    certificate = await rig.ledger.certificates.get(wipe.id)
    assert certificate is not None
    assert (certificate.kind, certificate.id) == ("certificate", wipe.certificate_id)
    assert open_envelope(certificate.envelope, rig.world.signer.public_pem)["predicate"]["overall"]["outcome"] == "clear"


async def test_a_running_phone_is_stopped_wiped_proven_and_released() -> None:
    """The main job, in the order of docs/design.md, with the golden image untouched."""
    rig = Rig()
    golden = rig.host.add_file("/golden/base.qcow2", b"GOLDEN".ljust(8192, b"."))
    uuid = rig.host.add_phone(1, running=True, golden="/golden/base.qcow2", saved=True)
    before = bytes(golden.data)
    wipe = await rig.begun(uuid)
    assert rig.host.remains("SECRET of phone-1") == 13
    ending = await rig.run(wipe.id)
    assert ending is Ending.RELEASED
    await proven(rig, uuid, "phone-1")
    assert [step for step in rig.milestones.seen if step in ORDER] == ORDER
    assert bytes(golden.data) == before
    assert [event.split()[0] for event in rig.host.events] == ["shutdown", "undefine"]
    record, spent = rig.announcer.judged[0]
    assert (record.outcome, spent) == ("clear", pytest.approx(3600, abs=30))


async def test_memory_is_erased_before_disks() -> None:
    """The order of erasing: memory images, then disks, then the rest."""
    rig = Rig()
    uuid = rig.host.add_phone(1, saved=True)
    wipe = await rig.begun(uuid)
    await rig.run(wipe.id)
    kinds = [str(item.kind) for item in (await rig.wipe_of(uuid)).plan.steps]  # type: ignore[union-attr]
    assert kinds == ["memory-image", "disk-image", "nvram"]


async def test_a_deaf_guest_is_stopped_hard_after_its_time() -> None:
    """A guest that ignores the power button is destroyed after the policy's stop_timeout, not before."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True, acpi=None)
    wipe = await rig.begun(uuid)
    at = rig.clock.boottime()
    assert await rig.run(wipe.id) is Ending.RELEASED
    assert [event.split()[0] for event in rig.host.events] == ["shutdown", "shutdown", "destroy", "undefine"]
    assert rig.clock.boottime() - at >= rig.policy.stop_timeout
    await proven(rig, uuid, "phone-1")


@pytest.mark.parametrize("state", [DomainState.PAUSED, DomainState.CRASHED, DomainState.PMSUSPENDED])
async def test_a_guest_that_cannot_hear_is_stopped_hard_at_once(state: DomainState) -> None:
    """Paused, crashed and suspended guests cannot answer the power button."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    rig.host.update(uuid, state=state)
    wipe = await rig.begun(uuid)
    await rig.run(wipe.id)
    assert [event.split()[0] for event in rig.host.events] == ["destroy", "undefine"]
    await proven(rig, uuid, "phone-1")


async def all_milestones() -> int:
    """How many milestones one whole wipe of the story below has."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True, saved=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    await rig.run(wipe.id)
    return len(rig.milestones.seen)


async def test_every_interrupted_prefix_ends_in_the_same_proven_state_once() -> None:
    """I1 to I8: the power goes at the n-th milestone, for all n; a fresh daemon finishes from ledger and host alone, with exactly one certificate."""
    count = await all_milestones()
    assert count > 40
    for cut_at in range(count):
        rig = Rig()
        uuid = rig.host.add_phone(1, running=True, saved=True)
        wipe = await rig.begun(uuid)
        await rig.reboot(cut_at)
        with pytest.raises(PowerCut):
            await rig.run(wipe.id)
        assert await rig.survive(wipe.id) is Ending.RELEASED, cut_at
        await proven(rig, uuid, "phone-1")
        assert len(rig.ledger.certificates.issued) == 1, cut_at  # type: ignore[attr-defined]


async def test_two_power_cuts_in_one_wipe() -> None:
    """A second cut while the first one's damage is being repaired, for many pairs of places."""
    count = await all_milestones()
    for first in range(0, count, 5):
        for second in range(0, count, 7):
            rig = Rig()
            uuid = rig.host.add_phone(1, running=True, saved=True)
            wipe = await rig.begun(uuid)
            await rig.reboot(first)
            with pytest.raises(PowerCut):
                await rig.run(wipe.id)
            await rig.reboot(second)
            try:
                await rig.run(wipe.id)
            except PowerCut:
                assert await rig.survive(wipe.id) is Ending.RELEASED
            await proven(rig, uuid, "phone-1")


async def untouched(rig: Rig, uuid: str, name: str, blocks: int) -> None:
    """Nothing was written, nothing removed."""
    assert rig.host.remains(f"SECRET of {name}") == blocks
    assert not rig.eraser.erased
    assert not rig.eraser.removed
    wipe = await rig.wipe_of(uuid)
    assert wipe.step is WipeStep.CANCELLED
    assert rig.ledger.certificates.issued == ()  # type: ignore[attr-defined]


BEFORE_THE_LAST_WORD = ["intent", "fence-put", "autostart-off", "fenced", "stopping", "stopped", "locked", "ranges-saved", "reobserved"]


@pytest.mark.parametrize("step", BEFORE_THE_LAST_WORD)
async def test_a_renewal_before_the_last_word_gives_the_phone_back(step: str) -> None:
    """I7: renewed at any step before the last word: untouched, unfenced, running and autostarting as before."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    rig.milestones.when[step] = lambda: rig.subscribe(uuid, seconds=86_400, number="s-2")
    assert await rig.run(wipe.id) is Ending.CANCELLED
    await untouched(rig, uuid, "phone-1", 5)
    facts = rig.host.domain(uuid)
    assert facts is not None
    assert (facts.state, facts.autostart, uuid in rig.host.fences) == (DomainState.RUNNING, True, False)


@pytest.mark.parametrize("step", BEFORE_THE_LAST_WORD)
async def test_a_hold_before_the_last_word_keeps_the_phone_fenced(step: str) -> None:
    """I7: held at any step before the last word: nothing erased, and what was fenced stays fenced."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    hold = Hold("h-1", uuid, "", "litigation")
    rig.milestones.when[step] = lambda: rig.ledger.holds.add(hold, rig.clock.now(), "tester")
    assert await rig.run(wipe.id) is Ending.CANCELLED
    await untouched(rig, uuid, "phone-1", 5)
    assert ("fence-put" in rig.milestones.seen) == (uuid in rig.host.fences)


async def test_a_renewal_during_a_slow_shutdown_is_seen_within_seconds() -> None:
    """The guest takes its time; the renewal comes; it is not destroyed, and once it is off it is started again."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True, acpi=None)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    rig.milestones.when["stopping"] = lambda: rig.subscribe(uuid, seconds=86_400, number="s-2")
    at = rig.clock.boottime()
    assert await rig.run(wipe.id) is Ending.CANCELLED
    assert rig.clock.boottime() - at <= 3
    assert "destroy" not in " ".join(rig.host.events)
    assert uuid not in rig.host.fences


async def test_power_cuts_while_calling_off_still_give_the_phone_back() -> None:
    """A renewal and a power cut at every milestone of the way back."""
    for cut_at in range(30):
        rig = Rig()
        uuid = rig.host.add_phone(1, running=True)
        wipe = await rig.begun(uuid)
        await rig.reboot(cut_at)
        rig.milestones.when["stopped"] = lambda rig=rig, uuid=uuid: rig.subscribe(uuid, seconds=86_400, number="s-2")  # type: ignore[misc]
        try:
            await rig.run(wipe.id)
        except PowerCut:
            if (await rig.ledger.decisions.facts(uuid, rig.clock.now())).subscription.subscription_id == "s-1":  # type: ignore[union-attr]
                await rig.subscribe(uuid, seconds=86_400, number="s-2")
            await rig.survive(wipe.id)
        await untouched(rig, uuid, "phone-1", 5)
        assert rig.host.running(uuid)
        assert uuid not in rig.host.fences


async def test_a_hold_after_the_last_word_stops_the_next_attempt() -> None:
    """The hands had begun, the power went, a hold came: not erased any further, quarantined for legal-hold, finished once the hold is lifted."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    rig.milestones.cut_at = 12
    with pytest.raises(PowerCut):
        await rig.run(wipe.id)
    assert (await rig.wipe_of(uuid)).step is WipeStep.ERASING
    await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation"), rig.clock.now(), "tester")
    erased = dict(rig.eraser.erased)
    assert await rig.survive(wipe.id) is Ending.QUARANTINED
    assert (await rig.wipe_of(uuid)).reasons[0] in {"legal-hold", "readback-impossible"}
    assert "legal-hold" in (await rig.wipe_of(uuid)).reasons
    assert dict(rig.eraser.erased) == erased
    assert uuid in rig.host.fences
    await rig.ledger.holds.release("h-1", rig.clock.now(), "tester")
    rig.clock.move(301)
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


@pytest.mark.parametrize("at", ["quarantined", "erasing"])
async def test_a_hold_that_ended_by_a_jump_of_the_clock_alone_still_stops_the_retry(at: str) -> None:
    """A suspect clock cannot say that a hold is over: nothing is erased any further, the wipe waits as it is, and goes on once the clock is trusted."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    if at == "quarantined":
        rig.observer.mismatches = [3, 0]
        assert await rig.run(wipe.id) is Ending.QUARANTINED
    else:
        await rig.reboot()
        rig.milestones.cut_at = 12
        with pytest.raises(PowerCut):
            await rig.run(wipe.id)
    until = rig.clock.now() + timedelta(days=30)
    await rig.ledger.holds.add(Hold("h-1", uuid, "", "litigation", until=until), rig.clock.now(), "tester")
    before, erased = await rig.wipe_of(uuid), dict(rig.eraser.erased)
    rig.clock.move(31 * 86_400)
    rig.world.conditions.clock_suspect = "it stepped"
    assert await rig.run(wipe.id) is Ending.WAITING
    after = await rig.wipe_of(uuid)
    assert (after.step, after.reasons, after.retry_at, after.attempt) == (before.step, before.reasons, before.retry_at, before.attempt)
    assert (dict(rig.eraser.erased), uuid in rig.host.fences) == (erased, True)
    rig.world.conditions.clock_suspect = ""
    assert await rig.run(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_a_refused_plan_changes_no_byte_and_is_made_again() -> None:
    """A neighbour reaches the disk: refused, and the codes are with the phone; wiped once the neighbour let go."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    other = rig.host.add_phone(2)
    rig.host.update(other, disks=rig.host.machines[uuid].facts.disks)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert phone.refusals == ("shared-by-domain",)
    assert (await rig.wipe_of(uuid)).step is WipeStep.QUEUED
    assert not rig.eraser.erased
    assert rig.announcer.codes["shared-by-domain"] == 1
    rig.host.update(other, disks=())
    assert await rig.run(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_a_transient_domain_is_refused_before_it_is_stopped() -> None:
    """Stopping a transient domain would take its definition away."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    rig.host.update(uuid, persistent=False)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert rig.host.running(uuid)
    assert rig.announcer.codes["unsupported-artefact"] == 1


async def test_a_job_that_begins_during_the_stop_is_waited_for_then_refused() -> None:
    """The domain is being saved: not destroyed under it."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def begin_save() -> None:
        rig.host.busy(uuid, JobKind.SAVE)

    rig.milestones.when["fenced"] = begin_save
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert (await rig.ledger.phones.get(uuid)).refusals == ("domain-busy",)  # type: ignore[union-attr]
    assert "destroy" not in " ".join(rig.host.events)
    assert uuid in rig.host.fences
    rig.host.busy(uuid, JobKind.NONE)
    assert await rig.run(wipe.id) is Ending.RELEASED


async def test_drift_between_plan_and_lock_is_refused_and_planned_again() -> None:
    """A disk is added after the plan: refused under the lock, wiped with it the next time."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def add_disk() -> None:
        rig.host.add_file("/phones/extra.qcow2", b"SECRET of phone-1 extra".ljust(4096, b"#"))
        disks = rig.host.machines[uuid].facts.disks
        rig.host.update(uuid, disks=(*disks, type(disks[0])("vdb", "file", "/phones/extra.qcow2", "qcow2")))

    rig.milestones.when["locked"] = add_disk
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert not rig.eraser.erased
    assert (await rig.ledger.phones.get(uuid)).refusals == ("drift",)  # type: ignore[union-attr]
    assert await rig.run(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_a_file_swapped_after_the_plan_is_never_written() -> None:
    """Another file stands at the disk's place when the locks are taken: identity-changed."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    innocent = b"innocent".ljust(4096, b"#")

    async def swap() -> None:
        rig.host.add_file("/phones/phone-1.qcow2", innocent)

    rig.milestones.when["stopped"] = swap
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert bytes(rig.host.names["/phones/phone-1.qcow2"].data) == innocent


async def test_an_image_in_use_is_waited_for_thirty_seconds_then_refused() -> None:
    """Somebody holds the image open: never half-wiped; when he lets go within the time, it goes on."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    rig.host.disk_of(uuid).holders = 1
    wipe = await rig.begun(uuid)
    at = rig.clock.boottime()
    assert await rig.run(wipe.id) is Ending.REFUSED
    assert 30 <= rig.clock.boottime() - at <= 32
    assert (await rig.ledger.phones.get(uuid)).refusals == ("in-use",)  # type: ignore[union-attr]
    assert not rig.eraser.erased
    until = rig.clock.boottime() + 10

    def let_go(boottime: float) -> None:
        if boottime >= until:
            rig.host.disk_of(uuid).holders = 0
            rig.clock.on_pause.clear()

    rig.clock.on_pause.append(let_go)
    assert await rig.run(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_a_read_back_mismatch_is_quarantined_with_nothing_removed() -> None:
    """I3 and I4: not proven, not removed, fenced, an incident and no certificate; retried with back-off, then proven."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    rig.observer.mismatches = [3, 0]
    assert await rig.run(wipe.id) is Ending.QUARANTINED
    found = await rig.wipe_of(uuid)
    assert (found.step, found.outcome, found.reasons) == (WipeStep.QUARANTINED, "not-sanitized", ("readback-mismatch",))
    assert found.retry_at == rig.clock.now() + timedelta(seconds=300)
    assert "/phones/phone-1.qcow2" in rig.host.names
    assert "/libvirt/nvram/phone-1.fd" not in rig.host.names, "what was proven is removed"
    assert uuid in rig.host.fences
    assert [c.kind for c in rig.ledger.certificates.issued] == ["incident"]  # type: ignore[attr-defined]
    with pytest.raises(HypervisorError):
        rig.host.start(uuid)
    assert await rig.run(wipe.id) is Ending.QUARANTINED, "its time has not come"
    assert rig.eraser.erased.total() == 2
    rig.clock.move(301)
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")
    assert (await rig.wipe_of(uuid)).attempt == 2


async def test_an_incident_is_written_again_only_when_its_reasons_change() -> None:
    """Three failing attempts, two kinds of failure: two incident records."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    for reasons in ([3], [3], []):
        rig.observer.mismatches = list(reasons)
        if not reasons:
            rig.eraser.reasons = ["io-error"]
        await rig.run(wipe.id)
        rig.clock.move(90_000)
    assert [c.kind for c in rig.ledger.certificates.issued] == ["incident", "incident"]  # type: ignore[attr-defined]
    assert (await rig.wipe_of(uuid)).attempt == 3


async def test_copy_on_write_is_left_in_place_and_says_so() -> None:
    """A disk on a copy-on-write filesystem is not overwritten at all; the phone is quarantined and no retry is planned."""
    rig = Rig()
    uuid = rig.host.add_phone(1, filesystem=COW)
    wipe = await rig.begun(uuid)
    assert await rig.run(wipe.id) is Ending.QUARANTINED
    found = await rig.wipe_of(uuid)
    assert found.reasons == ("cow-filesystem",)
    assert found.retry_at is None
    assert rig.host.remains("SECRET of phone-1 block") == 4
    assert uuid in rig.host.fences


async def test_a_changed_host_lets_a_retry_prove_what_it_could_not() -> None:
    """The filesystem's facts changed (another mount option): an explicit retry takes today's facts for what was never overwritten."""
    rig = Rig()
    uuid = rig.host.add_phone(1, filesystem=COW)
    wipe = await rig.begun(uuid)
    await rig.run(wipe.id)
    rig.host.disk_of(uuid).filesystem = EXT4
    await rig.ledger.quarantine.retry_now(wipe.id, rig.clock.now(), "tester")
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_blocks_that_moved_after_the_lock_are_extent_moved() -> None:
    """The filesystem moved the file between two attempts: the old blocks cannot be named any more."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def move() -> None:
        rig.host.disk_of(uuid).moved += 1

    rig.milestones.when["erasing"] = move
    assert await rig.run(wipe.id) is Ending.QUARANTINED
    assert (await rig.wipe_of(uuid)).reasons == ("extent-moved",)
    assert "/phones/phone-1.qcow2" in rig.host.names


async def test_an_eraser_that_dies_at_any_block_is_run_again() -> None:
    """The eraser's process dies after n blocks, for all n: nothing is judged, the next run finishes."""
    for after in range(12):
        rig = Rig()
        uuid = rig.host.add_phone(1, saved=True)
        wipe = await rig.begun(uuid)
        rig.eraser.dies_after = after
        try:
            await rig.run(wipe.id)
        except HelperError:
            assert await rig.survive(wipe.id) is Ending.RELEASED
        await proven(rig, uuid, "phone-1")


async def test_an_observer_that_dies_at_any_call_is_asked_again() -> None:
    """Survey, ranges or read-back end with the observer's death: nothing wrong is concluded."""
    for call in range(8):
        rig = Rig()
        uuid = rig.host.add_phone(1)
        wipe = await rig.begun(uuid)
        alive = rig.observer._alive
        count = iter(range(call))

        def dying(alive: object = alive, count: object = count, rig: Rig = rig) -> None:
            if next(count, None) is None:  # type: ignore[call-overload]
                rig.observer._alive = alive  # type: ignore[assignment,method-assign]
                raise HelperError("the observer is gone")

        rig.observer._alive = dying  # type: ignore[method-assign]
        try:
            await rig.run(wipe.id)
        except HelperError:
            assert await rig.survive(wipe.id) is Ending.RELEASED
        await proven(rig, uuid, "phone-1")


async def test_an_erasing_that_never_gets_through_is_judged_in_the_end() -> None:
    """give_up: interrupted again and again, the wipe is quarantined with a reason and a time, not forgotten."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    rig.eraser.dies_after = 2
    with pytest.raises(HelperError):
        await rig.run(wipe.id)
    assert await rig.executor.give_up(wipe.id, "io-error") is Ending.QUARANTINED
    found = await rig.wipe_of(uuid)
    assert "io-error" in found.reasons
    assert found.retry_at is not None
    rig.clock.move(301)
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


@pytest.mark.parametrize("step", ["fence-put", "fenced", "stopping", "stopped", "locked", "reobserved", "erasing", "erased", "removed", "judged"])
async def test_libvirt_that_goes_away_in_the_middle_only_costs_time(step: str) -> None:
    """libvirt is down from a step on: either the wipe goes on without it, or it waits; when it is back the phone is proven."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def down() -> None:
        rig.host.libvirt_down = True

    rig.milestones.when[step] = down
    with pytest.raises(HypervisorError):
        await rig.run(wipe.id)
    rig.host.libvirt_down = False
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_a_domain_that_vanishes_before_the_last_word_is_never_wiped() -> None:
    """Undefined by hand during the stop: cancelled, its files stay, its fence stays."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def vanish() -> None:
        del rig.host.machines[uuid]

    rig.milestones.when["fenced"] = vanish
    assert await rig.run(wipe.id) is Ending.CANCELLED
    await untouched(rig, uuid, "phone-1", 5)
    assert uuid in rig.host.fences


async def test_a_half_wiped_phone_that_was_started_is_stopped_hard_first() -> None:
    """The hook was not loaded and somebody started a half-wiped phone: stopped at once, then finished."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    rig.eraser.dies_after = 3
    with pytest.raises(HelperError):
        await rig.run(wipe.id)
    rig.host.hook_loaded = False
    rig.host.start(uuid)
    assert await rig.survive(wipe.id) is Ending.RELEASED
    await proven(rig, uuid, "phone-1")


async def test_a_fenced_phone_starts_under_no_name() -> None:
    """I6: from the fence on neither the phone nor another domain over its disk starts; its neighbour does."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    neighbour, double = rig.host.add_phone(2), rig.host.add_phone(3)
    wipe = await rig.begun(uuid)
    await rig.reboot()

    async def try_to_start() -> None:
        disks = rig.host.machines[double].facts.disks
        rig.host.update(double, disks=rig.host.machines[uuid].facts.disks)
        for name in (uuid, double):
            with pytest.raises(HypervisorError):
                rig.host.start(name)
        rig.host.update(double, disks=disks)
        rig.host.start(neighbour)

    rig.milestones.when["stopped"] = try_to_start
    assert await rig.run(wipe.id) is Ending.RELEASED
    assert rig.host.running(neighbour)


async def test_sampled_evidence_is_no_proof_where_all_was_asked() -> None:
    """The plan says full; an observer that only sampled proves nothing."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    whole = rig.observer.read_back

    async def sampled(*arguments: object) -> object:
        return replace(await whole(*arguments), sampled=True)  # type: ignore[arg-type]

    rig.observer.read_back = sampled  # type: ignore[assignment,method-assign]
    assert await rig.run(wipe.id) is Ending.QUARANTINED
    assert "/phones/phone-1.qcow2" in rig.host.names


async def test_a_phone_renewed_while_the_daemon_was_dead_runs_again_as_before() -> None:
    """The power went after the stop; the renewal came; what it was before the *first* run (running, autostarting) is given back."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    wipe = await rig.begun(uuid)
    await rig.reboot()
    for step in ("stopped", "stopped"):
        await rig.reboot()
        rig.milestones.when[step] = rig.cut
        with pytest.raises(PowerCut):
            await rig.run(wipe.id)
    assert not rig.host.running(uuid)
    await rig.subscribe(uuid, seconds=86_400, number="s-2")
    assert await rig.survive(wipe.id) is Ending.CANCELLED
    await untouched(rig, uuid, "phone-1", 5)
    facts = rig.host.domain(uuid)
    assert facts is not None
    assert (facts.state, facts.autostart, uuid in rig.host.fences) == (DomainState.RUNNING, True, False)


async def test_an_image_that_vanishes_in_the_middle_is_never_called_clear() -> None:
    """After the last word somebody deletes a half-wiped image by hand: vanished, quarantined, an incident; the rest is still wiped."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    rig.eraser.dies_after = 3
    with pytest.raises(HelperError):
        await rig.run(wipe.id)
    del rig.host.names["/phones/phone-1.qcow2"]
    assert await rig.survive(wipe.id) is Ending.QUARANTINED
    found = await rig.wipe_of(uuid)
    assert found.reasons == ("vanished",)
    assert [c.kind for c in rig.ledger.certificates.issued] == ["incident"]  # type: ignore[attr-defined]
    assert rig.host.remains("SECRET of phone-1 nvram") == 0


async def test_a_full_disk_under_the_ledger_changes_nothing_more() -> None:
    """The ledger cannot be written from any step on: nothing is done that is not recorded; when there is room again the wipe ends well."""
    for step in ("intent", "fenced", "stopped", "reobserved", "erasing", "overwritten", "looked-at", "unlinked", "verdict", "undefined"):
        rig = Rig()
        uuid = rig.host.add_phone(1, running=True)
        wipe = await rig.begun(uuid)
        await rig.reboot()

        async def fill(rig: Rig = rig) -> None:
            rig.ledger.full = True  # type: ignore[attr-defined]

        rig.milestones.when[step] = fill
        with pytest.raises(LedgerError):
            await rig.run(wipe.id)
        rig.ledger.full = False  # type: ignore[attr-defined]
        assert await rig.survive(wipe.id) is Ending.RELEASED, step
        await proven(rig, uuid, "phone-1")


async def test_what_the_stop_made_libvirt_forget_is_never_left_out() -> None:
    """The first plan had a file that the definition does not name any more once the phone is off: refused as drift, whatever restarts, and nothing is
    called clear; named again, the phone is wiped whole."""
    rig = Rig()
    uuid = rig.host.add_phone(1, running=True)
    rig.host.add_phone(2)
    named = rig.host.machines[uuid].facts.nvram
    wipe = await rig.begun(uuid)
    rig.milestones.when["stopped"] = rig.cut
    with pytest.raises(PowerCut):
        await rig.run(wipe.id)
    rig.host.update(uuid, nvram="")
    for _ in range(2):
        await rig.reboot()
        assert await rig.run(wipe.id) is Ending.REFUSED
    assert named in rig.host.names
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    assert "drift" in phone.refusals
    rig.host.update(uuid, nvram=named)
    assert await rig.survive(wipe.id) is Ending.RELEASED
    assert rig.host.remains("SECRET of phone-1 nvram") == 0
