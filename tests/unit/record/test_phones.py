"""Phones: what is seen, what waits for a decision, what is concluded, marked and held."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tests.unit.record.rig import ALICE, DAY, OTHER, PHONE, Rig, decision, domain, no, record, rig_in, uuid_of, yes
from wiped.errors import NotFoundError
from wiped.model.records import WipeStep
from wiped.model.subscription import Action, Flag, Hold, Reason, State, WipeRequest


async def test_new_domains_are_unbound_and_wait(rig: Rig) -> None:
    """Each once, audited, without its name."""
    await rig.ledger.phones.see([domain(), domain(OTHER, "Li Wei's phone")], rig.now)
    await rig.ledger.phones.see([domain(), domain(OTHER, "Li Wei's phone")], rig.now)
    assert [(phone.name, phone.state, phone.present) for phone in await rig.ledger.phones.find()] == [
        ("Li Wei's phone", State.UNBOUND, True),
        ("phone-1", State.UNBOUND, True),
    ]
    assert set(await rig.ledger.decisions.due(rig.now)) == {PHONE, OTHER}
    entries = await rig.ledger.audit.entries()
    assert [entry.kind for entry in entries] == ["phone-seen", "phone-seen"]
    assert "Wei" not in str(entries)


async def test_a_host_that_did_not_change_is_not_written(rig: Rig) -> None:
    """The sweep comes every minute: no audit entry, nothing waits."""
    await rig.ledger.phones.see([domain()], rig.now)
    await rig.ledger.decisions.conclude(PHONE, decision(State.UNBOUND), rig.now)
    await rig.ledger.phones.see([domain()], rig.now)
    assert await rig.ledger.decisions.due(rig.now) == ()
    assert await rig.kinds() == ["phone-seen"]


async def test_renamed_vanished_and_back(rig: Rig) -> None:
    """Each is told once and makes the phone wait."""
    await rig.ledger.phones.see([domain()], rig.now)
    await rig.ledger.phones.see([domain(name="other")], rig.now)
    await rig.ledger.phones.see([], rig.now)
    await rig.ledger.phones.see([], rig.now)
    phone = await rig.ledger.phones.get(PHONE)
    assert phone is not None
    assert (phone.name, phone.present) == ("other", False)
    await rig.ledger.phones.see([domain(name="other")], rig.now)
    assert await rig.kinds() == ["phone-seen", "phone-renamed", "vanished", "phone-back"]


async def test_names_are_not_keys(rig: Rig) -> None:
    """Two phones of one name: both are found, the present one first; no glob, no case."""
    await rig.ledger.phones.see([domain(PHONE, "*"), domain(OTHER, "x")], rig.now)
    await rig.ledger.phones.see([domain(OTHER, "*")], rig.now)
    assert [phone.uuid for phone in await rig.ledger.phones.named("*")] == [OTHER, PHONE]
    assert await rig.ledger.phones.named("X") == ()
    assert await rig.ledger.phones.get("no-such") is None
    assert await rig.ledger.decisions.facts("no-such", rig.now) is None


async def test_only_what_is_due_is_due(rig: Rig) -> None:
    """By `next_at`, earliest first; the earliest of all is the next instant."""
    await rig.ledger.phones.see([domain(uuid_of(n), f"p{n}") for n in range(4)], rig.now)
    for number, hours in enumerate((3, 1, None, 2)):
        await rig.ledger.decisions.conclude(uuid_of(number), decision(State.ACTIVE, next_at=None if hours is None else START + timedelta(hours=hours)), rig.now)
    assert await rig.ledger.decisions.next_instant() == START + timedelta(hours=1)
    assert await rig.ledger.decisions.due(START) == ()
    assert await rig.ledger.decisions.due(START + timedelta(hours=2)) == (uuid_of(1), uuid_of(3))
    await rig.ledger.decisions.touch(uuid_of(2))
    assert set(await rig.ledger.decisions.due(START + timedelta(hours=1))) == {uuid_of(1), uuid_of(2)}


async def test_nothing_waits_at_the_beginning(rig: Rig) -> None:
    """An empty ledger has no instant."""
    assert await rig.ledger.decisions.next_instant() is None
    assert await rig.ledger.decisions.due(rig.now) == ()


async def test_what_is_recorded_between_facts_and_conclusion_is_not_lost(rig: Rig) -> None:
    """A hold that comes while a decision is being made makes the phone wait again, however the decision ends."""
    await rig.ledger.phones.see([domain()], rig.now)
    await rig.ledger.decisions.facts(PHONE, rig.now)
    await rig.ledger.holds.add(Hold("h-1", PHONE, "", "litigation"), rig.now, "officer")
    await rig.ledger.decisions.conclude(PHONE, decision(State.DUE), rig.now)
    assert await rig.ledger.decisions.due(rig.now) == (PHONE,)
    facts = await rig.ledger.decisions.facts(PHONE, rig.now)
    assert facts is not None
    assert [hold.id for hold in facts.holds] == ["h-1"]
    await rig.ledger.decisions.conclude(PHONE, decision(State.DUE), rig.now)
    assert await rig.ledger.decisions.due(rig.now) == ()


async def test_a_conclusion_is_audited_when_it_differs(rig: Rig) -> None:
    """State, flags or action; its reasons and instants are kept, and `since` moves with the state alone."""
    await rig.ledger.phones.see([domain()], rig.now)
    made = replace(decision(State.GRACE, next_at=START + DAY), flags=(Flag.MINOR,), reasons=(Reason("expired", "words", START),), notices=(86_400,))
    made = replace(made, next_state=State.DUE, due_at=START + DAY)
    await rig.ledger.decisions.conclude(PHONE, made, rig.now)
    rig.clock.move(60)
    await rig.ledger.decisions.conclude(PHONE, made, rig.now)
    phone = await rig.ledger.phones.get(PHONE)
    assert phone is not None
    assert (phone.state, phone.flags, phone.reasons, phone.next_at) == (State.GRACE, ("minor",), made.reasons, START + DAY)
    assert (phone.next_state, phone.due_at, phone.notices_sent, phone.since) == (State.DUE, START + DAY, (86_400,), START)
    await rig.ledger.decisions.conclude(PHONE, replace(made, action=Action.FENCE), rig.now)
    told = [entry.body for entry in await rig.ledger.audit.entries() if entry.kind == "decision"]
    assert [(body["state"], body["was"], body["action"], body["codes"]) for body in told] == [
        ("grace", "unbound", "none", ["expired"]),
        ("grace", "grace", "fence", ["expired"]),
    ]
    assert "words" not in str(told)


async def test_a_conclusion_from_before_the_last_word_changes_nothing(rig: Rig) -> None:
    """The wipe has set `erasing` since: a decision made from older facts is dropped, and the phone waits for another."""
    await rig.begun()
    await rig.ledger.decisions.facts(PHONE, rig.now)
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    await rig.ledger.decisions.conclude(PHONE, decision(State.ACTIVE), rig.now)
    phone = await rig.ledger.phones.get(PHONE)
    assert phone is not None
    assert phone.state is State.ERASING
    assert PHONE in await rig.ledger.decisions.due(rig.now)


async def test_marks_are_audited_when_they_change(rig: Rig) -> None:
    """Fence, suspension, protection, refusals; the daemon's cause is a code, a person's words are sealed."""
    await rig.ledger.phones.see([domain()], rig.now)
    await rig.ledger.phones.mark(PHONE, fenced=True, reason="wipe")
    await rig.ledger.phones.mark(PHONE, fenced=True, reason="wipe")
    await rig.ledger.phones.mark(PHONE, protected=True, suspended=True, refusals=["in-use", "in-use"], reason="the CEO's own phone", operator="op")
    phone = await rig.ledger.phones.get(PHONE)
    assert phone is not None
    assert (phone.fenced, phone.protected, phone.suspended, phone.refusals) == (True, True, True, ("in-use",))
    told = [entry.body for entry in await rig.ledger.audit.entries() if entry.kind == "marked"]
    assert [(body["cause"], body["operator"]) for body in told] == [("wipe", "daemon"), ("", "op")]
    assert "CEO" not in str(told)
    await rig.ledger.phones.mark(PHONE, fenced=False, refusals=())
    assert (await rig.ledger.phones.find())[0].refusals == ()
    with pytest.raises(NotFoundError):
        await rig.ledger.phones.mark("no-such", fenced=True)


async def test_a_request_is_in_the_facts_and_its_words_are_sealed(rig: Rig) -> None:
    """It goes by its own id; the requester's reference and reason only by unsealing; neither is in the audit log nor in the clear."""
    await rig.bind()
    request = WipeRequest("r-1", "manual", "service-ended", rig.now)
    await rig.ledger.requests.add(PHONE, request, reference="TICKET-4711", reason="Li Wei called", operator="op")
    facts = await rig.ledger.decisions.facts(PHONE, rig.now)
    assert facts is not None
    assert facts.requests == (replace(request, reference="r-1", operator="op"),)
    assert await rig.ledger.words.about("r-1") == {"reference": "TICKET-4711", "reason": "Li Wei called"}
    assert await rig.ledger.words.reason("r-1") == "Li Wei called"
    assert await rig.ledger.words.reason("r-2") == ""
    told = str([entry.body for entry in await rig.ledger.audit.entries()])
    assert "4711" not in told
    assert "Wei" not in told
    await rig.salts.destroy((await rig.ledger.subscriptions.current())[0].account)
    with pytest.raises(NotFoundError, match="anonymised"):
        await rig.ledger.words.reason("r-1")


