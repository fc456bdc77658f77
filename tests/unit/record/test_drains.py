"""Announced ends of the host or of a product: one at a time, approved, cancelled until their date."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract.ledger import bind
from tests.fakes.clock import START
from tests.unit.record.rig import DAY, PHONE, domain
from wiped.errors import InputError, NotFoundError
from wiped.model.approvals import Drain
from wiped.ports.ledger import Ledger

END = START + 60 * DAY


async def announced(ledger: Ledger, drain_id: str = "d-1", product: str = "") -> Drain:
    """A drain."""
    return await ledger.drains.announce(Drain(drain_id, END, product, START, "ann"), reason="the hall closes")


async def test_one_drain_of_each_product_is_in_force(ledger: Ledger) -> None:
    """A second one is refused until the first was cancelled; the words are sealed."""
    host, basic = await announced(ledger), await announced(ledger, "d-2", "basic")
    with pytest.raises(InputError):
        await announced(ledger, "d-3")
    assert {drain.id for drain in await ledger.drains.in_force()} == {host.id, basic.id}
    assert await ledger.words.about("d-1") == {"reason": "the hall closes"}
    assert "the hall closes" not in repr(await ledger.audit.entries())
    cancelled = await ledger.drains.change("d-1", START, cancelled=True, operator="ann")
    assert cancelled.cancelled_at == START
    assert await ledger.drains.change("d-1", START + DAY, cancelled=True, operator="ann") == cancelled
    assert (await announced(ledger, "d-3")).id == "d-3"


async def test_a_drain_is_a_fact_of_every_phone_that_it_reaches(ledger: Ledger) -> None:
    """Of the whole host: as a request with the drain's date, unapproved until a second person agreed, and gone with its cancellation."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    await announced(ledger, "d-1", "gold")  # another product's
    await announced(ledger, "d-2")
    facts = await ledger.decisions.facts(PHONE, START)
    assert facts is not None
    assert [(item.id, item.kind, item.effective_at, item.approved) for item in facts.requests] == [("d-2", "drain", END, False)]
    assert facts.draining
    for _ in range(2):
        assert (await ledger.drains.change("d-2", START, approver="ben")).approver == "ben"
    assert PHONE in await ledger.decisions.due(START)
    facts = await ledger.decisions.facts(PHONE, START)
    assert facts is not None
    assert [(item.approved, item.approver) for item in facts.requests] == [(True, "ben")]
    await ledger.drains.change("d-2", START, cancelled=True, operator="ann")
    facts = await ledger.decisions.facts(PHONE, START)
    assert facts is not None
    assert (facts.requests, facts.draining) == ((), False)
    kinds = [entry.kind for entry in await ledger.audit.entries() if entry.kind.startswith("drain-")]
    assert kinds == ["drain-announced", "drain-announced", "drain-approved", "drain-cancelled"]


async def test_a_drain_that_has_begun_is_not_cancelled(ledger: Ledger) -> None:
    """It can be cancelled until its date only; an unknown one is not found."""
    drain = await announced(ledger)
    with pytest.raises(InputError):
        await ledger.drains.change("d-1", END, cancelled=True, operator="ann")
    assert (await ledger.drains.change("d-1", END - timedelta(seconds=1), cancelled=True, operator="ann")).id == drain.id
    with pytest.raises(NotFoundError):
        await ledger.drains.change("d-9", START)
