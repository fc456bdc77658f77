"""Alembic's entry: the connection is handed in by `wiped.record.sql.migrate`; there is no offline mode and no ini file."""

from alembic import context

from wiped.record.sql.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
