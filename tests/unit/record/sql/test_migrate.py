"""The ledger's file and its versions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from wiped.errors import LedgerError, LedgerVersionError
from wiped.record.sql import migrate as migrating
from wiped.record.sql import row_digest
from wiped.record.sql.migrate import FILE_NAME, SCHEMA_VERSION, migrate


def set_version(path: Path, version: str) -> None:
    """As another program would have left it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))


def test_migrate_makes_and_leaves_alone(folder: Path) -> None:
    """A new ledger, mode 0600; a second time nothing happens."""
    path = folder / FILE_NAME
    assert migrate(str(path)) == ("", SCHEMA_VERSION)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    assert migrate(str(path)) == (SCHEMA_VERSION, SCHEMA_VERSION)
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [f"{int(SCHEMA_VERSION) + 1:04}", "9999", "a-branch"])
def test_a_newer_programs_ledger_is_left_untouched(folder: Path, version: str) -> None:
    """LedgerVersionError, exit 78, naming both versions; not one byte is written."""
    path = folder / FILE_NAME
    migrate(str(path))
    set_version(path, version)
    before = path.read_bytes()
    with pytest.raises(LedgerVersionError) as caught:
        migrate(str(path))
    assert caught.value.exit_code == 78
    assert version in str(caught.value)
    assert SCHEMA_VERSION in str(caught.value)
    assert path.read_bytes() == before


def test_what_is_not_a_ledger_is_said_so(folder: Path) -> None:
    """Another file, another database: LedgerError, untouched."""
    path = folder / FILE_NAME
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="cannot be read"):
        migrate(str(path))
    assert path.read_bytes() == before
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(LedgerError, match="not a ledger of ours"):
        migrate(str(path))


def test_a_migration_that_fails_leaves_nothing(folder: Path) -> None:
    """All of it is one transaction: it fails half-way (a name is taken), and not one table is there."""
    path = folder / FILE_NAME
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE VIEW wipes AS SELECT 1")
    with pytest.raises(LedgerError, match="cannot be migrated"):
        migrate(str(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("wipes",)]
        connection.execute("DROP VIEW wipes")
    assert migrate(str(path)) == ("", SCHEMA_VERSION)


def test_a_ledger_of_the_version_before_is_brought_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0006: a pending wish to dispose is dropped with its table; the wipe and everything else stay."""
    path = folder / FILE_NAME
    monkeypatch.setattr(migrating, "SCHEMA_VERSION", "0005")
    assert migrate(str(path)) == ("", "0005")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO phones (uuid, name, present, generation, state, since, action, flags, protected, suspended, fenced, occupied, refusals, reasons,"
            " notices_sent, touches, decided) VALUES ('u', 'phone-1', 1, 1, 'quarantined', '2026', 'none', '[]', 0, 0, 1, 0, '[]', '[]', '[]', 1, 1)"
        )
        connection.execute(
            'INSERT INTO wipes (id, uuid, name, generation, step, "trigger", started_at, snapshot_digest, attempt, outcome, reasons, residuals,'
            " certificate_id, was_running, was_autostart) VALUES ('w', 'u', 'phone-1', 1, 'quarantined', '{}', '2026', '', 1, '', '[]', '[]', '', 0, 0)"
        )
        connection.execute("INSERT INTO disposals (wipe_id, operator, uid, reference, at) VALUES ('w', 'ann', 1001, 'CASE-1', '2026')")
    monkeypatch.undo()
    assert migrate(str(path)) == ("0005", SCHEMA_VERSION)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'disposals'").fetchall() == []
        assert connection.execute("SELECT id, step FROM wipes").fetchall() == [("w", "quarantined")]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert row_digest.faults(connection) == []  # 0007: the rows that it had before are counted


def test_a_ledger_that_counts_its_rows_is_brought_up_and_counted_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0008: a column more in `phones`, with phones in it that were fenced before: none of them is started by that."""
    path = folder / FILE_NAME
    monkeypatch.setattr(migrating, "SCHEMA_VERSION", "0007")
    assert migrate(str(path)) == ("", "0007")
    with closing(sqlite3.connect(path)) as connection, connection:
        row_digest.register(connection)
        connection.execute(
            "INSERT INTO phones (uuid, name, present, generation, state, since, action, flags, protected, suspended, fenced, occupied, refusals, reasons,"
            " notices_sent, touches, decided) VALUES ('u', 'phone-1', 1, 1, 'active', '2026', 'fence', '[]', 0, 1, 1, 0, '[]', '[]', '[]', 1, 1)"
        )
    with closing(sqlite3.connect(path)) as connection:
        assert row_digest.faults(connection) == []
    monkeypatch.undo()
    assert migrate(str(path)) == ("0007", SCHEMA_VERSION)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT fenced, stopped FROM phones").fetchall() == [(1, 0)]
        assert row_digest.faults(connection) == []
