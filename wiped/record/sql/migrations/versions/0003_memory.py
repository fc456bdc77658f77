"""Classified images, remembered files of phones, disposals; a wipe may end as disposed."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """CREATE TABLE classifications (
    "key" VARCHAR(64) NOT NULL,
    path TEXT NOT NULL,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    meaning VARCHAR(16) NOT NULL,
    at VARCHAR(27) NOT NULL,
    operator TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    sealed BLOB,
    PRIMARY KEY ("key")
)""",
    """CREATE TABLE memories (
    uuid VARCHAR(36) NOT NULL,
    generation INTEGER NOT NULL,
    at VARCHAR(27) NOT NULL,
    digest TEXT NOT NULL,
    migrated BOOLEAN NOT NULL,
    PRIMARY KEY (uuid),
    FOREIGN KEY(uuid) REFERENCES phones (uuid)
)""",
    """CREATE TABLE remembered (
    uuid VARCHAR(36) NOT NULL,
    device INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    location TEXT NOT NULL,
    kind TEXT NOT NULL,
    local BOOLEAN NOT NULL,
    first_seen VARCHAR(27) NOT NULL,
    last_seen VARCHAR(27) NOT NULL,
    PRIMARY KEY (uuid, device, inode),
    FOREIGN KEY(uuid) REFERENCES phones (uuid)
)""",
    "CREATE INDEX remembered_file ON remembered (device, inode)",
    """CREATE TABLE disposals (
    wipe_id TEXT NOT NULL,
    operator TEXT NOT NULL,
    uid INTEGER NOT NULL,
    reference TEXT NOT NULL,
    at VARCHAR(27) NOT NULL,
    PRIMARY KEY (wipe_id),
    FOREIGN KEY(wipe_id) REFERENCES wipes (id)
)""",
    "DROP INDEX wipes_unfinished",
    "CREATE UNIQUE INDEX wipes_unfinished ON wipes (uuid) WHERE step NOT IN ('released', 'cancelled', 'disposed')",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
