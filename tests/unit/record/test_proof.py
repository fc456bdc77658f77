"""The host's memory is proven before it is believed: lost, older, changed and damaged ledgers are named, and never taken for whole ones."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from wiped.errors import ConfigError, WipedError
from wiped.keys.salts import SaltFile
from wiped.model.subscription import AccountReference, Hold, SubscriptionRecord
from wiped.record import proof
from wiped.record.ledger import SqlLedger
from wiped.record.sql.migrate import FILE_NAME, refers_to_accounts

ONE = "0f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c11"
LOST = {"emptied": b"", "one byte": b"\0"}


async def lived(folder: Path, *, days: int = 1) -> None:
    """A ledger with a term and a hold, closed cleanly; a day more at each call."""
    clock = FakeClock()
    clock.move(86_400 * days)
    now = clock.now()
    with closing(SaltFile.open(str(folder), refers_to_accounts)) as salts:
        proof.prove(str(folder), ["used slots"] if salts.used else [])
        async with await SqlLedger.open(str(folder), salts, clock) as ledger:
            record = SubscriptionRecord(ONE, "s-1", AccountReference("acct-1"), now, now + timedelta(days=30 * days))
            await ledger.subscriptions.record([record], now, source="http", operator="anna")
            await ledger.holds.add(Hold(f"hold-{days}", ONE, "", "court-order"), now, "anna")
        proof.note(str(folder), stopped=True)


def refused(folder: Path, *signs: str) -> str:
    """The sentence with which a start ends."""
    with pytest.raises(ConfigError) as caught:
        proof.prove(str(folder), signs)
    assert caught.value.exit_code == 78
    assert "docs/backup.md" in caught.value.hint
    return str(caught.value)


async def test_a_whole_memory_is_believed(tmp_path: Path) -> None:
    """At a first run, after a clean stop, and after one that was not: more was recorded than was noted."""
    proof.prove(str(tmp_path))
    await lived(tmp_path)
    proof.prove(str(tmp_path), ["used slots"])
    before = (tmp_path / proof.HEAD_NAME).read_bytes()
    await lived(tmp_path, days=2)
    (tmp_path / proof.HEAD_NAME).write_bytes(before)
    proof.prove(str(tmp_path), ["used slots"])


@pytest.mark.parametrize("content", LOST.values(), ids=LOST)
async def test_an_emptied_ledger_is_no_first_run(tmp_path: Path, content: bytes) -> None:
    """Whatever shows that the host has a past is enough; without any sign it is a first run."""
    await lived(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(content)
    for name in (f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    assert FILE_NAME in refused(tmp_path)
    if not content:
        (tmp_path / proof.HEAD_NAME).unlink()
        assert "3 fences" in refused(tmp_path, "3 fences")
        (tmp_path / "signing-key.pem").write_bytes(b"")
        assert "signing key" in refused(tmp_path)
        (tmp_path / "signing-key.pem").unlink()
        proof.prove(str(tmp_path))


async def test_a_missing_ledger_is_gone_on_without_only_by_a_persons_word(tmp_path: Path) -> None:
    """The word covers what is missing or older; never what is damaged."""
    await lived(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    assert "missing" in refused(tmp_path)
    proof.prove(str(tmp_path), ["3 fences"], accepted=True)
    (tmp_path / FILE_NAME).write_bytes(b"no database, but of some length" * 100)
    with pytest.raises(ConfigError):
        proof.prove(str(tmp_path), accepted=True)


async def test_a_ledger_of_another_day_or_host_is_named(tmp_path: Path) -> None:
    """Put back from yesterday's copy, or from a neighbour's."""
    await lived(tmp_path)
    shutil.copy(tmp_path / FILE_NAME, tmp_path / "yesterday")
    await lived(tmp_path, days=2)
    shutil.copy(tmp_path / "yesterday", tmp_path / FILE_NAME)
    assert "is older than this host" in refused(tmp_path)
    proof.prove(str(tmp_path), accepted=True)
    other = tmp_path / "other"
    other.mkdir()
    await lived(other, days=3)
    await lived(other, days=4)
    shutil.copy(other / FILE_NAME, tmp_path / FILE_NAME)
    assert "is not the one that was noted" in refused(tmp_path)


async def test_a_state_directory_put_back_as_a_whole_is_named_by_the_salt_file(tmp_path: Path) -> None:
    """Ledger and its head of yesterday fit together; the salt file, which no copy holds, knows that the log had come further. A neighbour's is told too."""
    await lived(tmp_path)
    for name in (FILE_NAME, proof.HEAD_NAME):
        shutil.copy(tmp_path / name, tmp_path / f"{name}.yesterday")
    await lived(tmp_path, days=2)
    head = proof.read_head(str(tmp_path))
    assert head is not None
    witness = (head.seq, head.hash)
    proof.prove(str(tmp_path), witness=witness)
    for name in (FILE_NAME, proof.HEAD_NAME):
        shutil.copy(tmp_path / f"{name}.yesterday", tmp_path / name)
    proof.prove(str(tmp_path))
    with pytest.raises(ConfigError, match=r"is older than this host.*noted as written in the salt file"):
        proof.prove(str(tmp_path), witness=witness)
    with pytest.raises(ConfigError, match="is not the one that was noted in the salt file"):
        proof.prove(str(tmp_path), witness=(1, "0" * 64))
    proof.prove(str(tmp_path), witness=witness, accepted=True)
    for name in (FILE_NAME, proof.HEAD_NAME):
        (tmp_path / name).unlink()
    with pytest.raises(ConfigError, match="the head of an earlier audit log"):
        proof.prove(str(tmp_path), witness=witness)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("DELETE FROM holds", "rows of the table holds are not those that were written"),
        ("UPDATE subscriptions SET expires_at = '2020-01-01T00:00:00.000000Z'", "rows of the table subscriptions are not"),
        ("UPDATE phones SET protected = 1", "rows of the table phones are not"),
        ("DELETE FROM row_digest", "the numbers over its rows"),
        ("DROP TRIGGER IF EXISTS holds_delete_digest", "the triggers"),
        ("CREATE INDEX another ON holds (id)", "not those of the last clean stop"),
        ("DELETE FROM audit WHERE seq = 1", "audit log in the ledger is damaged"),
        ("UPDATE audit SET body = '{}' WHERE seq = 1", "audit log in the ledger is damaged"),
        ("UPDATE audit SET body = '{' WHERE seq = 1", "entry of the audit log"),
    ],
)
@pytest.mark.parametrize("killed", [False, True])
async def test_rows_that_were_changed_while_the_daemon_was_stopped_are_named(tmp_path: Path, change: str, what: str, *, killed: bool) -> None:
    """A hold that is gone, a term that was moved, an entry that does not fit: by a hand that gets past the triggers, after a clean stop and after a kill."""
    await lived(tmp_path)
    if killed:
        if "clean stop" in what:
            return  # what only a clean stop can tell
        proof.note(str(tmp_path), stopped=False)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall() if " TRIGGER " not in change else ()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        touched = connection.execute(change).rowcount
        for _, statement in triggers:
            connection.execute(statement)
    if touched:
        assert what in refused(tmp_path)
    else:
        proof.prove(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"seq": "1", "hash": "", "rows": ""}', b'{"seq": 1, "hash": ""}', b"\xff" * 5000])
