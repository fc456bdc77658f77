"""Legal holds."""

from __future__ import annotations

import pytest

from tests.contract.ledger import bind
from tests.fakes.clock import START
from tests.unit.record.rig import ALICE, BOB, DAY, OTHER, PHONE, Rig, domain, no, yes
from wiped.errors import NotFoundError
from wiped.model.records import WipeStep
from wiped.model.subscription import Action, Hold, WipeRequest
from wiped.ports.ledger import Ledger


async def test_holds_reach_a_phone_by_uuid_and_by_account(rig: Rig) -> None:
    """Until they end or are released; others are not reached."""
    await rig.ledger.phones.see([domain(), domain(OTHER, "p2")], rig.now)
    await rig.bind()
    account = (await rig.ledger.subscriptions.current())[0].account
    for hold in (Hold("h-1", PHONE, "", "litigation"), Hold("h-2", "", account, "legal-duty", START + DAY), Hold("h-3", OTHER, "", "litigation")):
        await rig.ledger.holds.add(hold, rig.now, "officer")

    async def of(uuid: str) -> list[str]:
        facts = await rig.ledger.decisions.facts(uuid, rig.now)
        assert facts is not None
        return [hold.id for hold in facts.holds]

    assert (await of(PHONE), await of(OTHER)) == (["h-1", "h-2"], ["h-3"])
    assert [hold.id for hold in await rig.ledger.holds.in_force()] == ["h-1", "h-2", "h-3"]
    rig.clock.move(2 * 86_400)
    assert await of(PHONE) == ["h-1"]
    await rig.ledger.holds.release("h-1", rig.now, "officer")
    assert (await of(PHONE), [hold.id for hold in await rig.ledger.holds.in_force()]) == ([], ["h-3"])
    with pytest.raises(NotFoundError):
        await rig.ledger.holds.release("h-1", rig.now, "officer")
    assert (await rig.kinds())[-1] == "hold-released"


async def test_a_hold_recorded_before_the_last_word_is_in_its_facts(rig: Rig) -> None:
    """I7: `decide` sees it, in the transaction that would have written `erasing`."""
    await rig.begun()
    account = (await rig.ledger.subscriptions.current())[0].account
    await rig.ledger.holds.add(Hold("h-1", "", account, "litigation"), rig.now, "officer")
    decided = await rig.ledger.wipes.last_word("w-1", rig.now, lambda facts: no(facts) if facts.holds else yes(facts))
    assert decided.action is Action.NONE
    wipe = await rig.ledger.wipes.get("w-1")
    assert wipe is not None
    assert wipe.step is WipeStep.REOBSERVED


async def test_a_hold_on_an_account_reaches_its_phones_now_and_later(ledger: Ledger) -> None:
    """R9: the phones that it has, and each that it gets while the hold is in force; the words are sealed, and others are not reached."""
    await ledger.phones.see([domain(), domain(OTHER, "phone-2")], START)
    await bind(ledger)
    hold = await ledger.holds.add_for_account(Hold("h-1", "", "", "litigation", None, "District Court", "AZ-7"), ALICE, START, "officer", reason="served")
    assert (hold.uuid, hold.account != "") == ("", True)
    assert await ledger.words.about("h-1") == {"authority": "District Court", "reference": "AZ-7", "reason": "served"}
    assert "District Court" not in repr(await ledger.audit.entries())
    for uuid, number in ((OTHER, 1), (PHONE, 1)):
        facts = await ledger.decisions.facts(uuid, START)
        assert facts is not None
        assert len(facts.holds) == (number if uuid == PHONE else 0)
    await bind(ledger, uuid=OTHER, number="s-2")
    facts = await ledger.decisions.facts(OTHER, START)
    assert facts is not None
    assert [item.id for item in facts.holds] == ["h-1"]
    assert [item.id for item in await ledger.holds.on(ALICE, [])] == ["h-1"]
    assert await ledger.holds.on(BOB, []) == ()
    await ledger.holds.release("h-1", START, "officer")
    assert {PHONE, OTHER} <= set(await ledger.decisions.due(START))
    assert await ledger.holds.on(ALICE, [PHONE]) == ()


async def test_what_was_approved_before_a_release_may_be_used_as_long_again(ledger: Ledger) -> None:
    """The hold kept the approval from being used."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    await ledger.requests.add(PHONE, WipeRequest("r-1", "manual", "", START), reference="", reason="", operator="op")
    await ledger.holds.add(Hold("h-1", PHONE, "", "litigation"), START, "officer")
    await ledger.requests.approve("r-1", START, approver="ben", until=START + DAY, fingerprint="f" * 64)
    await ledger.holds.release("h-1", START + 10 * DAY, "officer")
    ((_, request),) = await ledger.requests.find()
    assert request.approved_until == START + 11 * DAY
