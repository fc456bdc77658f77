"""The tables about the host as a whole."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table, Text

from wiped.record.sql.columns import Instant, Json, metadata

#: Append-only: triggers of the database refuse UPDATE and DELETE. `at` and `body` are kept as the very texts that were hashed.
audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("at", String(27), nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("answer", Json, nullable=False),
    Column("at", Instant, nullable=False),
    Index("answers_at", "at"),
)

#: Images as a person settled them (`wipectl images classify`); `key` is the SHA-256 of the path.
classifications = Table(
    "classifications",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("path", Json, nullable=False),
    Column("device", Integer, nullable=False),
    Column("inode", Integer, nullable=False),
    Column("meaning", String(16), nullable=False),
    Column("at", Instant, nullable=False),
    Column("operator", Text, nullable=False),
    Column("pseudonym", Text, nullable=False),
    Column("sealed", LargeBinary),
)

#: The number over the rows of each table, written by triggers alone: `row_digest.py`.
row_digests = Table(
    "row_digest",
    metadata,
    Column("name", Text, primary_key=True),
    Column("total", Text, nullable=False),
)

#: What is so for the whole host and must outlive the daemon: `clock` holds a `model.clock.ClockMemory`.
host_conditions = Table(
    "host_conditions",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Json, nullable=False),
)

#: Free text about the host (why the breaker was released, why the clock was trusted), sealed under the key of the host's own slot.
host_notes = Table(
    "host_notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("pseudonym", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("host_notes_about", "about"),
)
