"""Phones as libvirt and people tell of them."""

from __future__ import annotations

import pytest

from tests.contract.ledger import bound, phone_state
from tests.fakes.clock import START
from tests.unit.record.rig import OTHER, PHONE, Rig, decision, domain
from wiped.errors import NotFoundError
from wiped.model.subscription import State
from wiped.ports.ledger import Ledger


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


async def test_counts_name_every_state(rig: Rig) -> None:
    """Zero is said."""
    await rig.ledger.phones.see([domain()], rig.now)
    counts = await rig.ledger.phones.counts()
    assert (set(counts), counts["unbound"], sum(counts.values())) == ({str(state) for state in State}, 1, 1)
    assert [phone.uuid for phone in await rig.ledger.phones.find((State.UNBOUND,))] == [PHONE]
    assert await rig.ledger.phones.find((State.DUE, State.GRACE)) == ()


async def test_a_new_domain_is_unbound_and_waits(ledger: Ledger) -> None:
    """And is not present when libvirt does not tell it any more."""
    await ledger.phones.see([domain()], START)
    assert (await phone_state(ledger), await ledger.decisions.due(START)) == (State.UNBOUND, (PHONE,))
    await ledger.phones.see([], START)
    phone = await ledger.phones.get(PHONE)
    assert phone is not None
    assert not phone.present


async def test_what_marks_a_phone_has_it_decided_again(ledger: Ledger) -> None:
    """A protection that is taken back, with nothing else to come: the phone would wait for ever."""
    await bound(ledger)
    for protected in (True, False):
        await ledger.phones.mark(PHONE, protected=protected, reason="", operator="op")
        assert PHONE in await ledger.decisions.due(START)
        await ledger.decisions.facts(PHONE, START)
        await ledger.decisions.conclude(PHONE, decision(State.DUE), START)
        assert PHONE not in await ledger.decisions.due(START)
        await ledger.phones.mark(PHONE, protected=protected, reason="", operator="op")
        assert PHONE not in await ledger.decisions.due(START)
