"""A disposal is asked for by an approval, as everything that takes two people: the older table of wishes goes.

Who disposed of a wipe is in the audit log and in its incident record. A wish that was pending is asked for again.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("DROP TABLE disposals")
