"""The rules of the promise: requests of all kinds, holds on accounts, approvals, drains, notices, products and feed revisions, anonymisation."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    "ALTER TABLE subscriptions ADD COLUMN product TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE subscriptions ADD COLUMN feed_revision INTEGER",
    "ALTER TABLE subscriptions ADD COLUMN anonymised_at VARCHAR(27)",
    "ALTER TABLE requests ADD COLUMN account TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE requests ADD COLUMN effective_at VARCHAR(27)",
    "ALTER TABLE requests ADD COLUMN signed BOOLEAN DEFAULT 0 NOT NULL",
    "ALTER TABLE requests ADD COLUMN approver TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE requests ADD COLUMN approved_at VARCHAR(27)",
    "ALTER TABLE requests ADD COLUMN approved_until VARCHAR(27)",
    "ALTER TABLE requests ADD COLUMN fingerprint TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE holds ADD COLUMN disclose BOOLEAN DEFAULT 1 NOT NULL",
    """CREATE TABLE hold_accounts (
    hold_id TEXT NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (hold_id, account),
    FOREIGN KEY(hold_id) REFERENCES holds (id)
)""",
    "CREATE INDEX hold_accounts_account ON hold_accounts (account)",
    "INSERT INTO hold_accounts (hold_id, account) SELECT id, account FROM holds WHERE account <> ''",
    """CREATE TABLE approvals (
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    uuids TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    asked_uid INTEGER NOT NULL,
    asked_at VARCHAR(27) NOT NULL,
    expires_at VARCHAR(27) NOT NULL,
    state VARCHAR(16) NOT NULL,
    agreed TEXT NOT NULL,
    needed INTEGER NOT NULL,
    decided_at VARCHAR(27),
    terms TEXT,
    PRIMARY KEY (id)
)""",
    "CREATE UNIQUE INDEX approvals_pending ON approvals (kind, subject) WHERE state = 'pending'",
    "CREATE INDEX approvals_asked ON approvals (asked_at)",
    """CREATE TABLE drains (
    id TEXT NOT NULL,
    product TEXT NOT NULL,
    at VARCHAR(27) NOT NULL,
    announced_at VARCHAR(27) NOT NULL,
    operator TEXT NOT NULL,
    approved BOOLEAN NOT NULL,
    approver TEXT NOT NULL,
    cancelled_at VARCHAR(27),
    PRIMARY KEY (id)
)""",
    "CREATE UNIQUE INDEX drains_in_force ON drains (product) WHERE cancelled_at IS NULL",
    """CREATE TABLE notices (
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    generation INTEGER NOT NULL,
    account TEXT NOT NULL,
    at VARCHAR(27) NOT NULL,
    data TEXT NOT NULL,
    state VARCHAR(16) NOT NULL,
    attempts INTEGER NOT NULL,
    next_at VARCHAR(27),
    delivered_at VARCHAR(27),
    last_fault TEXT NOT NULL,
    PRIMARY KEY (seq),
    UNIQUE (id)
)""",
    "CREATE INDEX notices_pending ON notices (subject, seq) WHERE state = 'pending'",
    "CREATE INDEX notices_dead ON notices (seq) WHERE state = 'dead'",
    "CREATE INDEX notices_account ON notices (account)",
    "CREATE INDEX notices_at ON notices (at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
