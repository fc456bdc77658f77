"""The clock check."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.ledger import bound
from tests.fakes.clock import START
from tests.unit.record.rig import PHONE, decision
from wiped.errors import InputError
from wiped.model.clock import ClockMemory
from wiped.model.subscription import State
from wiped.ports.ledger import Ledger


async def test_the_clock_is_remembered_whole(ledger: Ledger) -> None:
    """None before the first look; a changed suspicion is told, and wakes the due phones."""
    await bound(ledger)
    assert await ledger.clock.memory() is None
    first = ClockMemory("b1", 1_772_366_400.25, START, 1_000.5, synchronised=True, seen_synchronised=True)
    await ledger.clock.keep(first, START)
    assert await ledger.clock.memory() == first
    await ledger.decisions.facts(PHONE, START)
    await ledger.decisions.conclude(PHONE, decision(State.DUE), START)
    suspect = replace(first, suspect="stepped", detail="by 9 s", since=START, healed_by_sync=True, passes_at=START)
    await ledger.clock.keep(suspect, START, {"suspect": "stepped", "was": ""})
    assert await ledger.clock.memory() == suspect
    assert PHONE in await ledger.decisions.due(START)
    await ledger.clock.trust(first, START, reason="looked at it", operator="op")
    assert await ledger.clock.memory() == first
    told = [entry.body for entry in await ledger.audit.entries() if entry.kind == "clock"]
    assert [(body["suspect"], body.get("operator", "")) for body in told] == [("stepped", ""), ("", "op")]
    with pytest.raises(InputError):
        await ledger.clock.trust(first, START, reason="", operator="op")