async def test_a_phone_that_is_nobodys_has_words_too(rig: Rig) -> None:
    """Protecting an unbound phone takes a reason."""
    await rig.ledger.phones.see([domain()], rig.now)
    await rig.ledger.requests.add(PHONE, WipeRequest("r-1", "manual", "", rig.now), reference="", reason="why", operator="op")
    assert await rig.ledger.words.reason("r-1") == "why"


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


async def test_counts_name_every_state(rig: Rig) -> None:
    """Zero is said."""
    await rig.ledger.phones.see([domain()], rig.now)
    counts = await rig.ledger.phones.counts()
    assert (set(counts), counts["unbound"], sum(counts.values())) == ({str(state) for state in State}, 1, 1)
    assert [phone.uuid for phone in await rig.ledger.phones.find((State.UNBOUND,))] == [PHONE]
    assert await rig.ledger.phones.find((State.DUE, State.GRACE)) == ()


async def test_everything_is_there_after_a_restart(rig: Rig) -> None:
    """I8: a second ledger over the same files says the same."""
    await rig.begun()
    await rig.ledger.phones.mark(PHONE, fenced=True, reason="wipe")
    before = (await rig.ledger.phones.find(), await rig.ledger.wipes.find(), await rig.ledger.subscriptions.current(), await rig.ledger.audit.entries())
    await rig.ledger.close()
    rig.salts.close()
    async with rig_in(rig.folder) as again:
        assert before == (
            await again.ledger.phones.find(),
            await again.ledger.wipes.find(),
            await again.ledger.subscriptions.current(),
            await again.ledger.audit.entries(),
        )
        assert await again.salts.find(ALICE, (1,)) == (before[2][0].account,)
        await again.bind(record(days=60))


