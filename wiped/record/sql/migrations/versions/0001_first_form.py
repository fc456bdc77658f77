"""The first form of the ledger."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """CREATE TABLE answers (
    "key" TEXT NOT NULL,
    digest TEXT NOT NULL,
    answer TEXT NOT NULL,
    at VARCHAR(27) NOT NULL,
    PRIMARY KEY ("key")
)""",
    "CREATE INDEX answers_at ON answers (at)",
    """CREATE TABLE audit (
    seq INTEGER NOT NULL,
    at VARCHAR(27) NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    previous VARCHAR(64) NOT NULL,
    hash VARCHAR(64) NOT NULL,
    PRIMARY KEY (seq)
)""",
    """CREATE TABLE holds (
    id TEXT NOT NULL,
    uuid TEXT NOT NULL,
    account TEXT NOT NULL,
    ground TEXT NOT NULL,
    until VARCHAR(27),
    added_at VARCHAR(27) NOT NULL,
    operator TEXT NOT NULL,
    released_at VARCHAR(27),
    PRIMARY KEY (id)
)""",
    "CREATE INDEX holds_in_force ON holds (uuid, account) WHERE released_at IS NULL",
    """CREATE TABLE phones (
    uuid VARCHAR(36) NOT NULL,
    name TEXT NOT NULL,
    present BOOLEAN NOT NULL,
    generation INTEGER NOT NULL,
    state VARCHAR(16) NOT NULL,
    since VARCHAR(27) NOT NULL,
    action VARCHAR(16) NOT NULL,
    flags TEXT NOT NULL,
    protected BOOLEAN NOT NULL,
    suspended BOOLEAN NOT NULL,
    fenced BOOLEAN NOT NULL,
    occupied BOOLEAN NOT NULL,
    refusals TEXT NOT NULL,
    reasons TEXT NOT NULL,
    next_at VARCHAR(27),
    next_state VARCHAR(16),
    due_at VARCHAR(27),
    notices_sent TEXT NOT NULL,
    touches INTEGER NOT NULL,
    decided INTEGER NOT NULL,
    PRIMARY KEY (uuid)
)""",
    "CREATE INDEX phones_name ON phones (name)",
    "CREATE INDEX phones_next_at ON phones (next_at)",
    "CREATE INDEX phones_state ON phones (state)",
    "CREATE INDEX phones_waiting ON phones (uuid) WHERE touches <> decided",
    """CREATE TABLE requests (
    id TEXT NOT NULL,
    uuid VARCHAR(36) NOT NULL,
    generation INTEGER NOT NULL,
    kind TEXT NOT NULL,
    ground TEXT NOT NULL,
    requested_at VARCHAR(27) NOT NULL,
    approved BOOLEAN NOT NULL,
    reference TEXT NOT NULL,
    operator TEXT NOT NULL,
    closed_at VARCHAR(27),
    PRIMARY KEY (id),
    FOREIGN KEY(uuid) REFERENCES phones (uuid)
)""",
    "CREATE INDEX requests_phone ON requests (uuid, generation)",
    """CREATE TABLE sealed_notes (
    id INTEGER NOT NULL,
    uuid VARCHAR(36) NOT NULL,
    kind TEXT NOT NULL,
    about TEXT NOT NULL,
    pseudonym TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(uuid) REFERENCES phones (uuid)
)""",
    "CREATE INDEX sealed_notes_about ON sealed_notes (about)",
    """CREATE TABLE subscriptions (
    uuid VARCHAR(36) NOT NULL,
    generation INTEGER NOT NULL,
    subscription_id TEXT NOT NULL,
    account TEXT NOT NULL,
    starts_at VARCHAR(27) NOT NULL,
    expires_at VARCHAR(27) NOT NULL,
    first_recorded_at VARCHAR(27) NOT NULL,
    policy TEXT NOT NULL,
    minor BOOLEAN NOT NULL,
    revision INTEGER NOT NULL,
    source TEXT NOT NULL,
    ended_at VARCHAR(27),
    PRIMARY KEY (uuid, generation),
    FOREIGN KEY(uuid) REFERENCES phones (uuid)
)""",
    "CREATE INDEX subscriptions_account ON subscriptions (account)",
    """CREATE TABLE wipes (
    id TEXT NOT NULL,
    uuid VARCHAR(36) NOT NULL,
    name TEXT NOT NULL,
    generation INTEGER NOT NULL,
    step VARCHAR(16) NOT NULL,
    "trigger" TEXT NOT NULL,
    started_at VARCHAR(27) NOT NULL,
    "plan" TEXT,
    snapshot TEXT,
    snapshot_digest TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    reasons TEXT NOT NULL,
    residuals TEXT NOT NULL,
    certificate_id TEXT NOT NULL,
    finished_at VARCHAR(27),
    retry_at VARCHAR(27),
    was_running BOOLEAN NOT NULL,
    was_autostart BOOLEAN NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(uuid) REFERENCES phones (uuid)
)""",
    "CREATE INDEX wipes_phone ON wipes (uuid, started_at)",
    "CREATE UNIQUE INDEX wipes_unfinished ON wipes (uuid) WHERE step NOT IN ('released', 'cancelled')",
    """CREATE TABLE artefacts (
    wipe_id TEXT NOT NULL,
    artefact_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    kind TEXT NOT NULL,
    location TEXT NOT NULL,
    rename_to TEXT NOT NULL,
    seed BLOB NOT NULL,
    state VARCHAR(16) NOT NULL,
    map_digest TEXT NOT NULL,
    result TEXT,
    evidence TEXT,
    PRIMARY KEY (wipe_id, artefact_id),
    FOREIGN KEY(wipe_id) REFERENCES wipes (id)
)""",
    """CREATE TABLE certificates (
    id TEXT NOT NULL,
    wipe_id TEXT NOT NULL,
    uuid VARCHAR(36) NOT NULL,
    kind TEXT NOT NULL,
    issued_at VARCHAR(27) NOT NULL,
    envelope BLOB NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(wipe_id) REFERENCES wipes (id)
)""",
    "CREATE INDEX certificates_wipe ON certificates (wipe_id, issued_at)",
    """CREATE TABLE ranges (
    wipe_id TEXT NOT NULL,
    artefact_id TEXT NOT NULL,
    chunk INTEGER NOT NULL,
    blob BLOB NOT NULL,
    PRIMARY KEY (wipe_id, artefact_id, chunk),
    FOREIGN KEY(wipe_id) REFERENCES wipes (id)
)""",
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
