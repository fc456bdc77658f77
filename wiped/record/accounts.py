"""Which pseudonyms an account has in the ledger: a new one in each generation of a phone."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from wiped.model.subscription import AccountReference
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.words import Vault


def _highest_generation(connection: Connection) -> int:
    """The highest generation of any phone."""
    return int(connection.execute(select(func.max(tables.subscriptions.c.generation))).scalar() or 0)


class Accounts:
    """Finds the pseudonyms of an account; makes none."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._db = database
        self._vault = vault

    async def pseudonyms(self, account: AccountReference) -> tuple[str, ...]:
        """All pseudonyms that the account has, its own (generation 0) included."""
        highest = await self._db.read(_highest_generation)
        return await self._vault.find(account, range(highest + 2))

    async def own(self, account: AccountReference) -> str:
        """The account's own pseudonym (generation 0); "" where it was never held as an account."""
        return next(iter(await self._vault.find(account, (0,))), "")
