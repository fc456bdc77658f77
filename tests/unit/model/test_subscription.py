"""Subscriptions: an account reference is never printed."""

from __future__ import annotations

from datetime import UTC, datetime

from wiped.model.subscription import AccountReference, SubscriptionRecord

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def test_a_reference_is_masked_wherever_it_is_printed() -> None:
    """By itself, formatted, and within the record that carries it; its value stays there to be made a pseudonym."""
    reference = AccountReference("alice@example.org")
    record = SubscriptionRecord("u", "s", reference, NOON, NOON)
    assert all("alice" not in text for text in (repr(reference), str(reference), f"{reference}", repr(record), str(record)))
    assert record.account.value == "alice@example.org"
