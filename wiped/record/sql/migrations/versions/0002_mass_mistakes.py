"""The breaker's counted phones and openings, what is remembered of the clock, and sealed notes about the host."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    """CREATE TABLE breakers (
    id INTEGER NOT NULL,
    opened_at VARCHAR(27) NOT NULL,
    newly_due INTEGER NOT NULL,
    due_limit INTEGER NOT NULL,
    bound INTEGER NOT NULL,
    "window" INTEGER NOT NULL,
    released_at VARCHAR(27),
    operator TEXT NOT NULL,
    PRIMARY KEY (id)
)""",
    "CREATE INDEX breakers_open ON breakers (id) WHERE released_at IS NULL",
    """CREATE TABLE due_phones (
    id INTEGER NOT NULL,
    uuid VARCHAR(36) NOT NULL,
    generation INTEGER NOT NULL,
    counted_at VARCHAR(27) NOT NULL,
    ended_at VARCHAR(27),
    released_at VARCHAR(27),
    breaker_id INTEGER,
    PRIMARY KEY (id),
    FOREIGN KEY(uuid) REFERENCES phones (uuid),
    FOREIGN KEY(breaker_id) REFERENCES breakers (id)
)""",
    "CREATE UNIQUE INDEX due_phones_now ON due_phones (uuid, generation) WHERE ended_at IS NULL",
    "CREATE INDEX due_phones_counted ON due_phones (counted_at)",
    """CREATE TABLE host_conditions (
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY ("key")
)""",
    """CREATE TABLE host_notes (
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    about TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (id)
)""",
    "CREATE INDEX host_notes_about ON host_notes (about)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
