"""The tables of the ledger (SQLAlchemy Core). `migrations/` makes them; a test keeps the two equal.

Instants are texts of one form that sort as instants do; structured values are JSON texts; secrets and sealed texts are bytes.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator

from wiped.model.instants import instant_text, parse_instant

metadata = MetaData()


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime as sortable text."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else instant_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From text."""
        return None if value is None else parse_instant(value)


class Json(TypeDecorator[Any]):
    """A JSON value as ASCII text: file names that are not UTF-8 (lone surrogates) survive it."""

    impl = Text()
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else json.dumps(value, sort_keys=True, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """From text."""
        return None if value is None else json.loads(value)


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

wipes = Table(
    "wipes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("uuid", ForeignKey("phones.uuid"), nullable=False),
    Column("name", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("step", String(16), nullable=False),
    Column("trigger", Json, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("plan", Json),
    Column("snapshot", Json),
    Column("snapshot_digest", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reasons", Json, nullable=False),
    Column("residuals", Json, nullable=False),
    Column("certificate_id", Text, nullable=False),
    Column("finished_at", Instant),
    Column("retry_at", Instant),
    Column("was_running", Boolean, nullable=False),
    Column("was_autostart", Boolean, nullable=False),
    Index("wipes_phone", "uuid", "started_at"),
    # A second unfinished wipe of one phone cannot exist, whatever the code above does.
    Index("wipes_unfinished", "uuid", unique=True, sqlite_where=text("step NOT IN ('released', 'cancelled', 'disposed')")),
)

artefacts = Table(
    "artefacts",
    metadata,
    Column("wipe_id", ForeignKey("wipes.id"), primary_key=True),
    Column("artefact_id", Text, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("location", Json, nullable=False),
    Column("rename_to", Text, nullable=False),
    Column("seed", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("map_digest", Text, nullable=False),
    Column("result", Json),
    Column("evidence", Json),
)

#: The physical ranges of an artefact, as chunks of `storage.extents.ExtentMap.to_blobs()`; deleted when the wipe is over.
ranges = Table(
    "ranges",
    metadata,
    Column("wipe_id", ForeignKey("wipes.id"), primary_key=True),
    Column("artefact_id", Text, primary_key=True),
    Column("chunk", Integer, primary_key=True),
    Column("blob", LargeBinary, nullable=False),
)

certificates = Table(
    "certificates",
    metadata,
    Column("id", Text, primary_key=True),
    Column("wipe_id", ForeignKey("wipes.id"), nullable=False),
    Column("uuid", String(36), nullable=False),
    Column("kind", Text, nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Index("certificates_wipe", "wipe_id", "issued_at"),
)

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

#: First persons' wishes to dispose of a quarantined wipe.
disposals = Table(
    "disposals",
    metadata,
    Column("wipe_id", ForeignKey("wipes.id"), primary_key=True),
    Column("operator", Text, nullable=False),
    Column("uid", Integer, nullable=False),
    Column("reference", Text, nullable=False),
    Column("at", Instant, nullable=False),
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

#: What is so for the whole host and must outlive the daemon: `clock` holds a `model.guards.ClockMemory`.
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

#: Filesystems whose free space was treated after a wipe's removals; `method` is "" where nothing was proven.
trims = Table(
    "trims",
    metadata,
    Column("wipe_id", ForeignKey("wipes.id"), primary_key=True),
    Column("device", Integer, primary_key=True),
    Column("method", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", Instant, nullable=False),
)
