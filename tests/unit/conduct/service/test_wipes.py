"""Wipes that an operator asks for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.conduct.rig import SAFETY, Rig
from tests.unit.conduct.terms import ALICE, term
from wiped.conduct.results import Ending
from wiped.errors import RefusedError
from wiped.model.records import WipeStep


async def asked(rig: Rig, uuid: str, confirm: str = "phone-1") -> object:
    """A manual wipe."""
    return await rig.service.wipes.ask(uuid, reason="left", ticket="T-1", confirm=confirm, person=ALICE)


async def refusal(rig: Rig, uuid: str, confirm: str = "phone-1") -> tuple[str, ...]:
    """The codes of a manual wipe that is refused; nothing was recorded for it, unless a second person may still agree to it: then one request waits."""
    with pytest.raises(RefusedError) as caught:
        await asked(rig, uuid, confirm)
    facts = await rig.ledger.decisions.facts(uuid, rig.clock.now())
    assert facts is not None
    waiting = [item.id for item in await rig.service.approvals.find()]
    assert waiting == ([caught.value.approval] if caught.value.approval else [])
    assert [request.approved for request in facts.requests] == [False] * len(waiting)
    assert await rig.ledger.wipes.find(uuid) == ()
    return caught.value.codes


async def test_a_manual_wipe_in_grace_begins_after_settling() -> None:
    """Accepted in grace, begun once it has settled, long before grace ends; the request's id and the operator are the trigger's."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.service.subscriptions.set(term(rig, uuid), ALICE)
    rig.clock.move(700)
    await rig.reconciler.sweep()
    answer = await rig.service.wipes.ask(uuid, reason="left", ticket="T-1", confirm="phone-1", person=ALICE)
    assert answer.wipe is None
    assert answer.decision.next_at == rig.clock.now() + timedelta(seconds=SAFETY.settle)
    rig.clock.move(SAFETY.settle + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]
    trigger = (await rig.wipe_of(uuid)).trigger
    assert (trigger.kind, trigger.reference, trigger.operator) == ("manual", answer.request_id, "alice")


async def test_a_manual_wipe_of_a_due_phone_is_answered_with_its_wipe() -> None:
    """Due already: the wipe that waits is the answer; asking again changes nothing."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    answer = await rig.service.wipes.ask(uuid, reason="left", ticket="", confirm="phone-1", person=ALICE)
    assert answer.wipe is not None
    assert await rig.drain() == [Ending.RELEASED]
    again = await rig.service.wipes.ask(uuid, reason="left", ticket="", confirm="phone-1", person=ALICE)
    assert again.wipe is not None
    assert (again.wipe.id, again.wipe.step) == (answer.wipe.id, WipeStep.RELEASED)


@pytest.mark.parametrize(("typed", "codes"), [("phone-2", ("wrong-confirmation",)), ("", ("wrong-confirmation",)), ("phone-1 ", ("wrong-confirmation",))])
async def test_another_name_typed_is_refused(typed: str, codes: tuple[str, ...]) -> None:
    """Nobody wipes by arrow-up."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    with pytest.raises(RefusedError) as caught:
        await asked(rig, uuid, typed)
    assert caught.value.codes == codes
    assert rig.announcer.codes["wrong-confirmation"] == 1
    assert (await rig.ledger.decisions.facts(uuid, rig.clock.now())).requests == ()  # type: ignore[union-attr]


async def test_an_active_phone_is_refused() -> None:
    """The term runs: subscription-active, and a second person would be needed."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.service.subscriptions.set(term(rig, uuid, seconds=86_400), ALICE)
    assert (await refusal(rig, uuid))[0] == "subscription-active"
    rig.clock.move(86_000)
    await rig.reconciler.sweep()
    assert (await refusal(rig, uuid))[0] == "subscription-active"


async def test_an_unbound_or_vanished_phone_is_refused() -> None:
    """No term, or no domain: nothing may be concluded."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    assert await refusal(rig, uuid) == ("unbound",)
    await rig.service.subscriptions.set(term(rig, uuid), ALICE)
    del rig.host.machines[uuid]
    rig.clock.move(700)
    await rig.reconciler.sweep()
    assert await refusal(rig, uuid) == ("missing",)
