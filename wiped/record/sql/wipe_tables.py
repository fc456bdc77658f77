"""The tables about wipes and their proofs."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from wiped.record.sql.columns import Instant, Json, metadata

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
