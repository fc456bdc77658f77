"""Answers that are remembered for an Idempotency-Key."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select

from wiped.errors import InputError
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database

#: How long an answer is remembered for its Idempotency-Key.
_REMEMBERED = timedelta(days=7)


class SqlAnswers:
    """`ports.ledger.AnswerStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def replay(self, key: str, digest: str) -> dict[str, Any] | None:
        """See the port."""
        row = await self._db.read(lambda c: c.execute(select(tables.answers).where(tables.answers.c.key == key)).first())
        if row is None:
            return None
        if row.digest != digest:
            raise InputError("this key came before with another request", where="Idempotency-Key")
        answer: dict[str, Any] = row.answer
        return answer

    async def remember(self, key: str, digest: str, answer: dict[str, Any], now: datetime) -> None:
        """See the port. Answers older than seven days are forgotten."""

        def change(connection: Connection) -> None:
            connection.execute(delete(tables.answers).where(tables.answers.c.at < now - _REMEMBERED))
            connection.execute(tables.answers.insert().prefix_with("OR REPLACE").values(key=key, digest=digest, answer=answer, at=now))

        await self._db.write(change)
