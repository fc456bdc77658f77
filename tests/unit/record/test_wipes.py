"""Wipes and their steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.contract.ledger import begun, bind, phone_state, wipe_step
from tests.fakes.clock import START
from tests.unit.attest.samples import EVIDENCE, MAP, RESULTS
from tests.unit.record.rig import OTHER, PHONE, Rig, domain, no, record, yes
from wiped.errors import InputError, InvariantError, NotFoundError, RefusedError
from wiped.model.plan import Refusal, RefusalCode
from wiped.model.records import Trigger, WipeRecord, WipeStep
from wiped.model.subscription import Action, LifecycleFacts, State
from wiped.ports.ledger import Ledger

TRIGGER = Trigger("expiry", "service-ended", "T-1", "2026-03-01T11:00:00Z", "default", "daemon", "approver")


async def wipe(rig: Rig, wipe_id: str = "w-1") -> WipeRecord:
    """The wipe as the ledger has it."""
    found = await rig.ledger.wipes.get(wipe_id)
    assert found is not None
    return found


BEFORE = [WipeStep.FENCED, WipeStep.STOPPED, WipeStep.LOCKED, WipeStep.REOBSERVED]


async def state(rig: Rig) -> State:
    """The phone's state as the ledger has it."""
    found = await rig.ledger.phones.get(PHONE)
    assert found is not None
    return found.state


async def test_a_second_unfinished_wipe_is_never_made(rig: Rig) -> None:
    """The first is returned, whatever its step; after its end another may begin."""
    await rig.ledger.phones.see([domain()], rig.now)
    await rig.bind()
    first = await rig.ledger.wipes.begin(PHONE, "w-1", TRIGGER, rig.now)
    assert (first.step, first.trigger, first.generation, first.name) == (WipeStep.QUEUED, TRIGGER, 1, "phone-1")
    assert (await rig.ledger.wipes.begin(PHONE, "w-2", Trigger("manual"), rig.now)).id == "w-1"
    await rig.ledger.verdicts.finish("w-1", WipeStep.CANCELLED, rig.now)
    assert (await rig.ledger.wipes.begin(PHONE, "w-3", Trigger("manual"), rig.now)).id == "w-3"
    assert [item.id for item in await rig.ledger.wipes.find()] == ["w-3", "w-1"]
    assert [item.id for item in await rig.ledger.wipes.find(unfinished=True)] == ["w-3"]
    assert await rig.ledger.wipes.find(OTHER) == ()
    with pytest.raises(NotFoundError):
        await rig.ledger.wipes.begin(OTHER, "w-4", TRIGGER, rig.now)


async def test_the_intent_comes_back_whole(rig: Rig) -> None:
    """I8: plan, snapshot, seeds, rename targets, ranges, what the domain was."""
    await rig.begun()
    found = await wipe(rig)
    assert found.plan == rig.plan(PHONE, 1)
    assert (found.snapshot, found.was_running, found.was_autostart, found.step) == ({"form": 1}, True, True, WipeStep.REOBSERVED)
    assert found.artefacts == tuple(replace(item, map_digest=MAP) for item in rig.artefacts("w-1"))
    assert await rig.ledger.artefacts.saved_ranges("w-1", "a1") == (b"one", b"two")
    assert "seed=Secret(***)" in repr(found)


async def test_file_names_that_are_not_utf8_survive(rig: Rig) -> None:
    """Lone surrogates, as `os.fsdecode` makes them."""
    await rig.begun()
    odd = "/srv/phones/\udcff\udc80.img"
    plan = rig.plan(PHONE, 1)
    plan = replace(plan, steps=tuple(replace(step, location=odd) for step in plan.steps))
    artefacts = [replace(item, location=odd) for item in rig.artefacts("w-1")]
    await rig.ledger.wipes.record_intent("w-1", plan, {"form": 1}, artefacts, was_running=False, was_autostart=False, now=rig.now)
    found = await wipe(rig)
    assert found.plan == plan
    assert [item.location for item in found.artefacts] == [odd, odd]


