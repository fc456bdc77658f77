"""All tables of the ledger (SQLAlchemy Core), under one name: `from wiped.record.sql import schema as tables`. `migrations/` makes them; a test keeps
the two equal."""

from __future__ import annotations

from wiped.record.sql.columns import metadata
from wiped.record.sql.host_tables import answers, audit, classifications, host_conditions, host_notes, row_digests
from wiped.record.sql.phone_tables import breakers, due_phones, memories, phones, remembered, requests, sealed_notes, subscriptions
from wiped.record.sql.rule_tables import approvals, drains, hold_accounts, holds, notices
from wiped.record.sql.wipe_tables import artefacts, certificates, ranges, trims, wipes

__all__ = [
    "answers",
    "approvals",
    "artefacts",
    "audit",
    "breakers",
    "certificates",
    "classifications",
    "drains",
    "due_phones",
    "hold_accounts",
    "holds",
    "host_conditions",
    "host_notes",
    "memories",
    "metadata",
    "notices",
    "phones",
    "ranges",
    "remembered",
    "requests",
    "row_digests",
    "sealed_notes",
    "subscriptions",
    "trims",
    "wipes",
]
