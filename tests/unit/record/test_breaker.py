"""The circuit breaker."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract.ledger import bound, held_back
from tests.fakes.clock import START
from tests.unit.record.rig import OTHER, PHONE, decision
from wiped.errors import InputError, InvariantError, RefusedError
from wiped.model.policy import Safety
from wiped.model.subscription import State
from wiped.ports.ledger import Ledger

SAFETY = Safety(breaker_max=1, breaker_ratio_percent=0, breaker_window=3_600)


HOUR = timedelta(hours=1)


async def test_one_phone_too_many_opens_it_once(ledger: Ledger) -> None:
    """Counting twice changes nothing; everybody is held back, also who was not counted."""
    one, two = await bound(ledger)
    assert not (await ledger.breaker.count_due([one], START, SAFETY)).opened
    assert (await ledger.breaker.count_due([one, one], START, SAFETY)).counted == ()
    assert not await held_back(ledger, OTHER)
    done = await ledger.breaker.count_due([one, two], START, SAFETY)
    assert (done.counted, done.opened) == ((two,), True)
    breaker = await ledger.breaker.get()
    assert (breaker.open, breaker.newly_due, breaker.limit, breaker.bound, breaker.window) == (True, 2, 1, 2, 3_600)
    assert {(phone.uuid, phone.generation) for phone in breaker.waiting} == {one, two}
    assert await held_back(ledger, PHONE)
    assert await held_back(ledger, OTHER)
    opened = [entry for entry in await ledger.audit.entries() if entry.kind == "breaker-opened"]
    assert [sorted(entry.body["phones"]) for entry in opened] == [sorted([PHONE, OTHER])]


async def test_the_window_forgets(ledger: Ledger) -> None:
    """An hour later another one is no mistake."""
    one, two = await bound(ledger)
    await ledger.breaker.count_due([one], START, SAFETY)
    assert not (await ledger.breaker.count_due([two], START + HOUR, SAFETY)).opened


async def test_a_release_names_its_set_and_lets_it_go(ledger: Ledger) -> None:
    """Not with another set's name, not twice; what was let go stays so when it opens again."""
    one, two = await bound(ledger)
    with pytest.raises(InputError):
        await ledger.breaker.release(START, fingerprint="", reason="why", operator="op", approver="other")
    await ledger.breaker.count_due([one, two], START, Safety(breaker_max=1, breaker_ratio_percent=0))
    with pytest.raises(RefusedError) as caught:
        await ledger.breaker.release(START, fingerprint="0" * 64, reason="why", operator="op", approver="other")
    assert caught.value.codes == ("drift",)
    with pytest.raises(InputError):
        await ledger.breaker.release(START, fingerprint="", reason="", operator="op", approver="other")
    name = (await ledger.breaker.get()).fingerprint
    for alone in ("", "op"):
        with pytest.raises(InvariantError):
            await ledger.breaker.release(START, fingerprint=name, reason="why", operator="op", approver=alone)
    before = await ledger.breaker.release(START, fingerprint=name, reason="they are right", operator="op", approver="other")
    assert (len(before.waiting), (await ledger.breaker.get()).open, (await ledger.breaker.get()).released_by) == (2, False, "op")
    await ledger.decisions.conclude(OTHER, decision(State.ACTIVE), START)
    done = await ledger.breaker.count_due([two], START, Safety(breaker_max=0, breaker_ratio_percent=0))
    assert (done.opened, done.breaker.newly_due) == (True, 1)
    assert not await held_back(ledger, PHONE)
    assert await held_back(ledger, OTHER)
    assert [phone.uuid for phone in done.breaker.waiting] == [OTHER]


async def test_a_phone_that_is_not_due_any_more_counts_anew(ledger: Ledger) -> None:
    """And does not wait meanwhile; one that only waits for something else is still the same."""
    one, _ = await bound(ledger)
    assert (await ledger.breaker.count_due([one], START, SAFETY)).counted == (one,)
    await ledger.decisions.conclude(PHONE, decision(State.DUE), START)
    assert (await ledger.breaker.count_due([one], START, SAFETY)).counted == ()
    await ledger.decisions.conclude(PHONE, decision(State.GRACE), START)
    done = await ledger.breaker.count_due([one], START + timedelta(minutes=1), SAFETY)
    assert (done.counted, done.opened) == ((one,), True)


async def test_those_that_come_while_it_is_open_join(ledger: Ledger) -> None:
    """And wake up with the release."""
    one, two = await bound(ledger)
    assert (await ledger.breaker.count_due([one], START, Safety(breaker_max=0, breaker_ratio_percent=0))).opened
    done = await ledger.breaker.count_due([two], START, SAFETY)
    assert (done.opened, len(done.breaker.waiting)) == (False, 2)
    for uuid in (PHONE, OTHER):
        await ledger.decisions.facts(uuid, START)
        await ledger.decisions.conclude(uuid, decision(State.DUE), START)
    assert await ledger.decisions.due(START) == ()
    name = (await ledger.breaker.get()).fingerprint
    await ledger.breaker.release(START, fingerprint=name, reason="right", operator="op", approver="other")
    assert sorted(await ledger.decisions.due(START)) == sorted([PHONE, OTHER])
