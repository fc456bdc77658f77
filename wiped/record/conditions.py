"""JSON values that are kept for the whole host. Functions that take a connection run within its transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database


def value_of(connection: Connection, key: str) -> Any:
    """The value under a key; None where there is none."""
    row = connection.execute(select(tables.host_conditions.c.value).where(tables.host_conditions.c.key == key)).first()
    return None if row is None else row.value


def keep(connection: Connection, key: str, value: Any) -> None:
    """Record or replace the value under a key."""
    connection.execute(tables.host_conditions.insert().prefix_with("OR REPLACE").values(key=key, value=value))


class SqlConditions:
    """`ports.ledger.ConditionStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def get(self, key: str) -> Any:
        """See the port."""
        return await self._db.read(lambda c: value_of(c, key))

    async def keep(self, key: str, value: Any) -> None:
        """See the port."""
        await self._db.write(lambda c: keep(c, key, value))
