"""Whether a fence stopped a phone that ran, so that it is started again when the fence is taken down."""

from alembic import op

from wiped.record.sql.row_digest import install

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("ALTER TABLE phones ADD COLUMN stopped BOOLEAN DEFAULT '0' NOT NULL")
    install(op.get_bind())