async def test_a_damaged_head_is_named(tmp_path: Path, content: bytes) -> None:
    """How far the log had come cannot be told then."""
    await lived(tmp_path)
    (tmp_path / proof.HEAD_NAME).write_bytes(content)
    assert proof.HEAD_NAME in refused(tmp_path)


async def held(folder: Path) -> tuple[str, ...]:
    """A start as the daemon makes it; the holds that it knows."""
    with closing(SaltFile.open(str(folder), refers_to_accounts)) as salts:
        proof.prove(str(folder), ["used slots"] if salts.used else [])
        async with await SqlLedger.open(str(folder), salts, FakeClock()) as ledger:
            return tuple(hold.id for hold in await ledger.holds.in_force())


async def damaged_in_every_way(folder: Path, tmp: Path, damage: Callable[[bytearray, random.Random], None], times: int) -> tuple[int, int]:
    """(starts that were refused, starts that knew every hold) of `times` starts with a differently damaged ledger."""
    chance, whole, refusals = random.Random(4711), (folder / FILE_NAME).read_bytes(), 0
    for number in range(times):
        place = tmp / str(number)
        shutil.copytree(folder, place)
        data = bytearray(whole)
        damage(data, chance)
        (place / FILE_NAME).write_bytes(data)
        try:
            assert await held(place) == ("hold-1",), f"number {number} lost a hold"
        except WipedError:
            refusals += 1
        shutil.rmtree(place)
    return refusals, times - refusals


