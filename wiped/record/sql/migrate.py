"""The ledger's file and the version of its schema."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from wiped.errors import LedgerError, LedgerVersionError
from wiped.record.sql import row_digest

#: The ledger's file within the state directory.
FILE_NAME = "ledger.db"
#: The schema that this program writes: the newest file in `migrations/versions`.
SCHEMA_VERSION = "0008"


def version_of(path: str) -> str:
    """The schema version of the ledger in file `path`; "" when there is none yet. Raises LedgerError for what is not a ledger or cannot be read."""
    if not os.path.exists(path) or os.path.getsize(path) == 0:
        return ""
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=rw", uri=True, timeout=5)) as connection:
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not names:
                return ""
            if "alembic_version" not in names:
                raise LedgerError(f"{path} is a database, but not a ledger of ours")
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise LedgerError(f"the ledger {path} cannot be read: {error}") from error
    return str(row[0]) if row else ""


def migrate(path: str) -> tuple[str, str]:
    """Bring the ledger in file `path` to SCHEMA_VERSION, making it if need be (mode 0600); returns the versions before and after. Synchronous.

    Raises LedgerVersionError (naming both versions) when the ledger was written by a newer program: it is left untouched; LedgerError when it cannot be
    written. A migration is one transaction.
    """
    before = version_of(path)
    if before > SCHEMA_VERSION or (before and not before.isdigit()):
        raise LedgerVersionError(
            f"the ledger {path} has schema version {before}, this program knows versions up to {SCHEMA_VERSION}: install the newer program; "
            "where no newer one ever ran, the file is damaged: restore it as docs/backup.md says"
        )
    if before == SCHEMA_VERSION:
        return before, before
    _upgrade(path)
    return before, SCHEMA_VERSION


def _upgrade(path: str) -> None:
    from alembic import command  # noqa: PLC0415  # half a second to import, and needed only once in a ledger's life
    from alembic.config import Config  # noqa: PLC0415

    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def by_hand(connection: sqlite3.Connection, _: object) -> None:
        # The driver's own transactions would commit before each CREATE: a migration must be all or nothing.
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA recursive_triggers = ON")
        row_digest.register(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: object) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]

    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.set_main_option("path_separator", "os")
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            with connection.begin():
                command.upgrade(config, SCHEMA_VERSION)
    except (DBAPIError, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise LedgerError(f"the ledger {path} cannot be migrated: {cause}") from error
    finally:
        engine.dispose()


def refers_to_accounts(state_dir: str) -> bool:
    """Whether the ledger in `state_dir` refers to a pseudonym (of a term, of a held account): then a salt file must exist. Raises LedgerError."""
    path = os.path.join(state_dir, FILE_NAME)
    if version_of(path) == "":
        return False
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=rw", uri=True, timeout=5)) as connection:
            return connection.execute("SELECT 1 FROM subscriptions UNION SELECT 1 FROM holds WHERE account <> '' LIMIT 1").fetchone() is not None
    except sqlite3.Error as error:
        raise LedgerError(f"the ledger {path} cannot be read: {error}") from error
