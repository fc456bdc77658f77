"""The tables about phones: who has each, what is asked about it, what it was last seen to have."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from wiped.record.sql.columns import Instant, Json, metadata

phones = Table(
    "phones",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("present", Boolean, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("since", Instant, nullable=False),
    Column("action", String(16), nullable=False),
    Column("flags", Json, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column("fenced", Boolean, nullable=False),
    Column("occupied", Boolean, nullable=False),
    # The fence stopped it while it ran: it is started again when the fence is taken down.
    Column("stopped", Boolean, nullable=False, server_default="0"),
    Column("refusals", Json, nullable=False),
    Column("reasons", Json, nullable=False),
    Column("next_at", Instant),
    Column("next_state", String(16)),
    Column("due_at", Instant),
    Column("notices_sent", Json, nullable=False),
    # A phone waits for a decision while these two differ.
    Column("touches", Integer, nullable=False),
    Column("decided", Integer, nullable=False),
    Index("phones_next_at", "next_at"),
    Index("phones_waiting", "uuid", sqlite_where=text("touches <> decided")),
    Index("phones_name", "name"),
    Index("phones_state", "state"),
)

#: One row a generation; `ended_at` is set when the generation was released, recycled or disposed of.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("uuid", ForeignKey("phones.uuid"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("subscription_id", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("starts_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("first_recorded_at", Instant, nullable=False),
    Column("policy", Text, nullable=False),
    Column("minor", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("ended_at", Instant),
    Column("product", Text, nullable=False, server_default=""),
    Column("feed_revision", Integer),
    # When the account's slot was destroyed after its period (R10): the pseudonym leads to nobody from then on.
    Column("anonymised_at", Instant),
    Index("subscriptions_account", "account"),
)

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("uuid", ForeignKey("phones.uuid"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("ground", Text, nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("approved", Boolean, nullable=False),
    Column("reference", Text, nullable=False),
    Column("operator", Text, nullable=False),
    Column("closed_at", Instant),
    Column("account", Text, nullable=False, server_default=""),
    Column("effective_at", Instant),
    Column("signed", Boolean, nullable=False, server_default=text("0")),
    Column("approver", Text, nullable=False, server_default=""),
    Column("approved_at", Instant),
    Column("approved_until", Instant),
    Column("fingerprint", Text, nullable=False, server_default=""),
    Index("requests_phone", "uuid", "generation"),
)

#: Free text that people wrote, sealed under the key of the account's slot in the salt file.
sealed_notes = Table(
    "sealed_notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", ForeignKey("phones.uuid"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("pseudonym", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("sealed_notes_about", "about"),
)

#: When each phone's files were last looked at; deleted when its generation ends.
memories = Table(
    "memories",
    metadata,
    Column("uuid", ForeignKey("phones.uuid"), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("digest", Text, nullable=False),
    Column("migrated", Boolean, nullable=False),
)

#: A phone's own files; those of the newest look have `last_seen` equal to `memories.at`.
remembered = Table(
    "remembered",
    metadata,
    Column("uuid", ForeignKey("phones.uuid"), primary_key=True),
    Column("device", Integer, primary_key=True),
    Column("inode", Integer, primary_key=True),
    Column("location", Json, nullable=False),
    Column("kind", Text, nullable=False),
    Column("local", Boolean, nullable=False),
    Column("first_seen", Instant, nullable=False),
    Column("last_seen", Instant, nullable=False),
    Index("remembered_file", "device", "inode"),
)

#: Phones counted as newly due, for the breaker. One row without `ended_at` for as long as the phone stays due; `released_at`: an operator let it go;
#: `breaker_id`: the release that it was counted for.
due_phones = Table(
    "due_phones",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", ForeignKey("phones.uuid"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("counted_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("released_at", Instant),
    Column("breaker_id", ForeignKey("breakers.id")),
    Index("due_phones_now", "uuid", "generation", unique=True, sqlite_where=text("ended_at IS NULL")),
    Index("due_phones_counted", "counted_at"),
)

#: Each opening of the breaker; open while `released_at` is not set.
breakers = Table(
    "breakers",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("opened_at", Instant, nullable=False),
    Column("newly_due", Integer, nullable=False),
    Column("due_limit", Integer, nullable=False),
    Column("bound", Integer, nullable=False),
    Column("window", Integer, nullable=False),
    Column("released_at", Instant),
    Column("operator", Text, nullable=False),
    Index("breakers_open", "id", sqlite_where=text("released_at IS NULL")),
)