def flip(data: bytearray, chance: random.Random) -> None:
    """One bit."""
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def cut(data: bytearray, chance: random.Random) -> None:
    """The end is gone."""
    del data[chance.randrange(len(data)) :]


@pytest.mark.parametrize(
    ("damage", "times"), [(flip, 40), (cut, 10), pytest.param(flip, 1000, marks=pytest.mark.long), pytest.param(cut, 200, marks=pytest.mark.long)]
)
async def test_a_damaged_ledger_never_loses_a_hold(tmp_path: Path, damage: Callable[[bytearray, random.Random], None], times: int) -> None:
    """Each start ends in a sentence of ours, or knows what it knew: what was hit did not matter."""
    folder = tmp_path / "whole"
    folder.mkdir()
    await lived(folder)
    refusals, whole = await damaged_in_every_way(folder, tmp_path, damage, times)
    print(f"{times} {damage.__name__}: {refusals} refused, {whole} whole")
    assert refusals


async def killed(folder: Path, to: Path) -> None:
    """A copy of what a killed daemon leaves: the newest transactions, a hold among them, stand in the write-ahead log alone."""
    clock = FakeClock()
    now = clock.now()
    with closing(SaltFile.open(str(folder), refers_to_accounts)) as salts:
        async with await SqlLedger.open(str(folder), salts, clock, witness=salts.note) as ledger:
            record = SubscriptionRecord(ONE, "s-1", AccountReference("acct-1"), now, now + timedelta(days=30))
            await ledger.subscriptions.record([record], now, source="http", operator="anna")
            proof.note(str(folder), stopped=False)
            await ledger.holds.add(Hold("hold-1", ONE, "", "court-order"), now, "anna")
            shutil.copytree(folder, to)


@pytest.mark.parametrize(
    ("damage", "times"), [(flip, 30), (cut, 15), pytest.param(flip, 500, marks=pytest.mark.long), pytest.param(cut, 200, marks=pytest.mark.long)]
)
async def test_a_damaged_write_ahead_log_never_loses_a_hold(tmp_path: Path, damage: Callable[[bytearray, random.Random], None], times: int) -> None:
    """SQLite passes over all that follows the first damaged page of it, without a word: how far the audit log had come is noted at each transaction."""
    folder, left = tmp_path / "state", tmp_path / "killed"
    folder.mkdir()
    await killed(folder, left)
    wal = f"{FILE_NAME}-wal"
    assert await started(left, tmp_path / "untouched") == ("hold-1",)
    chance, whole, refusals = random.Random(4711), (left / wal).read_bytes(), 0
    for number in range(times):
        place, data = tmp_path / str(number), bytearray(whole)
        damage(data, chance)
        try:
            assert await started(left, place, data) == ("hold-1",), f"number {number} lost a hold"
        except ConfigError:
            refusals += 1
        shutil.rmtree(place)
    assert refusals
    with pytest.raises(ConfigError, match="is older than this host"):
        await started(left, tmp_path / "missing", b"")


async def started(left: Path, place: Path, wal: bytes | None = None) -> tuple[str, ...]:
    """A start on a copy of `left` with another write-ahead log; the holds that it knows."""
    shutil.copytree(left, place)
    if wal is not None:
        (place / f"{FILE_NAME}-wal").write_bytes(wal)
        (place / f"{FILE_NAME}-shm").unlink(missing_ok=True)
    with closing(SaltFile.open(str(place), refers_to_accounts)) as salts:
        proof.prove(str(place), ["used slots"], salts.noted)
        async with await SqlLedger.open(str(place), salts, FakeClock()) as ledger:
            return tuple(hold.id for hold in await ledger.holds.in_force())


@pytest.mark.parametrize("version", ["0006", "0001", "\N{DEGREE SIGN}007", "0 07"])
async def test_a_damaged_version_never_passes_the_numbers_by(tmp_path: Path, version: str) -> None:
    """As an older ledger it would be migrated, and the numbers made anew over rows that are gone."""
    await lived(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [version])
    (tmp_path / proof.HEAD_NAME).unlink()
    assert "version" in refused(tmp_path)
