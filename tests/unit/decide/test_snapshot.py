"""The audit snapshot: an allow-list with one byte form."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.decide.nouns import NOON, found, inventory, subscription
from wiped.decide.plan import make_plan
from wiped.decide.snapshot import audit_snapshot
from wiped.model.canonical import canonical_bytes, parse_canonical
from wiped.model.policy import Policy, StorageRules


def taken(**changes):
    """A snapshot of a phone whose domain carries a customer's name."""
    seen = inventory(found("/srv/phones/Alice-Liddell/userdata", 1))
    seen = replace(seen, domain=replace(seen.domain, name="Alice-Liddell", **changes))
    plan = make_plan(seen, 3, StorageRules())
    return audit_snapshot(seen, plan, subscription(), Policy(), host="h1", residency="eu", version="0", now=NOON)


def test_no_name_and_no_path_is_in_the_snapshot():
    """Names and paths may carry a customer's name: neither is in the snapshot (R12)."""
    assert b"Alice" not in canonical_bytes(taken())


def test_the_snapshot_has_one_byte_form():
    """It parses back from its canonical form, and another fact gives another form."""
    data = canonical_bytes(taken())
    assert parse_canonical(data) == taken()
    assert canonical_bytes(taken(autostart=True)) != data


def test_the_allow_list_is_exactly_this():
    """A new key must be added here on purpose."""
    snapshot = taken()
    assert sorted(snapshot) == [
        "artefacts", "domain", "form", "host", "phone", "plan_fingerprint", "residuals", "retained", "subscription", "taken_at",
    ]  # fmt: skip
    assert sorted(snapshot["domain"]) == ["autostart", "disks", "managed_save", "persistent", "snapshots", "state"]
    assert sorted(snapshot["subscription"]) == [
        "account_pseudonym", "expires_at", "first_recorded_at", "grace_seconds", "minor", "policy", "starts_at",
    ]  # fmt: skip
