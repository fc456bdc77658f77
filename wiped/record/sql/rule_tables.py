"""The tables about what people order and approve, and what is reported to the provider."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, text

from wiped.record.sql.columns import Instant, Json, metadata

holds = Table(
    "holds",
    metadata,
    Column("id", Text, primary_key=True),
    Column("uuid", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("ground", Text, nullable=False),
    Column("until", Instant),
    Column("added_at", Instant, nullable=False),
    Column("operator", Text, nullable=False),
    Column("released_at", Instant),
    Column("disclose", Boolean, nullable=False, server_default=text("1")),
    Index("holds_in_force", "uuid", "account", sqlite_where=text("released_at IS NULL")),
)

#: The pseudonyms of a held account: those that it had when the hold was added, and each one that it got since (R9: present and future phones alike).
hold_accounts = Table(
    "hold_accounts",
    metadata,
    Column("hold_id", ForeignKey("holds.id"), primary_key=True),
    Column("account", Text, primary_key=True),
    Index("hold_accounts_account", "account"),
)

#: What takes two people (R14). `agreed` is a JSON list of names; `terms` what carrying it out needs; no words of a customer.
approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("uuids", Json, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_uid", Integer, nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("state", String(16), nullable=False),
    Column("agreed", Json, nullable=False),
    Column("needed", Integer, nullable=False),
    Column("decided_at", Instant),
    Column("terms", Json),
    # A second pending approval for one thing cannot exist.
    Index("approvals_pending", "kind", "subject", unique=True, sqlite_where=text("state = 'pending'")),
    Index("approvals_asked", "asked_at"),
)

#: Announced ends of this host or of a product on it; in force while `cancelled_at` is not set.
drains = Table(
    "drains",
    metadata,
    Column("id", Text, primary_key=True),
    Column("product", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("announced_at", Instant, nullable=False),
    Column("operator", Text, nullable=False),
    Column("approved", Boolean, nullable=False),
    Column("approver", Text, nullable=False),
    Column("cancelled_at", Instant),
    Index("drains_in_force", "product", unique=True, sqlite_where=text("cancelled_at IS NULL")),
)

#: The outbox: written in the transaction of what it tells, delivered at least once, in the order of `seq` per subject.
notices = Table(
    "notices",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("account", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("data", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant),
    Column("delivered_at", Instant),
    Column("last_fault", Text, nullable=False),
    Index("notices_pending", "subject", "seq", sqlite_where=text("state = 'pending'")),
    Index("notices_dead", "seq", sqlite_where=text("state = 'dead'")),
    Index("notices_account", "account"),
    Index("notices_at", "at"),
)
