"""What is kept for its period and no longer (R10): audit snapshots, requests, notices and pseudonyms of generations that ended. A hold suspends it.

Anonymised means: the account's slot in the salt file is overwritten in place and read back, so that its pseudonym leads to nobody and its sealed words
open for nobody; what is left in the ledger (and in SQLite's old pages on the device) is sealed or says nothing of a person. The audit log is not touched:
it never held more than the pseudonym, so its chain verifies before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import Connection, delete, func, select, text, update

from wiped.record import audit
from wiped.record.sql.database import Database
from wiped.record.sql.schema import hold_accounts, holds, host_notes, notices, requests, sealed_notes, subscriptions, wipes


class Shredder(Protocol):
    """The part of the salt file that this needs."""

    async def destroy(self, pseudonym: str) -> tuple[str, ...]:
        """() when its bytes are proven gone, else reason codes."""

    async def knows(self, pseudonyms: Sequence[str]) -> frozenset[str]:
        """Those that have a slot."""


def _held(connection: Connection, uuid: str, account: str, now: datetime) -> bool:
    reached = select(hold_accounts.c.hold_id).where(hold_accounts.c.account == account)
    query = select(holds.c.until).where(text("released_at IS NULL"), (holds.c.uuid == uuid) | (holds.c.account == account) | holds.c.id.in_(reached))
    return any(row.until is None or now < row.until for row in connection.execute(query))


def drop_snapshots(connection: Connection, before: datetime, now: datetime) -> int:
    """Audit snapshots of wipes that ended before `before`; how many. Their digests stay, in the ledger and in the certificates."""
    old = select(wipes.c.id, wipes.c.uuid, subscriptions.c.account).join(
        subscriptions, (subscriptions.c.uuid == wipes.c.uuid) & (subscriptions.c.generation == wipes.c.generation), isouter=True
    )
    rows = connection.execute(old.where(wipes.c.finished_at < before, wipes.c.snapshot.is_not(None))).all()
    ids = [row.id for row in rows if not _held(connection, row.uuid, row.account or "", now)]
    for wipe_id in ids:
        connection.execute(update(wipes).where(wipes.c.id == wipe_id).values(snapshot=None))
    if ids:
        audit.append(connection, "snapshots-dropped", {"wipes": ids[:100], "of": len(ids)}, now)
    return len(ids)


def anonymise(connection: Connection, before: datetime, now: datetime) -> tuple[str, ...]:
    """Terms whose generation ended before `before`, and everything that was said about them; the pseudonyms whose slots are to be destroyed now."""
    ended = connection.execute(select(subscriptions).where(subscriptions.c.ended_at < before, subscriptions.c.anonymised_at.is_(None))).all()
    accounts: list[str] = []
    for row in ended:
        # One pseudonym may stand for several phones of one generation: it goes when the last of them may.
        others = select(func.count()).select_from(subscriptions).where(
            subscriptions.c.account == row.account, (subscriptions.c.ended_at.is_(None)) | (subscriptions.c.ended_at >= before)
        )  # fmt: skip
        if connection.execute(others).scalar() or _held(connection, row.uuid, row.account, now):
            continue
        own = (subscriptions.c.uuid == row.uuid, subscriptions.c.generation == row.generation)
        connection.execute(update(subscriptions).where(*own).values(anonymised_at=now, subscription_id="", product=""))
        about = select(requests.c.id).where(requests.c.uuid == row.uuid, requests.c.generation == row.generation)
        connection.execute(delete(host_notes).where(host_notes.c.about.in_(about)))
        connection.execute(update(requests).where(requests.c.uuid == row.uuid, requests.c.generation == row.generation).values(account=""))
        connection.execute(delete(sealed_notes).where(sealed_notes.c.pseudonym == row.account))
        connection.execute(delete(host_notes).where(host_notes.c.pseudonym == row.account))
        connection.execute(delete(notices).where(notices.c.account == row.account, notices.c.state != "pending"))
        audit.append(connection, "anonymised", {"uuid": row.uuid, "generation": row.generation, "account": row.account}, now)
        accounts.append(row.account)
    return tuple(dict.fromkeys([*accounts, *_ended_holds(connection, before)]))


def _ended_holds(connection: Connection, before: datetime) -> list[str]:
    """Slots of accounts' own (generation 0) whose every hold was released or lapsed before `before`."""
    rows = connection.execute(select(holds.c.account, holds.c.released_at, holds.c.until).where(holds.c.account != "")).all()
    over: dict[str, bool] = {}
    for row in rows:
        ended = min((at for at in (row.released_at, row.until) if at is not None), default=None)
        over[row.account] = over.get(row.account, True) and ended is not None and ended < before
    living = set(connection.execute(select(subscriptions.c.account).where(subscriptions.c.anonymised_at.is_(None))).scalars())
    return [account for account, gone in over.items() if gone and account not in living]


def left_over(connection: Connection) -> tuple[str, ...]:
    """Pseudonyms that were anonymised: their slots must be gone (a crash may have come between)."""
    living = select(subscriptions.c.account).where(subscriptions.c.anonymised_at.is_(None))
    query = select(subscriptions.c.account).where(subscriptions.c.anonymised_at.is_not(None), subscriptions.c.account.not_in(living)).distinct()
    return tuple(connection.execute(query).scalars())


class RetainingLedger:
    """Mixed into `SqlLedger`, which owns the database and the vault."""

    _db: Database

    @property
    def _shredder(self) -> Shredder:
        raise NotImplementedError

    async def retain(self, now: datetime, *, snapshots: timedelta, audit: timedelta) -> dict[str, int]:
        """Let go of what has been kept long enough: how many snapshots, pseudonyms, and slots whose destruction could not be proven (tried again)."""
        dropped = await self._db.write(lambda c: drop_snapshots(c, now - snapshots, now))
        accounts = await self._db.write(lambda c: anonymise(c, now - audit, now))
        known = await self._shredder.knows(list(dict.fromkeys([*accounts, *await self._db.read(left_over)])))
        unproven = 0
        for account in sorted(known):
            reasons = await self._shredder.destroy(account)
            await self._note_slot(account, reasons, now)
            unproven += bool(reasons)
        return {"snapshots": dropped, "anonymised": len(accounts), "unproven": unproven}

    async def _note_slot(self, account: str, reasons: Sequence[str], now: datetime) -> None:
        kind = "slot-not-sanitized" if reasons else "slot-destroyed"
        await self._db.write(lambda c: audit.append(c, kind, {"account": account, "reasons": list(reasons)}, now))
