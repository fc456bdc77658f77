"""The database under the ledger: one serial writer, readers beside it, and SQLite's errors in our words.

Functions that run in a transaction are synchronous and take a SQLAlchemy `Connection`; they run on aiosqlite's thread, one after the other for writers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from wiped.errors import LedgerError
from wiped.record.sql import row_digest

_T = TypeVar("_T")

#: How long a writer waits for another process that writes (a migration, a backup), milliseconds.
BUSY_TIMEOUT = 5_000
#: In a connection's `info`: (number, hash in hex) of the newest audit entry that the transaction appended.
HEAD = "audit-head"
#: Notes outside the database, synced, how far the audit log has come. Synchronous. Raises LedgerError.
Witness = Callable[[int, str], None]
_READERS = 4


def _engine(path: str, *, writer: bool) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=1 if writer else _READERS, max_overflow=0, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions are begun by hand, below
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
            "temp_store = MEMORY",
            # A row that is replaced is a row that is deleted: without this its trigger would not run (sqlite.org/pragma.html).
            *(("recursive_triggers = ON",) if writer else ("query_only = ON",)),
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        row_digest.register(connection)

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


class Database:
    """One SQLite file. `close` disposes the engines, without which aiosqlite's threads keep the process alive.

    `witness` is told of each transaction that appended to the audit log, after its commit and before the caller hears of it: what SQLite loses by itself after
    a crash (it passes over the rest of a write-ahead log from its first damaged page on) is then missed by the next start.
    """

    def __init__(self, path: str, witness: Witness | None = None) -> None:
        self._path = path
        self._witness = witness
        self._writer = _engine(path, writer=True)
        self._readers = _engine(path, writer=False)
        self._turn = asyncio.Lock()
        self._closed = False
        #: Why the last write failed; "" once one succeeded again.
        self.fault = ""

    async def close(self) -> None:
        """Wait for the writer, then end all connections. Idempotent."""
        async with self._turn:
            self._closed = True
            await self._readers.dispose()
            await self._writer.dispose()

    async def read(self, look: Callable[[Connection], _T]) -> _T:
        """Run `look` in a reader's snapshot. Raises LedgerError."""
        return await _to_the_end(self._run(self._readers, look, "read"), "ledger-read")

    async def read_in_thread(self, look: Callable[[Connection], _T]) -> _T:
        """`read`, for long looks (a whole log): in a thread and on a connection of their own, so that the event loop goes on."""

        def run() -> _T:
            engine = create_engine(f"sqlite:///{self._path}", poolclass=NullPool, hide_parameters=True)
            try:
                with engine.connect() as connection:
                    connection.exec_driver_sql("PRAGMA query_only = ON")
                    return look(connection)
            except SQLAlchemyError as error:
                raise LedgerError(f"the ledger cannot be read: {getattr(error, 'orig', None) or type(error).__name__}") from error
            finally:
                engine.dispose()

        return await asyncio.to_thread(run)

    async def write(self, change: Callable[[Connection], _T]) -> _T:
        """Run `change` in a transaction of its own; committed and synced when this returns, or rolled back. Raises LedgerError, or what `change` raises."""
        async with self.turn():
            return await self.write_in_turn(change)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Be the only writer over several transactions."""
        async with self._turn:
            yield

    async def write_in_turn(self, change: Callable[[Connection], _T]) -> _T:
        """`write`, for who holds the turn."""
        return await _to_the_end(self._run(self._writer, change, "written"), "ledger-write")

    async def _run(self, engine: AsyncEngine, work: Callable[[Connection], _T], verb: str) -> _T:
        if self._closed:
            raise LedgerError("the ledger is closed")
        try:
            async with engine.connect() as connection:
                try:
                    async with connection.begin():
                        found, head = await connection.run_sync(lambda c: (c.info.pop(HEAD, None), work(c), c.info.pop(HEAD, None))[1:])
                    if engine is self._writer:
                        self.fault = await self._witnessed(head)
                    return found
                except SQLAlchemyError:
                    # After a full disk or an I/O error SQLite may have ended the transaction by itself: begin again with a fresh connection.
                    await connection.invalidate()
                    raise
        except SQLAlchemyError as error:
            fault = f"the ledger cannot be {verb}: {getattr(error, 'orig', None) or type(error).__name__}"
            if engine is self._writer:
                self.fault = fault
            raise LedgerError(fault) from error

    async def _witnessed(self, head: tuple[int, str] | None) -> str:
        """Why how far the log has come could not be noted; "" where it was. The transaction stands either way, and the next one is noted with it."""
        if head is None or self._witness is None:
            return ""
        try:
            await asyncio.to_thread(self._witness, *head)
        except LedgerError as error:
            return str(error)
        return ""


async def _to_the_end(work: Coroutine[Any, Any, _T], name: str) -> _T:
    """Run a transaction to its end even if the caller is cancelled meanwhile: a commit must not be torn from its connection."""
    task = asyncio.create_task(work, name=name)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # taken note of: the caller is gone
        raise
