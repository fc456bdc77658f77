"""The file under the ledger: its settings, its versions, its failures."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from tests.unit.record.rig import PHONE, Rig, domain, rig_in
from wiped.errors import ConfigError, InputError, LedgerError, LedgerVersionError, VerificationError
from wiped.record.sql import migrate as migrating
from wiped.record.sql.migrate import FILE_NAME, SCHEMA_VERSION, migrate
from wiped.record.sql.schema import metadata


def set_version(path: Path, version: str) -> None:
    """As another program would have left it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))


def test_migrate_makes_and_leaves_alone(folder: Path) -> None:
    """A new ledger, mode 0600; a second time nothing happens."""
    path = folder / FILE_NAME
    assert migrate(str(path)) == ("", SCHEMA_VERSION)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    assert migrate(str(path)) == (SCHEMA_VERSION, SCHEMA_VERSION)
    assert path.read_bytes() == before


def test_the_migrations_make_the_schema(folder: Path) -> None:
    """What the scripts made is what the tables of the program say; the newest script is the program's version."""
    path = folder / FILE_NAME
    migrate(str(path))
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == SCHEMA_VERSION


@pytest.mark.parametrize("version", [f"{int(SCHEMA_VERSION) + 1:04}", "9999", "a-branch"])
def test_a_newer_programs_ledger_is_left_untouched(folder: Path, version: str) -> None:
    """LedgerVersionError, exit 78, naming both versions; not one byte is written."""
    path = folder / FILE_NAME
    migrate(str(path))
    set_version(path, version)
    before = path.read_bytes()
    with pytest.raises(LedgerVersionError) as caught:
        migrate(str(path))
    assert caught.value.exit_code == 78
    assert version in str(caught.value)
    assert SCHEMA_VERSION in str(caught.value)
    assert path.read_bytes() == before


async def test_opening_a_newer_programs_ledger_fails_the_same(folder: Path) -> None:
    """And lets go of everything, so that the process can end."""
    async with rig_in(folder):
        pass
    set_version(folder / FILE_NAME, "9998")
    with pytest.raises(LedgerVersionError):
        async with rig_in(folder):
            pass


def test_what_is_not_a_ledger_is_said_so(folder: Path) -> None:
    """Another file, another database: LedgerError, untouched."""
    path = folder / FILE_NAME
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="cannot be read"):
        migrate(str(path))
    assert path.read_bytes() == before
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(LedgerError, match="not a ledger of ours"):
        migrate(str(path))


def test_a_migration_that_fails_leaves_nothing(folder: Path) -> None:
    """All of it is one transaction: it fails half-way (a name is taken), and not one table is there."""
    path = folder / FILE_NAME
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE VIEW wipes AS SELECT 1")
    with pytest.raises(LedgerError, match="cannot be migrated"):
        migrate(str(path))
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("wipes",)]
        connection.execute("DROP VIEW wipes")
    assert migrate(str(path)) == ("", SCHEMA_VERSION)


async def test_the_settings_of_the_writer(rig: Rig) -> None:
    """WAL, synchronous FULL, foreign keys, secure_delete; readers cannot write."""
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    for name, value in wanted.items():
        assert await rig.ledger._db.write(lambda c, n=name: c.exec_driver_sql(f"PRAGMA {n}").scalar()) == value
    with pytest.raises(LedgerError, match="readonly"):
        await rig.ledger._db.read(lambda c: c.exec_driver_sql("DELETE FROM phones"))


async def test_the_audit_log_is_append_only_in_the_database_too(rig: Rig) -> None:
    """Whatever the code above does: UPDATE and DELETE are refused."""
    await rig.ledger.audit.note("test", {}, rig.now)
    for statement in ("UPDATE audit SET kind = 'x'", "DELETE FROM audit"):
        with pytest.raises(LedgerError, match="append-only"):
            await rig.ledger._db.write(lambda c, s=statement: c.exec_driver_sql(s))
    assert await rig.kinds() == ["test"]