async def test_an_intent_may_be_made_again_until_the_last_word(rig: Rig) -> None:
    """I1: a re-plan replaces it and its ranges; after the last word it is frozen."""
    await rig.begun()
    new = [replace(item, rename_to=".new") for item in rig.artefacts("w-1")]
    again: dict[str, Any] = {"was_running": False, "was_autostart": False, "now": rig.now}
    await rig.ledger.wipes.record_intent("w-1", rig.plan(PHONE, 1), {"form": 2}, new, **again)
    found = await wipe(rig)
    assert (found.step, found.snapshot, {item.rename_to for item in found.artefacts}) == (WipeStep.INTENT, {"form": 2}, {".new"})
    assert await rig.ledger.artefacts.saved_ranges("w-1", "a1") == ()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    with pytest.raises(InvariantError, match="I1"):
        await rig.ledger.wipes.record_intent("w-1", rig.plan(PHONE, 1), {"form": 3}, new, **again)
    assert (await wipe(rig)).snapshot == {"form": 2}


async def test_an_intent_must_fit_its_wipe(rig: Rig) -> None:
    """Another phone's plan, another generation's, one with refusals, artefacts that are not the plan's."""
    await rig.begun()
    again: dict[str, Any] = {"was_running": False, "was_autostart": False, "now": rig.now}
    good, artefacts = rig.plan(PHONE, 1), rig.artefacts("w-1")
    bad = [
        (rig.plan(OTHER, 1), artefacts),
        (rig.plan(PHONE, 2), artefacts),
        (replace(good, refusals=(Refusal(RefusalCode.SHARED_BY_DOMAIN, "/x", ""),)), artefacts),
        (good, artefacts[:1]),
    ]
    for plan, records in bad:
        with pytest.raises(InvariantError):
            await rig.ledger.wipes.record_intent("w-1", plan, {}, records, **again)
    with pytest.raises(InputError):
        await rig.ledger.wipes.record_intent("w-1", good, {"float": 1.5}, artefacts, **again)
    assert (await wipe(rig)).step is WipeStep.REOBSERVED


@pytest.mark.parametrize("step", [WipeStep.ERASING, WipeStep.JUDGED, WipeStep.QUARANTINED, WipeStep.RELEASED, WipeStep.CANCELLED])
async def test_advance_never_writes_what_others_write(rig: Rig, step: WipeStep) -> None:
    """I7: ERASING is the last word's alone, verdicts are `judge`'s, ends are `finish`'s."""
    await rig.begun()
    with pytest.raises(InvariantError):
        await rig.ledger.wipes.advance("w-1", step, rig.now)
    assert (await wipe(rig)).step is WipeStep.REOBSERVED


async def test_no_step_of_the_hands_before_the_last_word(rig: Rig) -> None:
    """I7: not verifying, not removing, no result, no evidence, no removal, no verdict."""
    await rig.begun()
    for step in (WipeStep.VERIFYING, WipeStep.REMOVING):
        with pytest.raises(InvariantError, match="I7"):
            await rig.ledger.wipes.advance("w-1", step, rig.now)
    with pytest.raises(InvariantError, match="I7"):
        await rig.ledger.artefacts.record_erased("w-1", RESULTS["a1"])
    with pytest.raises(InvariantError, match="I7"):
        await rig.ledger.artefacts.record_evidence("w-1", EVIDENCE["a1"], proven=False)
    with pytest.raises(InvariantError, match="I7"):
        await rig.ledger.artefacts.record_removed("w-1", "a1")
    with pytest.raises(InvariantError, match="I4"):
        await rig.judge()


async def test_nothing_goes_back_past_the_last_word(rig: Rig) -> None:
    """A resumed attempt tells its early steps again: audited, and ERASING stays."""
    await rig.begun()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    for step in BEFORE:
        await rig.ledger.wipes.advance("w-1", step, rig.now)
        assert (await wipe(rig)).step is WipeStep.ERASING
    assert (await rig.kinds()).count("step") == 2 * len(BEFORE)
    with pytest.raises(InvariantError, match="I7"):
        await rig.ledger.verdicts.finish("w-1", WipeStep.CANCELLED, rig.now)


