"""The words that people wrote, sealed under the keys of the salt file. Functions that take a connection run within its transaction.

A text about a phone is sealed under its account's slot, or under a slot of its own where the phone is nobody's; a text about the host under the host's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Protocol

from sqlalchemy import Connection, select

from wiped.errors import InputError, NotFoundError
from wiped.model.subscription import ENDED_STATES, AccountReference
from wiped.ports.proofs import Pseudonyms
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database

#: A slot and the words sealed under its key.
Sealed = tuple[str, bytes]
#: (kind of words, slot, sealed words).
Words = tuple[str, str, bytes]
_OWN = "phone:"


class Vault(Pseudonyms, Protocol):
    """Pseudonyms, and the sealing of free text under their keys (`keys.salts.SaltFile`)."""

    async def seal(self, pseudonym: str, words: str) -> bytes:
        """`words` sealed under the slot's key."""

    async def unseal(self, pseudonym: str, sealed: bytes) -> str:
        """The words again. Raises NotFoundError when the slot was destroyed."""

    async def knows(self, pseudonyms: Sequence[str]) -> frozenset[str]:
        """Those of `pseudonyms` that have a slot."""

    async def destroy(self, pseudonym: str) -> tuple[str, ...]:
        """Overwrite its slot in place: () when its bytes are proven gone, else reason codes."""


def keep_note(connection: Connection, uuid: str, kind: str, about: str, sealed: Sealed | None) -> None:
    """Sealed words about a thing."""
    if sealed is not None:
        connection.execute(tables.sealed_notes.insert().values(uuid=uuid, kind=kind, about=about, pseudonym=sealed[0], sealed=sealed[1]))


def note_about(connection: Connection, about: str) -> Sealed | None:
    """The newest sealed words about a thing."""
    row = connection.execute(select(tables.sealed_notes).where(tables.sealed_notes.c.about == about).order_by(tables.sealed_notes.c.id.desc()).limit(1)).first()
    return None if row is None else (row.pseudonym, row.sealed)


def keep_words(connection: Connection, about: str, words: Sequence[Words]) -> None:
    """Record sealed words about a thing."""
    for kind, slot, sealed in words:
        connection.execute(tables.host_notes.insert().values(kind=kind, about=about, pseudonym=slot, sealed=sealed))


def words_about(connection: Connection, about: str) -> list[Words]:
    """The sealed words about a thing, oldest first."""
    rows = connection.execute(select(tables.host_notes).where(tables.host_notes.c.about == about).order_by(tables.host_notes.c.id))
    return [(row.kind, row.pseudonym, row.sealed) for row in rows]


def _account_of(connection: Connection, uuid: str) -> str | None:
    """The pseudonym of the account that has a phone, or had it while the phone is still at the end of that generation and the account is not anonymised."""
    same = (tables.subscriptions.c.uuid == tables.phones.c.uuid) & (tables.subscriptions.c.generation == tables.phones.c.generation)
    current = tables.subscriptions.c.ended_at.is_(None) | tables.phones.c.state.in_([str(state) for state in ENDED_STATES])
    query = (
        select(tables.subscriptions.c.account)
        .join(tables.phones, same)
        .where(tables.phones.c.uuid == uuid, current, tables.subscriptions.c.anonymised_at.is_(None))
    )
    account: str | None = connection.execute(query).scalar()
    return account


class Sealer:
    """Seals and unseals words; the one place that chooses the slot."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._db = database
        self._vault = vault

    async def own_slot(self, about: str, generation: int = 0) -> str:
        """The slot of a thing that is nobody's: a phone (by its UUID), `host`, `images`."""
        return await self._vault.pseudonym(AccountReference(_OWN + about), generation)

    async def slot(self, uuid: str, generation: int = 0) -> str:
        """The slot for words about a phone: its account's, or its own where the phone is nobody's."""
        account = await self._db.read(lambda c: _account_of(c, uuid))
        return account if account is not None else await self.own_slot(uuid, generation)

    async def sealed(self, slot: str, words: Mapping[str, str]) -> list[Words]:
        """Each of `words` (by kind) that is not empty, sealed."""
        return [(kind, slot, await self._vault.seal(slot, text)) for kind, text in words.items() if text]

    async def note(self, uuid: str, generation: int, text: str) -> Sealed | None:
        """One text about a phone in that generation, sealed; None where it is empty."""
        return await self._seal(await self.slot(uuid, generation), text) if text else None

    async def own_note(self, about: str, text: str) -> Sealed | None:
        """One text about a thing that is nobody's, sealed; None where it is empty."""
        return await self._seal(await self.own_slot(about), text) if text else None

    async def host_note(self, text: str) -> Sealed:
        """One text about the host itself, sealed. Raises InputError where it is empty."""
        sealed = await self.own_note("host", text)
        if sealed is None:
            raise InputError("must not be empty", where="reason")
        return sealed

    async def _seal(self, slot: str, text: str) -> Sealed:
        return slot, await self._vault.seal(slot, text)

    async def opened(self, words: Sequence[Words]) -> dict[str, str]:
        """The words by kind, unsealed; what was anonymised is left out."""
        found = {}
        for kind, slot, sealed in words:
            with contextlib.suppress(NotFoundError):  # anonymised
                found[kind] = await self._vault.unseal(slot, sealed)
        return found


class SqlWords:
    """`ports.ledger.WordStore` over SQLite."""

    def __init__(self, database: Database, vault: Vault, sealer: Sealer) -> None:
        self._db = database
        self._vault = vault
        self._sealer = sealer

    async def about(self, about: str) -> dict[str, str]:
        """See the port."""
        return await self._sealer.opened(await self._db.read(lambda c: words_about(c, about)))

    async def reason(self, about: str) -> str:
        """See the port. Raises NotFoundError when the account was anonymised."""
        words = await self._db.read(lambda c: words_about(c, about))
        told = await self._sealer.opened(words)
        if words and not told:
            raise NotFoundError("this was written about an account that was anonymised", where="account")
        if told:
            return told.get("reason", "" if "reference" in told else next(reversed(told.values())))
        sealed = await self._db.read(lambda c: note_about(c, about))
        return "" if sealed is None else await self._vault.unseal(*sealed)
