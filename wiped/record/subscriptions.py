"""Subscriptions: who has which phone until when. What one record does to one phone is in `subscription_rules`, the writing of it in `subscription_moves`.

Functions that take a connection run within its transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select, text, update

from wiped.errors import RefusedError
from wiped.model.instants import instant_text, parse_instant
from wiped.model.plan import RefusalCode
from wiped.model.subscription import ENDED_STATES, AccountReference, FeedTaken, Subscription, SubscriptionRecord
from wiped.record import audit, conditions, notices, subscription_moves
from wiped.record.accounts import Accounts
from wiped.record.phones import known, row_of, touch
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow, subscription_of
from wiped.record.subscription_rules import BY_HAND, SHOWN, Change, Move, Standing, begins, check, completed, refusal, weigh
from wiped.record.words import Vault

#: The condition under which the refused records of a feed's last answer are remembered, and how many of them an audit entry names.
_REFUSED = "feed-refused"
_TOLD = 50


def current_term(connection: Connection, phone: AnyRow) -> Subscription | None:
    """The term of a phone's generation; an ended one only as long as the phone stands at its end."""
    row = connection.execute(
        select(tables.subscriptions).where(tables.subscriptions.c.uuid == phone.uuid, tables.subscriptions.c.generation == phone.generation)
    ).first()
    if row is None or (row.ended_at is not None and phone.state not in ENDED_STATES):
        return None
    return subscription_of(row)


def note_refused(connection: Connection, refused: Sequence[tuple[str, RefusalCode]], now: datetime, *, source: str, operator: str) -> None:
    """What is recorded of a refused batch: occupied phones are marked (the conductor fences them), once; and what a person tried is told (R14).

    A feed that repeats itself every minute is not told again and again.
    """
    for uuid, code in refused:
        phone = row_of(connection, uuid)
        if code is RefusalCode.SUBSCRIPTION_RENEWED:
            notices.renewed_too_late(connection, uuid, now)
        if code is RefusalCode.GENERATION_OCCUPIED and phone is not None and not phone.occupied:
            connection.execute(update(tables.phones).where(tables.phones.c.uuid == uuid).values(occupied=True, touches=tables.phones.c.touches + 1))
            body = {"uuid": uuid, "generation": phone.generation, "source": source, "operator": operator}
            audit.append(connection, "generation-occupied", body, now)
    if source in BY_HAND:
        told = {"codes": sorted({str(code) for _, code in refused}), "phones": [uuid for uuid, _ in refused[:SHOWN]], "of": len(refused)}
        audit.append(connection, "refused", {**told, "source": source, "operator": operator}, now)


def _note_refused_answer(connection: Connection, refused: Sequence[tuple[str, RefusalCode]], now: datetime, source: str) -> None:
    """What was refused, where that is news: a feed repeats itself every minute."""
    before = conditions.value_of(connection, _REFUSED) or {}
    after = {uuid: str(code) for uuid, code in refused}
    if after == before:
        return
    news = [(uuid, code) for uuid, code in refused if before.get(uuid) != code]
    conditions.keep(connection, _REFUSED, after)
    if news:
        note_refused(connection, news, now, source=source, operator=source)
        told = [{"uuid": uuid, "code": str(code)} for uuid, code in news[:_TOLD]]
        audit.append(connection, "feed-refused", {"source": source, "records": told, "of": len(news)}, now)


def living(connection: Connection, pseudonyms: Sequence[str]) -> tuple[tuple[str, int, str], ...]:
    """(uuid, generation, account) of terms under these pseudonyms whose generation has not ended."""
    query = select(tables.subscriptions.c.uuid, tables.subscriptions.c.generation, tables.subscriptions.c.account).where(
        tables.subscriptions.c.account.in_(pseudonyms), tables.subscriptions.c.ended_at.is_(None)
    )
    return tuple((row.uuid, row.generation, row.account) for row in connection.execute(query.order_by(tables.subscriptions.c.uuid)))


