"""Alembic's scripts: how the ledger's schema came to be, one file a step. Run through `wiped.record.sql.migrate`."""
