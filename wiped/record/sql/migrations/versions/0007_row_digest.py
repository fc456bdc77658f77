"""A number over the rows of each table, kept by triggers: see `wiped.record.sql.row_digest`."""

from alembic import op

from wiped.record.sql.row_digest import install

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    install(op.get_bind())
