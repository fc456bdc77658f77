"""What was done about free space after the removals of a wipe."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    """CREATE TABLE trims (
    wipe_id TEXT NOT NULL,
    device INTEGER NOT NULL,
    method TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    detail TEXT NOT NULL,
    at VARCHAR(27) NOT NULL,
    PRIMARY KEY (wipe_id, device),
    FOREIGN KEY(wipe_id) REFERENCES wipes (id)
)""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
