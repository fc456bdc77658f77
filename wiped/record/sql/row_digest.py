"""A number over the rows of each table, kept by triggers in the transaction that changes a row (docs/design.md, "Memory").

Each start counts anew and compares: a row that a disk, a crash or another hand changed, lost or put back is found after a kill as after a clean stop. The
number is the sum of the rows' SHA-256, modulo 2^256: it does not depend on their order, and a change costs the changed rows alone. It shows damage, not
malice: who can write the file can write the number too; the signed audit log is what such a one cannot write. The triggers call a function that only this
program gives to SQLite, so another program's change of a row fails.

The audit log has its own chain and is left out, and so is Alembic's table, which a start compares by itself.
"""

from __future__ import annotations

import hashlib
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection

TABLE: Final = "row_digest"
FUNCTION: Final = "wiped_row_digest"
#: The schema version from which on a ledger has it.
SINCE: Final = "0007"
_LEFT_OUT: Final = frozenset({TABLE, "audit", "alembic_version"})
_ZERO: Final = "0" * 64
_MODULUS: Final = 1 << 256


class _Text(bytes):
    """A text as SQLite has it, also where it is no UTF-8."""


def moved(total: str, sign: int, *values: object) -> str:
    """`total` (64 hex digits) with a row of these values put in (`sign` 1) or taken out (-1). Values: None, int, float, str, bytes."""
    row = hashlib.sha256()
    for value in values:
        row.update(_bytes(value))
    return f"{(int(total, 16) + sign * int.from_bytes(row.digest())) % _MODULUS:064x}"


def _bytes(value: object) -> bytes:
    match value:
        case None:
            return b"n"
        case int():
            return b"i%d;" % value
        case float():
            return b"f" + struct.pack(">d", value)
        case str():
            text = value.encode()
            return b"t%d:" % len(text) + text
        case _Text():
            return b"t%d:" % len(value) + value
        case bytes():
            return b"b%d:" % len(value) + value
        case _:
            raise TypeError(type(value).__name__)


def triggers(connection: sqlite3.Connection) -> dict[str, str]:
    """Name -> statement of each trigger that the tables of this ledger need."""
    found = {}
    for table in _tables(connection):
        columns = [_name(row[1]) for row in connection.execute(f"PRAGMA table_info({_quoted(table)})")]
        old, new = (", ".join(f'{row}."{column}"' for column in columns) for row in ("OLD", "NEW"))
        for verb, changed in (
            ("INSERT", f"{FUNCTION}(total, 1, {new})"),
            ("DELETE", f"{FUNCTION}(total, -1, {old})"),
            ("UPDATE", f"{FUNCTION}({FUNCTION}(total, -1, {old}), 1, {new})"),
        ):
            name = f"{table}_{verb.lower()}_digest"
            found[name] = f"CREATE TRIGGER {name} AFTER {verb} ON {_quoted(table)} BEGIN UPDATE {TABLE} SET total = {changed} WHERE name = '{table}'; END"
    return found


def install(connection: Connection) -> None:
    """Make the table, the triggers and the numbers anew, within a migration's transaction: the last step of each migration that changes a table."""
    raw: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    raw.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (name TEXT NOT NULL, total TEXT NOT NULL, PRIMARY KEY (name))")
    for name in _installed(raw):
        raw.execute(f"DROP TRIGGER {_quoted(name)}")
    for statement in triggers(raw).values():
        raw.execute(statement)
    raw.execute(f"DELETE FROM {TABLE}")
    raw.executemany(f"INSERT INTO {TABLE} (name, total) VALUES (?, ?)", [(table, _counted(raw, table)) for table in _tables(raw)])


def register(connection: Any) -> None:
    """Give a connection (of `sqlite3`, or SQLAlchemy's over aiosqlite) the function that the triggers call."""
    connection.create_function(FUNCTION, -1, moved, deterministic=True)


def faults(connection: sqlite3.Connection) -> list[str]:
    """What does not fit between the rows and the numbers over them, in words; [] where all is as it was written. Raises sqlite3.Error."""
    if _installed(connection) != triggers(connection):
        return ["the triggers that keep the numbers over its rows are not those of this program"]
    with _as_written(connection):
        kept = {_name(name): _name(total) for name, total in connection.execute(f"SELECT name, total FROM {TABLE}")}
    if sorted(kept) != _tables(connection):
        return ["the numbers over its rows are not of its tables"]
    return [
        f"rows of the table {table} are not those that were written: changed, lost or added by a fault or by another hand"
        for table in _tables(connection)
        if _counted(connection, table) != kept[table]
    ]


def too_new(connection: sqlite3.Connection) -> list[str]:
    """What a ledger of a version before SINCE must not have; [] where it is as old as it says. Else a damaged version would pass the numbers by, and the
    migration would make them anew over whatever stands there. Raises sqlite3.Error."""
    there = connection.execute(f"SELECT 1 FROM sqlite_master WHERE name = '{TABLE}'").fetchone()
    return ["the version of its schema is older than its tables"] if there else []


def _tables(connection: sqlite3.Connection) -> list[str]:
    names = (_name(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"))
    return sorted(name for name in names if name not in _LEFT_OUT)


def _installed(connection: sqlite3.Connection) -> dict[str, str]:
    rows: Iterable[tuple[Any, Any]] = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    return {_name(name): _name(sql) for name, sql in rows if _name(name).endswith("_digest")}


def _counted(connection: sqlite3.Connection, table: str) -> str:
    total = _ZERO
    with _as_written(connection):
        for row in connection.execute(f"SELECT * FROM {_quoted(table)}"):
            total = moved(total, 1, *row)
    return total


@contextmanager
def _as_written(connection: sqlite3.Connection) -> Iterator[None]:
    """Read texts as bytes that are known to be texts."""
    before, connection.text_factory = connection.text_factory, _Text
    try:
        yield
    finally:
        connection.text_factory = before


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _name(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