async def test_the_last_word_writes_only_what_was_decided(rig: Rig) -> None:
    """No: nothing changes. Yes: ERASING, and the phone with it. It reads everything anew."""
    await rig.begun()
    await rig.bind(record(days=90))
    seen: list[LifecycleFacts] = []

    def look(facts: LifecycleFacts) -> Any:
        seen.append(facts)
        return no(facts)

    assert (await rig.ledger.wipes.last_word("w-1", rig.now, look)).action is Action.NONE
    term = await rig.ledger.subscriptions.get(PHONE)
    assert term is not None
    assert (seen[0].subscription, seen[0].uuid, seen[0].generation) == (term, PHONE, 1)
    assert ((await wipe(rig)).step, await state(rig)) == (WipeStep.REOBSERVED, State.UNBOUND)
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    assert ((await wipe(rig)).step, await state(rig)) == (WipeStep.ERASING, State.ERASING)
    assert [entry.body["erase"] for entry in await rig.ledger.audit.entries() if entry.kind == "last-word"] == [False, True]


async def test_a_decision_that_fails_writes_nothing(rig: Rig) -> None:
    """An exception in `decide` rolls everything back, and the ledger goes on."""
    await rig.begun()
    kinds = await rig.kinds()

    def fail(_: LifecycleFacts) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await rig.ledger.wipes.last_word("w-1", rig.now, fail)
    assert ((await wipe(rig)).step, await rig.kinds()) == (WipeStep.REOBSERVED, kinds)
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)


async def test_no_last_word_without_an_intent(rig: Rig) -> None:
    """I1: nothing is overwritten without one."""
    await rig.ledger.phones.see([domain()], rig.now)
    await rig.bind()
    await rig.ledger.wipes.begin(PHONE, "w-1", TRIGGER, rig.now)
    with pytest.raises(InvariantError, match="I1"):
        await rig.ledger.wipes.last_word("w-1", rig.now, yes)


async def test_no_last_word_for_another_generation(rig: Rig) -> None:
    """A wipe that was cancelled or ended has none; its phone is another customer's now."""
    await rig.released()
    with pytest.raises(InvariantError, match="I7"):
        await rig.ledger.wipes.last_word("w-1", rig.now, yes)


async def test_one_unfinished_wipe_a_phone(ledger: Ledger) -> None:
    """The first is returned."""
    await begun(ledger)
    assert (await ledger.wipes.begin(PHONE, "w-2", Trigger("manual"), START)).id == "w-1"
    assert [wipe.id for wipe in await ledger.wipes.find(PHONE, unfinished=True)] == ["w-1"]


async def test_the_intent_comes_back(ledger: Ledger) -> None:
    """I1, I8."""
    await begun(ledger)
    wipe = await ledger.wipes.get("w-1")
    assert wipe is not None
    assert wipe.plan == Rig.plan(PHONE, wipe.generation)
    assert (wipe.was_running, wipe.was_autostart, len(wipe.snapshot_digest)) == (True, False, 64)
    assert [item.map_digest for item in wipe.artefacts] == [RESULTS["a1"].digest_before] * 2
    assert [item.seed for item in wipe.artefacts] == [item.seed for item in Rig.artefacts("w-1")]


async def test_the_last_word(ledger: Ledger) -> None:
    """I7: no changes nothing, yes commits the wipe and the phone."""
    await begun(ledger)
    assert (await ledger.wipes.last_word("w-1", START, no)).action is Action.NONE
    assert await wipe_step(ledger) is WipeStep.REOBSERVED
    await ledger.wipes.last_word("w-1", START, yes)
    assert (await wipe_step(ledger), await phone_state(ledger)) == (WipeStep.ERASING, State.ERASING)
    with pytest.raises(RefusedError) as caught:
        await bind(ledger, days=90)
    assert caught.value.codes == ("subscription-renewed",)


async def test_what_a_phone_was_before_a_refusal_stays_true(ledger: Ledger) -> None:
    """Noted before a fence without a plan: once running, always to be started again; nothing is noted after the last word."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    await ledger.wipes.begin(PHONE, "w-1", Trigger("expiry"), START)
    for running in (True, False):
        await ledger.wipes.note_standing("w-1", was_running=running, was_autostart=False)
        wipe = await ledger.wipes.get("w-1")
        assert wipe is not None
        assert (wipe.was_running, wipe.was_autostart, wipe.plan, wipe.step) == (True, False, None, WipeStep.QUEUED)


async def test_nothing_is_given_back_after_the_last_word(ledger: Ledger) -> None:
    """So nothing is noted for it."""
    await begun(ledger)
    await ledger.wipes.last_word("w-1", START, yes)
    with pytest.raises(InvariantError):
        await ledger.wipes.note_standing("w-1", was_running=True, was_autostart=False)
