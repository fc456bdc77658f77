"""What is kept for its period and no longer (R10): audit snapshots, requests, notices and pseudonyms of generations that ended. A hold suspends it.

Anonymised means: the account's slot in the salt file is overwritten in place and read back, so that its pseudonym leads to nobody and its sealed words
open for nobody; what is left in the ledger (and in SQLite's old pages on the device) is sealed or says nothing of a person. The audit log is not touched:
it never held more than the pseudonym, so its chain verifies before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, select, text, update

from wiped.decide import gate
from wiped.decide.gate import Act, Condition
from wiped.record import audit
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.words import Vault


def _held(connection: Connection, uuid: str, account: str, now: datetime) -> bool:
    reached = select(tables.hold_accounts.c.hold_id).where(tables.hold_accounts.c.account == account)
    query = select(tables.holds.c.until).where(
        text("released_at IS NULL"), (tables.holds.c.uuid == uuid) | (tables.holds.c.account == account) | tables.holds.c.id.in_(reached)
    )
    return any(row.until is None or now < row.until for row in connection.execute(query))


def _may_go(connection: Connection, uuid: str, account: str, now: datetime) -> bool:
    """Whether the gate lets what is known of this phone and account go: a hold in force keeps it."""
    return gate.ask(Act.FORGET, {Condition.LEGAL_HOLD} if _held(connection, uuid, account, now) else ()).go


def drop_snapshots(connection: Connection, before: datetime, now: datetime) -> int:
    """Audit snapshots of wipes that ended before `before`; how many. Their digests stay, in the ledger and in the certificates."""
    old = select(tables.wipes.c.id, tables.wipes.c.uuid, tables.subscriptions.c.account).join(
        tables.subscriptions,
        (tables.subscriptions.c.uuid == tables.wipes.c.uuid) & (tables.subscriptions.c.generation == tables.wipes.c.generation),
        isouter=True,
    )
    rows = connection.execute(old.where(tables.wipes.c.finished_at < before, tables.wipes.c.snapshot.is_not(None))).all()
    ids = [row.id for row in rows if _may_go(connection, row.uuid, row.account or "", now)]
    for wipe_id in ids:
        connection.execute(update(tables.wipes).where(tables.wipes.c.id == wipe_id).values(snapshot=None))
    if ids:
        audit.append(connection, "snapshots-dropped", {"wipes": ids[:100], "of": len(ids)}, now)
    return len(ids)


def anonymise(connection: Connection, before: datetime, now: datetime) -> tuple[str, ...]:
    """Terms whose generation ended before `before`, and everything that was said about them; the pseudonyms whose slots are to be destroyed now."""
    ended = connection.execute(
        select(tables.subscriptions).where(tables.subscriptions.c.ended_at < before, tables.subscriptions.c.anonymised_at.is_(None))
    ).all()
    accounts: list[str] = []
    for row in ended:
        # One pseudonym may stand for several phones of one generation: it goes when the last of them may.
        others = select(func.count()).select_from(tables.subscriptions).where(
            tables.subscriptions.c.account == row.account, (tables.subscriptions.c.ended_at.is_(None)) | (tables.subscriptions.c.ended_at >= before)
        )  # fmt: skip
        if connection.execute(others).scalar() or not _may_go(connection, row.uuid, row.account, now):
            continue
        own = (tables.subscriptions.c.uuid == row.uuid, tables.subscriptions.c.generation == row.generation)
        connection.execute(update(tables.subscriptions).where(*own).values(anonymised_at=now, subscription_id="", product=""))
        about = select(tables.requests.c.id).where(tables.requests.c.uuid == row.uuid, tables.requests.c.generation == row.generation)
        connection.execute(delete(tables.host_notes).where(tables.host_notes.c.about.in_(about)))
        connection.execute(update(tables.requests).where(tables.requests.c.uuid == row.uuid, tables.requests.c.generation == row.generation).values(account=""))
        connection.execute(delete(tables.sealed_notes).where(tables.sealed_notes.c.pseudonym == row.account))
        connection.execute(delete(tables.host_notes).where(tables.host_notes.c.pseudonym == row.account))
        connection.execute(delete(tables.notices).where(tables.notices.c.account == row.account, tables.notices.c.state != "pending"))
        audit.append(connection, "anonymised", {"uuid": row.uuid, "generation": row.generation, "account": row.account}, now)
        accounts.append(row.account)
    return tuple(dict.fromkeys([*accounts, *_ended_holds(connection, before)]))


def _ended_holds(connection: Connection, before: datetime) -> list[str]:
    """Slots of accounts' own (generation 0) whose every hold was released or lapsed before `before`."""
    rows = connection.execute(select(tables.holds.c.account, tables.holds.c.released_at, tables.holds.c.until).where(tables.holds.c.account != "")).all()
    over: dict[str, bool] = {}
    for row in rows:
        ended = min((at for at in (row.released_at, row.until) if at is not None), default=None)
        over[row.account] = over.get(row.account, True) and ended is not None and ended < before
    living = set(connection.execute(select(tables.subscriptions.c.account).where(tables.subscriptions.c.anonymised_at.is_(None))).scalars())
    return [account for account, gone in over.items() if gone and account not in living]


def left_over(connection: Connection) -> tuple[str, ...]:
    """Pseudonyms that were anonymised: their slots must be gone (a crash may have come between)."""
    living = select(tables.subscriptions.c.account).where(tables.subscriptions.c.anonymised_at.is_(None))
    query = (
        select(tables.subscriptions.c.account)
        .where(tables.subscriptions.c.anonymised_at.is_not(None), tables.subscriptions.c.account.not_in(living))
        .distinct()
    )
    return tuple(connection.execute(query).scalars())


class SqlRetention:
    """`ports.ledger.RetentionStore` over SQLite."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._db = database
        self._vault = vault

    async def retain(self, now: datetime, *, snapshots: timedelta, audit: timedelta, may: Callable[[], bool]) -> dict[str, int]:
        """See the port."""
        dropped = await self._db.write(lambda c: drop_snapshots(c, now - snapshots, now) if may() else 0)
        accounts = await self._db.write(lambda c: anonymise(c, now - audit, now) if may() else ())
        known = await self._vault.knows(list(dict.fromkeys([*accounts, *await self._db.read(left_over)])))
        unproven = 0
        for account in sorted(known):
            if not may():
                break
            reasons = await self._vault.destroy(account)
            await self._note_slot(account, reasons, now)
            unproven += bool(reasons)
        return {"snapshots": dropped, "anonymised": len(accounts), "unproven": unproven}

    async def _note_slot(self, account: str, reasons: Sequence[str], now: datetime) -> None:
        kind = "slot-not-sanitized" if reasons else "slot-destroyed"
        await self._db.write(lambda c: audit.append(c, kind, {"account": account, "reasons": list(reasons)}, now))