def shorten(connection: Connection, uuid: str, generation: int, terms: Mapping[str, str], now: datetime, *, operator: str, approver: str) -> Subscription:
    """`SubscriptionStore.shorten`. `terms`: `was` (the end that was asked to be brought forward) and `expires`, as `instant_text`; `policy` and `minor`
    (True or False, as text), where they were asked for."""
    own = (tables.subscriptions.c.uuid == uuid, tables.subscriptions.c.generation == generation, tables.subscriptions.c.ended_at.is_(None))
    row = connection.execute(select(tables.subscriptions).where(*own)).first()
    if row is None or known(connection, uuid).generation != generation or instant_text(row.expires_at) != terms["was"]:
        raise RefusedError("the term is another one by now: ask again", codes=(RefusalCode.DRIFT,))
    values = {"expires_at": parse_instant(terms["expires"]), "policy": terms.get("policy", row.policy), "minor": terms.get("minor", str(row.minor)) == "True"}
    connection.execute(update(tables.subscriptions).where(*own).values(**values, first_recorded_at=now, revision=row.revision + 1))
    touch(connection, uuid)
    told = {"uuid": uuid, "generation": generation, "was": terms["was"], "expires_at": terms["expires"], "operator": operator, "approver": approver}
    told |= {key: terms[key] for key in ("policy", "minor") if key in terms}
    audit.append(connection, "term-shortened", told, now)
    return subscription_of(connection.execute(select(tables.subscriptions).where(*own)).one())


def bound(connection: Connection) -> int:
    """`SubscriptionStore.bound`."""
    return int(connection.execute(select(func.count()).select_from(tables.subscriptions).where(text("ended_at IS NULL"))).scalar() or 0)


#: A phone as it stands, a record of it, and what the record does.
_Weighed = tuple[Standing, SubscriptionRecord, Change]


