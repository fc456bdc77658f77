"""Sealed words."""

from __future__ import annotations

from tests.unit.record.rig import PHONE, Rig, domain
from wiped.model.subscription import WipeRequest


async def test_a_phone_that_is_nobodys_has_words_too(rig: Rig) -> None:
    """Protecting an unbound phone takes a reason."""
    await rig.ledger.phones.see([domain()], rig.now)
    await rig.ledger.requests.add(PHONE, WipeRequest("r-1", "manual", "", rig.now), reference="", reason="why", operator="op")
    assert await rig.ledger.words.reason("r-1") == "why"