async def test_many_at_once_are_one_after_the_other(rig: Rig) -> None:
    """Fifty writers and fifty readers: nothing is lost, the chain holds."""
    await rig.ledger.phones.see([domain()], rig.now)

    async def write(number: int) -> None:
        await rig.ledger.audit.note("test", {"n": number}, rig.now)

    await asyncio.gather(*(write(n) for n in range(50)), *(rig.ledger.decisions.facts(PHONE, rig.now) for _ in range(50)))
    assert sorted(entry.body["n"] for entry in await rig.ledger.audit.entries() if entry.kind == "test") == list(range(50))
    assert (await rig.ledger.audit.verify()).seq == 51


async def test_a_cancelled_write_is_whole_or_nothing(rig: Rig) -> None:
    """Cancelled at any moment: the entry is there in full or not at all, and the ledger goes on."""
    for wait in range(12):
        task = asyncio.create_task(rig.ledger.phones.see([domain(uuid_of(wait), f"p{wait}")], rig.now))
        for _ in range(wait):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    entries = await rig.ledger.audit.entries()
    seen = [entry.body["uuid"] for entry in entries if entry.kind == "phone-seen"]
    assert sorted(seen) == sorted(phone.uuid for phone in await rig.ledger.phones.find())
    await rig.ledger.audit.note("test", {}, rig.now)
    assert (await rig.ledger.audit.verify()).seq == len(entries) + 1