class SqlSubscriptions:
    """`ports.ledger.SubscriptionStore` over SQLite."""

    def __init__(self, database: Database, vault: Vault, accounts: Accounts) -> None:
        self._db = database
        self._vault = vault
        self._accounts = accounts

    async def record(
        self, records: Sequence[SubscriptionRecord], now: datetime, *, source: str, operator: str
    ) -> tuple[Subscription, ...]:  # fmt: skip
        """See the port. Raises InputError for a batch that cannot be meant, also RefusedError(needs-approval) where one
        person alone would bring the end of a running term forward."""
        check(records)
        await self._prepare(records, now, source, all_or_none=True)
        async with self._db.turn():
            moves, refused = await self._weighed(records, now, source)
            if refused:
                await self._db.write_in_turn(lambda c: note_refused(c, refused, now, source=source, operator=operator))
                raise refusal(refused)
            if all(change is Change.NOTHING and not stand.occupied for stand, _, change in moves):
                return tuple(stand.last for stand, _, _ in moves if stand.last is not None)
            ready = await self._ready(moves)
            return await self._db.write_in_turn(lambda c: subscription_moves.apply(c, ready, now, source=source, operator=operator))

    async def _prepare(self, records: Sequence[SubscriptionRecord], now: datetime, source: str, *, all_or_none: bool) -> None:
        """Make the pseudonyms of many records before the writer's turn is taken: others write meanwhile, and what was weighed is weighed again in the turn."""
        if len(records) <= subscription_moves.SLICE:
            return
        moves, refused = await self._weighed(records, now, source)
        if not (refused and all_or_none):
            await self._ready([move for move in moves if move[2] is not Change.NOTHING])

    async def _weighed(self, records: Sequence[SubscriptionRecord], now: datetime, source: str) -> tuple[list[_Weighed], list[tuple[str, RefusalCode]]]:
        """What each record does as things stand; it counts where the caller holds the writer's turn."""
        before = await self._db.read(lambda c: subscription_moves.standings(c, [record.uuid for record in records]))
        names = await self._vault.find_each([(record.account, stand.generation) for stand, record in zip(before, records, strict=True)])
        moves: list[_Weighed] = []
        refused: list[tuple[str, RefusalCode]] = []
        for number, (stand, said, name) in enumerate(zip(before, records, names, strict=True)):
            record = completed(stand, said)
            same = stand.last is not None and stand.last.account == name
            found = weigh(stand, record, same_account=same, source=source, now=now)
            if isinstance(found, RefusalCode):
                refused.append((record.uuid, found))
            else:
                moves.append((stand, record, found))
            if number % subscription_moves.SLICE == 0:
                await asyncio.sleep(0)  # the loop goes on
        return moves, refused

    async def _ready(self, moves: Sequence[_Weighed]) -> list[Move]:
        """With pseudonyms: slots are on disk before the ledger refers to them."""
        begin = [(record.account, stand.generation + 1) for stand, record, change in moves if begins(stand, change)]
        made = iter(await self._vault.pseudonym_each(begin))
        owners = await self._vault.find_each([(record.account, 0) for _, record, _ in moves])
        return [
            Move(stand, record, change, next(made) if stand.last is None or begins(stand, change) else stand.last.account, owner)
            for (stand, record, change), owner in zip(moves, owners, strict=True)
        ]

    async def record_answer(self, records: Sequence[SubscriptionRecord], now: datetime, *, source: str) -> FeedTaken:
        """See the port. Raises InputError for a batch that cannot be meant (a phone twice, an end before its start)."""
        check(records)
        await self._prepare(records, now, source, all_or_none=False)
        async with self._db.turn():
            moves, refused = await self._weighed(records, now, source)
            changing = [move for move in moves if move[2] is not Change.NOTHING or move[0].occupied]
            ready = await self._ready(changing)
            memory = await self._db.read(lambda c: conditions.value_of(c, _REFUSED) or {})
            if ready or {uuid: str(code) for uuid, code in refused} != memory:
                await self._db.write_in_turn(lambda c: self._take(c, ready, refused, now, source))
        changed = sum(1 for move in moves if move[2] is not Change.NOTHING)
        return FeedTaken(changed, len(moves) - changed, tuple((uuid, str(code)) for uuid, code in refused))

    @staticmethod
    def _take(connection: Connection, ready: Sequence[Move], refused: Sequence[tuple[str, RefusalCode]], now: datetime, source: str) -> None:
        subscription_moves.apply(connection, ready, now, source=source, operator=source)
        _note_refused_answer(connection, refused, now, source)

    async def get(self, uuid: str) -> Subscription | None:
        """See the port. Of a phone that is at the end of a generation, the term that ended."""

        def look(connection: Connection) -> Subscription | None:
            phone = row_of(connection, uuid)
            return None if phone is None else current_term(connection, phone)

        return await self._db.read(look)

    async def current(self) -> tuple[Subscription, ...]:
        """See the port: terms that have not ended, by UUID."""
        query = select(tables.subscriptions).where(tables.subscriptions.c.ended_at.is_(None)).order_by(tables.subscriptions.c.uuid)
        return await self._db.read(lambda c: tuple(subscription_of(row) for row in c.execute(query)))

    async def shorten(self, uuid: str, generation: int, terms: Mapping[str, str], now: datetime, *, operator: str, approver: str) -> Subscription:
        """See the port."""
        return await self._db.write(lambda c: shorten(c, uuid, generation, terms, now, operator=operator, approver=approver))

    async def of_account(self, account: AccountReference) -> tuple[tuple[Subscription, datetime | None], ...]:
        """See the port."""
        names = await self._accounts.pseudonyms(account)
        query = (
            select(tables.subscriptions)
            .where(tables.subscriptions.c.account.in_(names))
            .order_by(tables.subscriptions.c.uuid, tables.subscriptions.c.generation)
        )
        return await self._db.read(lambda c: tuple((subscription_of(row), row.ended_at) for row in c.execute(query)))

    async def living(self, account: AccountReference) -> tuple[tuple[str, int, str], ...]:
        """See the port."""
        names = await self._accounts.pseudonyms(account)
        return await self._db.read(lambda c: living(c, names))

    async def bound(self) -> int:
        """See the port."""
        return await self._db.read(bound)
