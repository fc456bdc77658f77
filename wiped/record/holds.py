"""Legal holds on phones and on accounts (R9). Functions that take a connection run within its transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text, update

from wiped.errors import NotFoundError
from wiped.model.subscription import AccountReference, Hold
from wiped.ports.machine import Clock
from wiped.record import audit, requests
from wiped.record.accounts import Accounts
from wiped.record.phones import touch
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow, hold_of
from wiped.record.words import Sealer, Vault, keep_words


def add(connection: Connection, hold: Hold, now: datetime, operator: str) -> None:
    """`HoldStore.add`."""
    values = {"id": hold.id, "uuid": hold.uuid, "account": hold.account, "ground": hold.ground, "until": hold.until, "operator": operator}
    connection.execute(tables.holds.insert().values(**values, added_at=now, disclose=hold.disclose))
    _touch_held(connection, hold)
    audit.append(connection, "hold", values, now)


def release(connection: Connection, hold_id: str, now: datetime, operator: str) -> None:
    """`HoldStore.release`; what was approved meanwhile may be used again, and the phones that the hold reached are decided again."""
    row = connection.execute(select(tables.holds).where(tables.holds.c.id == hold_id, tables.holds.c.released_at.is_(None))).first()
    if row is None:
        raise NotFoundError(f"no hold {hold_id} is in force", where="hold")
    connection.execute(update(tables.holds).where(tables.holds.c.id == hold_id).values(released_at=now))
    _touch_held(connection, hold_of(row))
    audit.append(connection, "hold-released", {"id": hold_id, "uuid": row.uuid, "account": row.account, "operator": operator}, now)
    found = reached(connection, row)
    requests.lengthen_approvals(connection, found, now)
    for uuid in found:
        touch(connection, uuid)


def in_force(connection: Connection, now: datetime) -> tuple[Hold, ...]:
    """`HoldStore.in_force`, oldest first."""
    query = select(tables.holds).where(text("released_at IS NULL")).order_by(tables.holds.c.added_at, tables.holds.c.id)
    return tuple(hold for hold in map(hold_of, connection.execute(query)) if hold.until is None or now < hold.until)


def _touch_held(connection: Connection, hold: Hold) -> None:
    """Let every phone that a hold reaches be decided again."""
    uuids = {hold.uuid} - {""}
    if hold.account:
        uuids |= set(connection.execute(select(tables.subscriptions.c.uuid).where(tables.subscriptions.c.account == hold.account)).scalars())
    for uuid in uuids:
        touch(connection, uuid)


def add_for_account(connection: Connection, hold: Hold, pseudonyms: Sequence[str], now: datetime, operator: str) -> None:
    """A hold with all the pseudonyms that its account has now."""
    add(connection, hold, now, operator)
    for name in dict.fromkeys([hold.account, *pseudonyms]):
        connection.execute(tables.hold_accounts.insert().prefix_with("OR IGNORE").values(hold_id=hold.id, account=name))
    for uuid in connection.execute(select(tables.subscriptions.c.uuid).where(tables.subscriptions.c.account.in_(pseudonyms))).scalars():
        touch(connection, uuid)


def link(connection: Connection, owner: str, account: str, uuid: str) -> list[tuple[str, Mapping[str, Any]]]:
    """A held account got a phone: what holds its other ones holds this one (R9). `owner`: the account's own pseudonym, of generation 0.

    The entries for the audit log, which the caller appends."""
    if not owner:
        return []
    query = select(tables.hold_accounts.c.hold_id).join(tables.holds, tables.holds.c.id == tables.hold_accounts.c.hold_id).where(
        tables.hold_accounts.c.account == owner, tables.holds.c.released_at.is_(None)
    )  # fmt: skip
    found = connection.execute(query).scalars().all()
    for hold_id in found:
        connection.execute(tables.hold_accounts.insert().prefix_with("OR IGNORE").values(hold_id=hold_id, account=account))
    return [("hold-reaches", {"id": hold_id, "uuid": uuid, "account": account}) for hold_id in found]


def reached(connection: Connection, hold: AnyRow) -> list[str]:
    """The phones that a hold reaches."""
    accounts = select(tables.hold_accounts.c.account).where(tables.hold_accounts.c.hold_id == hold.id)
    found = set(connection.execute(select(tables.subscriptions.c.uuid).where(tables.subscriptions.c.account.in_(accounts))).scalars())
    return sorted(found | ({hold.uuid} - {""}))


class SqlHolds:
    """`ports.ledger.HoldStore` over SQLite."""

    def __init__(self, database: Database, vault: Vault, sealer: Sealer, accounts: Accounts, clock: Clock) -> None:
        self._db = database
        self._vault = vault
        self._sealer = sealer
        self._accounts = accounts
        self._clock = clock

    async def add(self, hold: Hold, now: datetime, operator: str, *, reason: str = "") -> None:
        """See the port. Authority, reference and reason are sealed."""
        given = {"authority": hold.authority, "reference": hold.reference, "reason": reason}
        words = await self._sealer.sealed(await self._sealer.slot(hold.uuid), given) if any(given.values()) else []

        def write(connection: Connection) -> None:
            add(connection, hold, now, operator)
            keep_words(connection, hold.id, words)

        await self._db.write(write)

    async def add_for_account(self, hold: Hold, account: AccountReference, now: datetime, operator: str, *, reason: str) -> Hold:
        """See the port."""
        owner = await self._vault.pseudonym(account, 0)
        names = await self._accounts.pseudonyms(account)
        words = await self._sealer.sealed(owner, {"authority": hold.authority, "reference": hold.reference, "reason": reason})
        recorded = replace(hold, uuid="", account=owner)

        def write(connection: Connection) -> None:
            add_for_account(connection, recorded, names, now, operator)
            keep_words(connection, hold.id, words)

        await self._db.write(write)
        return recorded

    async def release(self, hold_id: str, now: datetime, operator: str) -> None:
        """See the port. Raises NotFoundError for one that is not in force."""
        await self._db.write(lambda c: release(c, hold_id, now, operator))

    async def in_force(self) -> tuple[Hold, ...]:
        """See the port."""
        now = self._clock.now()
        return await self._db.read(lambda c: in_force(c, now))

    async def on(self, account: AccountReference, uuids: Sequence[str]) -> tuple[Hold, ...]:
        """See the port."""
        names = await self._accounts.pseudonyms(account)
        of_names = select(tables.hold_accounts.c.hold_id).where(tables.hold_accounts.c.account.in_(names))
        query = (
            select(tables.holds)
            .where(text("released_at IS NULL"), tables.holds.c.id.in_(of_names) | tables.holds.c.uuid.in_(uuids))
            .order_by(tables.holds.c.added_at, tables.holds.c.id)
        )
        now = self._clock.now()
        return await self._db.read(lambda c: tuple(hold for hold in map(hold_of, c.execute(query)) if hold.until is None or now < hold.until))
