"""JSON values of the whole host."""

from __future__ import annotations

from wiped.ports.ledger import Ledger


async def test_a_value_is_kept_under_its_key(ledger: Ledger) -> None:
    """None before the first one; the newest counts; other keys stay."""
    assert await ledger.conditions.get("feed") is None
    await ledger.conditions.keep("feed", {"revision": 7, "uuids": ["a"]})
    await ledger.conditions.keep("other", [1])
    await ledger.conditions.keep("feed", {"revision": 8})
    assert (await ledger.conditions.get("feed"), await ledger.conditions.get("other")) == ({"revision": 8}, [1])
