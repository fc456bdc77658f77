"""A feed's answers: each record for itself, the refused ones told once; and what must be remembered of a feed over restarts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, text

from wiped.model.plan import RefusalCode
from wiped.model.subscription import FeedTaken, SubscriptionRecord
from wiped.record import audit, terms
from wiped.record.sql.database import Database
from wiped.record.sql.schema import host_conditions, subscriptions

_REFUSED = "feed-refused"
_TOLD = 50


def condition(connection: Connection, key: str) -> Any:
    """`Ledger.host_condition`."""
    row = connection.execute(select(host_conditions.c.value).where(host_conditions.c.key == key)).first()
    return None if row is None else row.value


def keep_condition(connection: Connection, key: str, value: Any) -> None:
    """`Ledger.keep_host_condition`."""
    connection.execute(host_conditions.insert().prefix_with("OR REPLACE").values(key=key, value=value))


def bound(connection: Connection) -> int:
    """`Ledger.bound_phones`."""
    return int(connection.execute(select(func.count()).select_from(subscriptions).where(text("ended_at IS NULL"))).scalar() or 0)


def note_refused(connection: Connection, refused: Sequence[tuple[str, RefusalCode]], now: datetime, source: str) -> None:
    """What was refused, where that is news: a feed repeats itself every minute."""
    before = condition(connection, _REFUSED) or {}
    after = {uuid: str(code) for uuid, code in refused}
    if after == before:
        return
    news = [(uuid, code) for uuid, code in refused if before.get(uuid) != code]
    keep_condition(connection, _REFUSED, after)
    if news:
        terms.note_refused(connection, news, now, source=source, operator=source)
        told = [{"uuid": uuid, "code": str(code)} for uuid, code in news[:_TOLD]]
        audit.append(connection, "feed-refused", {"source": source, "records": told, "of": len(news)}, now)


class FeedingLedger:
    """Mixed into `SqlLedger`, which owns the database and the vault."""

    _db: Database

    async def record_answer(self, records: Sequence[SubscriptionRecord], now: datetime, *, source: str) -> FeedTaken:
        """See `ports.FeedLedger`. Raises InputError for a batch that cannot be meant (a phone twice, an end before its start)."""
        terms.check(records)
        async with self._db.turn():
            moves, refused = await self._weighed(records, now, source)
            changing = [move for move in moves if move[2] is not terms.Change.NOTHING or move[0].occupied]
            ready = await self._ready(changing)
            memory = await self._db.read(lambda c: condition(c, _REFUSED) or {})
            if ready or {uuid: str(code) for uuid, code in refused} != memory:
                await self._db.write_in_turn(lambda c: self._take(c, ready, refused, now, source))
        changed = sum(1 for move in moves if move[2] is not terms.Change.NOTHING)
        return FeedTaken(changed, len(moves) - changed, tuple((uuid, str(code)) for uuid, code in refused))

    @staticmethod
    def _take(connection: Connection, ready: Sequence[terms.Move], refused: Sequence[tuple[str, RefusalCode]], now: datetime, source: str) -> None:
        terms.apply(connection, ready, now, source=source, operator=source)
        note_refused(connection, refused, now, source)

    async def bound_phones(self) -> int:
        """See `ports.FeedLedger`."""
        return await self._db.read(bound)

    async def host_condition(self, key: str) -> Any:
        """See `ports.FeedLedger`."""
        return await self._db.read(lambda c: condition(c, key))

    async def keep_host_condition(self, key: str, value: Any) -> None:
        """See `ports.FeedLedger`."""
        await self._db.write(lambda c: keep_condition(c, key, value))

    # -- of `SqlLedger`
    async def _weighed(
        self, records: Sequence[SubscriptionRecord], now: datetime, source: str
    ) -> tuple[list[tuple[terms.Standing, SubscriptionRecord, terms.Change]], list[tuple[str, RefusalCode]]]:  # fmt: skip
        raise NotImplementedError

    async def _ready(self, moves: Sequence[tuple[terms.Standing, SubscriptionRecord, terms.Change]]) -> list[terms.Move]:
        raise NotImplementedError
