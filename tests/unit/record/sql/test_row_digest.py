"""The numbers over the rows: kept through every kind of change, in its transaction, and no row changes, goes or comes back without a start that says so."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from wiped.record.sql import row_digest
from wiped.record.sql.database import Database
from wiped.record.sql.migrate import FILE_NAME, migrate
from wiped.record.sql.schema import metadata


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A new ledger."""
    found = tmp_path / FILE_NAME
    migrate(str(found))
    return found


def faults(path: Path) -> list[str]:
    """As a start asks."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        return row_digest.faults(connection)


async def changed(path: Path, *statements: str) -> None:
    """Each in a transaction of the ledger's own writer."""
    database = Database(str(path))
    try:
        for statement in statements:
            await database.write(lambda connection, statement=statement: connection.exec_driver_sql(statement))  # type: ignore[misc]
    finally:
        await database.close()


def by_hand(path: Path, statement: str, *values: object) -> None:
    """By another program that knows how to get past the triggers."""
    with closing(sqlite3.connect(path)) as connection, connection:
        saved = row_digest.triggers(connection)
        for name in saved:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement, values)
        for each in saved.values():
            connection.execute(each)


CHANGES = (
    "INSERT INTO host_conditions (key, value) VALUES ('clock', '{}'), ('feed', '{\"a\": 1}'), ('x', 'ü')",
    "INSERT OR REPLACE INTO host_conditions (key, value) VALUES ('clock', '[]')",
    "INSERT OR IGNORE INTO host_conditions (key, value) VALUES ('clock', '7')",
    "UPDATE host_conditions SET value = 'y' WHERE key <> 'clock'",
    "INSERT INTO host_notes (id, kind, about, pseudonym, sealed) VALUES (1, 'a', 'b', '', x'00ff')",
    "INSERT INTO drains VALUES ('d', 'p', '2026-01-01', '2026-01-01', 'o', 1, '', NULL)",
    "UPDATE drains SET cancelled_at = '2026-01-02'",
    "DELETE FROM host_conditions WHERE key = 'x'",
)


async def test_it_is_kept_through_every_kind_of_change(path: Path) -> None:
    """Inserted, replaced, ignored, changed, deleted: of every type of value."""
    for number in range(len(CHANGES)):
        await changed(path, CHANGES[number])
        assert faults(path) == [], CHANGES[number]


async def test_a_transaction_that_is_rolled_back_changes_nothing(path: Path) -> None:
    """The number goes with the row, or neither does."""
    await changed(path, CHANGES[0])
    with pytest.raises(Exception, match="UNIQUE"):
        await changed(path, "INSERT INTO host_conditions (key, value) VALUES ('new', ''), ('clock', '')")
    assert faults(path) == []


OTHER_HANDS = (
    "UPDATE host_conditions SET value = '[0]' WHERE key = 'clock'",
    "DELETE FROM host_conditions WHERE key = 'feed'",
    "INSERT INTO host_conditions VALUES ('new', '')",
    "UPDATE row_digest SET total = '00' WHERE name = 'host_conditions'",
)


@pytest.mark.parametrize("statement", OTHER_HANDS)
async def test_what_another_hand_changes_is_named_with_its_table(path: Path, statement: str) -> None:
    """A row changed, lost, added, or the number itself."""
    await changed(path, *CHANGES[:2])
    by_hand(path, statement)
    assert faults(path) == ["rows of the table host_conditions are not those that were written: changed, lost or added by a fault or by another hand"]


async def test_a_row_that_is_put_back_as_it_was_is_named(path: Path) -> None:
    """A hold that was released and stands there again, from an older page."""
    await changed(path, CHANGES[0], "UPDATE host_conditions SET value = 'later' WHERE key = 'clock'")
    by_hand(path, "UPDATE host_conditions SET value = '{}' WHERE key = 'clock'")
    assert len(faults(path)) == 1


async def test_another_program_cannot_change_a_row(path: Path) -> None:
    """It does not know the function of the triggers."""
    await changed(path, CHANGES[0])
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.OperationalError, match=row_digest.FUNCTION):
        connection.execute("UPDATE host_conditions SET value = 'x'")


def test_a_lost_trigger_or_number_is_named(path: Path) -> None:
    """Without them the next change would not be counted."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TRIGGER holds_update_digest")
    assert faults(path) == ["the triggers that keep the numbers over its rows are not those of this program"]
    migrate_again = path.with_name("other")
    migrate(str(migrate_again))
    with closing(sqlite3.connect(migrate_again)) as connection, connection:
        connection.execute("DELETE FROM row_digest WHERE name = 'holds'")
    assert faults(migrate_again) == ["the numbers over its rows are not of its tables"]


def test_every_table_is_covered(path: Path) -> None:
    """All that the schema has, but the audit log, which has a chain, and the numbers themselves."""
    with closing(sqlite3.connect(path)) as connection:
        covered = {name for (name,) in connection.execute("SELECT name FROM row_digest")}
    assert covered == set(metadata.tables) - {"audit", "row_digest"}


def test_values_of_other_types_are_other_rows() -> None:
    """1, 1.0, '1', b'1' and none; and where one value ends and the next begins."""
    zero = "0" * 64
    totals = {row_digest.moved(zero, 1, *row) for row in ((1,), (1.0,), ("1",), (b"1",), (None,), ("a", "b"), ("ab", ""), ("", "ab"), ())}
    assert len(totals) == 9
    assert all(row_digest.moved(total, -1, 7) == zero for total in [row_digest.moved(zero, 1, 7)])
