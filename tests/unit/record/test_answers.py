"""Answers for Idempotency-Keys."""

from __future__ import annotations

import pytest

from tests.fakes.clock import START
from tests.unit.record.rig import Rig
from wiped.errors import InputError
from wiped.model.subscription import State
from wiped.ports.ledger import Ledger


async def test_an_answer_is_remembered_for_its_key(rig: Rig) -> None:
    """Replayed as it was; another body under the same key is bad input; old ones are forgotten."""
    assert await rig.ledger.answers.replay("k", "d") is None
    await rig.ledger.answers.remember("k", "d", {"id": "w-1"}, rig.now)
    assert await rig.ledger.answers.replay("k", "d") == {"id": "w-1"}
    with pytest.raises(InputError):
        await rig.ledger.answers.replay("k", "other")
    rig.clock.move(8 * 86_400)
    await rig.ledger.answers.remember("k2", "d", {}, rig.now)
    assert await rig.ledger.answers.replay("k", "d") is None


async def test_answers_and_notes(ledger: Ledger) -> None:
    """Remembered by key; told in order."""
    assert await ledger.answers.replay("k", "d") is None
    await ledger.answers.remember("k", "d", {"id": 1}, START)
    assert await ledger.answers.replay("k", "d") == {"id": 1}
    first = await ledger.audit.note("one", {}, START)
    second = await ledger.audit.note("two", {"n": 2}, START)
    assert second.seq == first.seq + 1
    assert [entry.kind for entry in await ledger.audit.entries(after=first.seq - 1)] == ["one", "two"]
    assert [entry.kind for entry in await ledger.audit.entries(after=first.seq, limit=1)] == ["two"]
    assert set(await ledger.phones.counts()) == {str(state) for state in State}
