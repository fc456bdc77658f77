"""Decisions about phones: what they read, and what they conclude."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.contract.ledger import bind
from tests.fakes.clock import START
from tests.unit.record.rig import DAY, OTHER, PHONE, Rig, decision, domain, uuid_of, yes
from wiped.model.subscription import Action, Flag, Hold, Reason, State, WipeRequest
from wiped.ports.ledger import Ledger


async def test_looking_for_what_is_due_walks_no_table(rig: Rig) -> None:
    """SQLite's own plan: both halves by an index, so the phones whose time has not come cost nothing. Figures: tests/bench/ledger.py."""
    halves = ("SELECT uuid, next_at FROM phones WHERE next_at <= ?", "SELECT uuid, next_at FROM phones WHERE touches <> decided")
    for half, index in zip(halves, ("phones_next_at", "phones_waiting"), strict=True):
        given = ("x",) if "?" in half else ()
        plan = await rig.ledger._db.read(lambda c, q=half, g=given: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {q}", g).all())
        assert all(index in row.detail for row in plan), plan
    (row,) = await rig.ledger._db.read(lambda c: c.exec_driver_sql("EXPLAIN QUERY PLAN SELECT min(next_at) FROM phones").all())
    assert "phones_next_at" in row.detail
    (row,) = await rig.ledger._db.read(
        lambda c: c.exec_driver_sql("EXPLAIN QUERY PLAN SELECT * FROM wipes WHERE step NOT IN ('released', 'cancelled', 'disposed')").all(),
    )
    assert "wipes_unfinished" in row.detail


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


async def test_a_conclusion_is_kept_and_ends_the_waiting(ledger: Ledger) -> None:
    """Until its `next_at`, or a touch."""
    await ledger.phones.see([domain()], START)
    await ledger.decisions.facts(PHONE, START)
    await ledger.decisions.conclude(PHONE, decision(State.GRACE, next_at=START + DAY), START)
    assert (await ledger.decisions.due(START), await ledger.decisions.next_instant()) == ((), START + DAY)
    assert await ledger.decisions.due(START + DAY) == (PHONE,)
    await ledger.decisions.touch(PHONE)
    assert await ledger.decisions.due(START) == (PHONE,)


async def test_marks_holds_and_requests_are_facts(ledger: Ledger) -> None:
    """Everything that the decision reads."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    await ledger.phones.mark(PHONE, fenced=True, refusals=["in-use"])
    await ledger.holds.add(Hold("h-1", PHONE, "", "litigation"), START, "officer")
    await ledger.requests.add(PHONE, WipeRequest("r-1", "manual", "", START), reference="", reason="", operator="op")
    facts = await ledger.decisions.facts(PHONE, START)
    assert facts is not None
    assert (facts.fenced, facts.refusals, len(facts.holds), len(facts.requests), facts.present) == (True, ("in-use",), 1, 1, True)
    assert facts.subscription == await ledger.subscriptions.get(PHONE)
    await ledger.holds.release("h-1", START, "officer")
    assert await ledger.holds.in_force() == ()
    assert await ledger.decisions.facts(OTHER, START) is None
