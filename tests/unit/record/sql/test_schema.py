"""The tables are what the migrations make."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from wiped.record.sql import migrate as migrating
from wiped.record.sql.migrate import FILE_NAME, SCHEMA_VERSION, migrate
from wiped.record.sql.schema import metadata


def test_the_migrations_make_the_schema(folder: Path) -> None:
    """What the scripts made is what the tables of the program say; the newest script is the program's version."""
    path = folder / FILE_NAME
    migrate(str(path))
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_VERSION