async def test_a_changed_entry_is_found(rig: Rig) -> None:
    """Somebody with the file and no triggers."""
    for number in range(3):
        await rig.ledger.audit.note("test", {"n": number}, rig.now)
    assert (await rig.ledger.audit.verify()).seq == 3
    with closing(sqlite3.connect(rig.folder / FILE_NAME)) as connection, connection:
        connection.execute("DROP TRIGGER audit_no_update")
        connection.execute("""UPDATE audit SET body = '{"n":7}' WHERE seq = 2""")
    with pytest.raises(VerificationError, match="entry 2"):
        await rig.ledger.audit.verify()


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
        thread.join(timeout=10)  # told to end; it may be on its last lines
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
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], timeout=60, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert (done.returncode, done.stderr) == (0, "")


async def test_an_answer_is_remembered_for_its_key(rig: Rig) -> None:
    """Replayed as it was; another body under the same key is bad input; old ones are forgotten."""
    assert await rig.ledger.answers.replay("k", "d") is None
    await rig.ledger.answers.remember("k", "d", {"id": "w-1"}, rig.now)
    assert await rig.ledger.answers.replay("k", "d") == {"id": "w-1"}
    with pytest.raises(InputError):
        await rig.ledger.answers.replay("k", "other")
    rig.clock.move(8 * 86_400)
    await rig.ledger.answers.remember("k2", "d", {}, rig.now)
    assert await rig.ledger.answers.replay("k", "d") is None


async def test_a_lost_salt_file_is_never_made_anew(folder: Path) -> None:
    """Missing, replaced or damaged while the ledger refers to it: ConfigError (78) that says what to do, and nothing is written."""
    async with rig_in(folder) as rig:
        await rig.bind()
    kept = (folder / "salts").read_bytes()
    (folder / "salts").unlink()
    with pytest.raises(ConfigError, match="missing"):
        async with rig_in(folder):
            pass
    assert not (folder / "salts").exists()
    (folder / "salts").write_bytes(kept[:4096] + os.urandom(4096) + kept[8192:])
    (folder / "salts").chmod(0o600)
    found = [at for at in range(0, len(kept), 4096) if kept[at + 8] == 3]
    damaged = bytearray(kept)
    damaged[found[0] + 200] ^= 1
    (folder / "salts").write_bytes(damaged)
    with pytest.raises(ConfigError, match="1 of 1 pseudonyms"):
        async with rig_in(folder):
            pass
    (folder / "salts").write_bytes(kept)
    async with rig_in(folder) as rig:
        assert await rig.ledger.phones.get(PHONE) is not None


async def test_looking_for_what_is_due_walks_no_table(rig: Rig) -> None:
    """SQLite's own plan: both halves by an index, so the phones whose time has not come cost nothing. Figures: tests/bench/ledger.py."""
    halves = ("SELECT uuid, next_at FROM phones WHERE next_at <= ?", "SELECT uuid, next_at FROM phones WHERE touches <> decided")
    for half, index in zip(halves, ("phones_next_at", "phones_waiting"), strict=True):
        given = ("x",) if "?" in half else ()
        plan = await rig.ledger._db.read(lambda c, q=half, g=given: c.exec_driver_sql(f"EXPLAIN QUERY PLAN {q}", g).all())
        assert all(index in row.detail for row in plan), plan
    (row,) = await rig.ledger._db.read(lambda c: c.exec_driver_sql("EXPLAIN QUERY PLAN SELECT min(next_at) FROM phones").all())
    assert "phones_next_at" in row.detail
    (row,) = await rig.ledger._db.read(
        lambda c: c.exec_driver_sql("EXPLAIN QUERY PLAN SELECT * FROM wipes WHERE step NOT IN ('released', 'cancelled', 'disposed')").all(),
    )
    assert "wipes_unfinished" in row.detail


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
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as child:
        assert child.stdout is not None
        for line in child.stdout:
            told.append(int(line))
            if len(told) == 60:
                child.kill()
        child.wait(timeout=30)

    async def look() -> int:
        async with rig_in(folder) as rig:
            entries = await rig.ledger.audit.entries(limit=100_000)
            assert [entry.body["n"] for entry in entries] == list(range(len(entries)))
            assert (await rig.ledger.audit.verify()).seq == len(entries)
            return len(entries)

    assert 0 <= asyncio.run(look()) - (told[-1] + 1) <= 1
