"""One writer, readers beside it, and SQLite's errors."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from tests.fakes.clock import START as NOW
from tests.patience import PATIENCE
from tests.unit.record.rig import Rig, domain, rig_in, uuid_of
from wiped.errors import LedgerError
from wiped.record.audit import append, verify
from wiped.record.sql.database import Database
from wiped.record.sql.migrate import FILE_NAME, migrate

ROOT = Path(__file__).parents[4]


async def test_the_settings_of_the_writer(rig: Rig) -> None:
    """WAL, synchronous FULL, foreign keys, secure_delete; readers cannot write."""
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    for name, value in wanted.items():
        assert await rig.ledger._db.write(lambda c, n=name: c.exec_driver_sql(f"PRAGMA {n}").scalar()) == value
    with pytest.raises(LedgerError, match="readonly"):
        await rig.ledger._db.read(lambda c: c.exec_driver_sql("DELETE FROM phones"))


async def test_a_busy_ledger_is_an_error_of_ours(rig: Rig) -> None:
    """Another process holds the write lock: LedgerError, nothing recorded, and it works again afterwards."""
    await rig.ledger._db.write(lambda c: c.exec_driver_sql("PRAGMA busy_timeout = 50"))
    with closing(sqlite3.connect(rig.folder / FILE_NAME)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="locked"):
            await rig.ledger.phones.see([domain()], rig.now)
        assert await rig.ledger.phones.find() == ()
    await rig.ledger.phones.see([domain()], rig.now)
    assert len(await rig.ledger.phones.find()) == 1


async def test_an_error_does_not_tell_what_was_written(rig: Rig) -> None:
    """A statement's parameters hold what people wrote."""
    with pytest.raises(LedgerError) as caught:
        await rig.ledger._db.write(lambda c: c.exec_driver_sql("INSERT INTO phones (uuid) VALUES (?)", ("SECRET",)))
    chain: list[BaseException] = [caught.value]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    assert len(chain) > 1
    assert not any("SECRET" in str(error) for error in chain)


async def test_a_closed_ledger_says_so(folder: Path) -> None:
    """LedgerError; closing twice is no error."""
    async with rig_in(folder) as rig:
        await rig.ledger.close()
        with pytest.raises(LedgerError, match="closed"):
            await rig.ledger.phones.find()


async def test_no_thread_stays(folder: Path) -> None:
    """aiosqlite's threads would keep the process alive."""
    before = set(threading.enumerate())
    async with rig_in(folder) as rig:
        await rig.ledger.phones.see([domain()], rig.now)
        await asyncio.gather(*(rig.ledger.phones.find() for _ in range(8)))
    mine = [thread for thread in set(threading.enumerate()) - before if not thread.name.startswith("asyncio")]
    for thread in mine:
        thread.join(timeout=PATIENCE)  # told to end; it may be on its last lines
    assert [thread.name for thread in mine if thread.is_alive()] == []


def test_a_process_that_used_the_ledger_ends(folder: Path) -> None:
    """In a process of its own, from open to close."""
    code = f"""
import asyncio
from pathlib import Path
from tests.unit.record.rig import rig_in, domain
async def main():
    async with rig_in(Path({str(folder)!r})) as rig:
        await rig.ledger.phones.see([domain()], rig.now)
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], timeout=PATIENCE, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[4]
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_killed_writer_keeps_what_it_was_promised(folder: Path) -> None:
    """SIGKILL while it writes: every call that had returned is there, at most one more, and the chain holds."""
    code = f"""
import asyncio
from pathlib import Path
from tests.unit.record.rig import rig_in
async def main():
    async with rig_in(Path({str(folder)!r})) as rig:
        for number in range(100_000):
            await rig.ledger.audit.note("test", {{"n": number}}, rig.now)
            print(number, flush=True)
asyncio.run(main())
"""
    told = []
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[4]) as child:
        assert child.stdout is not None
        for line in child.stdout:
            told.append(int(line))
            if len(told) == 60:
                child.kill()
        child.wait(timeout=PATIENCE)

    async def look() -> int:
        async with rig_in(folder) as rig:
            entries = await rig.ledger.audit.entries(limit=100_000)
            assert [entry.body["n"] for entry in entries] == list(range(len(entries)))
            assert (await rig.ledger.audit.verify()).seq == len(entries)
            return len(entries)

    assert 0 <= asyncio.run(look()) - (told[-1] + 1) <= 1


async def test_a_cancelled_write_is_whole_or_nothing(rig: Rig) -> None:
    """Cancelled at any moment: the entry is there in full or not at all, and the ledger goes on."""
    for wait in range(12):
        task = asyncio.create_task(rig.ledger.phones.see([domain(uuid_of(wait), f"p{wait}")], rig.now))
        for _ in range(wait):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    entries = await rig.ledger.audit.entries()
    seen = [entry.body["uuid"] for entry in entries if entry.kind == "phone-seen"]
    assert sorted(seen) == sorted(phone.uuid for phone in await rig.ledger.phones.find())
    await rig.ledger.audit.note("test", {}, rig.now)
    assert (await rig.ledger.audit.verify()).seq == len(entries) + 1


async def test_a_witness_is_told_of_each_entry_that_stands(folder: Path) -> None:
    """After its commit, and before the caller hears of it; not of what was rolled back, nor of a change without an entry. A witness that cannot note is a
    fault, and no change is undone for it."""
    told: list[tuple[int, str]] = []
    database = Database(str(folder / FILE_NAME), lambda seq, digest: told.append((seq, digest)))
    migrate(str(folder / FILE_NAME))

    def fails(connection: Connection) -> None:
        append(connection, "test", {}, NOW)
        raise ZeroDivisionError

    first = await database.write(lambda c: append(c, "test", {}, NOW))
    assert told == [(1, first.hash)]
    with pytest.raises(ZeroDivisionError):
        await database.write(fails)
    await database.write(lambda c: c.exec_driver_sql("DELETE FROM phones"))
    assert told == [(1, first.hash)]
    second = await database.write(lambda c: append(c, "test", {}, NOW))
    assert told[1:] == [(2, second.hash)]
    await database.close()

    def cannot(seq: int, digest: str) -> None:
        raise LedgerError(f"entry {seq} cannot be noted ({digest[:2]})")

    database = Database(str(folder / FILE_NAME), cannot)
    third = await database.write(lambda c: append(c, "test", {}, NOW))
    assert (third.seq, database.fault) == (3, f"entry 3 cannot be noted ({third.hash[:2]})")
    assert (await database.read(verify)).seq == 3
    await database.close()
