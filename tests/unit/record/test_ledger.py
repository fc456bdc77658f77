"""The whole ledger: opened, closed, restarted."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.attest.samples import EVIDENCE, RESULTS
from tests.unit.record.rig import ALICE, PHONE, Rig, domain, record, rig_in, yes
from wiped.errors import ConfigError, LedgerVersionError
from wiped.model.records import WipeRecord, WipeStep
from wiped.model.subscription import Hold
from wiped.record.sql.migrate import FILE_NAME


def set_version(path: Path, version: str) -> None:
    """As another program would have left it."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))


async def wipe(rig: Rig, wipe_id: str = "w-1") -> WipeRecord:
    """The wipe as the ledger has it."""
    found = await rig.ledger.wipes.get(wipe_id)
    assert found is not None
    return found


async def test_opening_a_newer_programs_ledger_fails_the_same(folder: Path) -> None:
    """And lets go of everything, so that the process can end."""
    async with rig_in(folder):
        pass
    set_version(folder / FILE_NAME, "9998")
    with pytest.raises(LedgerVersionError):
        async with rig_in(folder):
            pass


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


async def test_everything_is_there_after_a_restart(rig: Rig) -> None:
    """I8: a second ledger over the same files says the same."""
    await rig.begun()
    await rig.ledger.phones.mark(PHONE, fenced=True, reason="wipe")
    before = (await rig.ledger.phones.find(), await rig.ledger.wipes.find(), await rig.ledger.subscriptions.current(), await rig.ledger.audit.entries())
    await rig.ledger.close()
    rig.salts.close()
    async with rig_in(rig.folder) as again:
        assert before == (
            await again.ledger.phones.find(),
            await again.ledger.wipes.find(),
            await again.ledger.subscriptions.current(),
            await again.ledger.audit.entries(),
        )
        assert await again.salts.find(ALICE, (1,)) == (before[2][0].account,)
        await again.bind(record(days=60))


async def test_many_at_once_are_one_after_the_other(rig: Rig) -> None:
    """Fifty writers and fifty readers: nothing is lost, the chain holds."""
    await rig.ledger.phones.see([domain()], rig.now)

    async def write(number: int) -> None:
        await rig.ledger.audit.note("test", {"n": number}, rig.now)

    await asyncio.gather(*(write(n) for n in range(50)), *(rig.ledger.decisions.facts(PHONE, rig.now) for _ in range(50)))
    assert sorted(entry.body["n"] for entry in await rig.ledger.audit.entries() if entry.kind == "test") == list(range(50))
    assert (await rig.ledger.audit.verify()).seq == 51


async def test_every_prefix_survives_a_restart(rig: Rig) -> None:
    """After each call the ledger is closed and opened again: the next call finds what it needs (I8)."""
    await rig.begun()
    await rig.ledger.close()
    rig.salts.close()

    async def again(call: Any) -> None:
        async with rig_in(rig.folder) as opened:
            await call(opened)
            await opened.ledger.audit.verify()

    await again(lambda r: r.ledger.wipes.last_word("w-1", r.now, yes))
    for artefact in ("a1", "a2"):
        await again(lambda r, a=artefact: r.ledger.artefacts.record_erased("w-1", RESULTS[a]))
        await again(lambda r, a=artefact: r.ledger.artefacts.record_evidence("w-1", EVIDENCE[a], proven=True))
        await again(lambda r, a=artefact: r.ledger.artefacts.record_removed("w-1", a))
    await again(lambda r: r.judge())
    await again(lambda r: r.ledger.verdicts.finish("w-1", WipeStep.RELEASED, r.now))
    async with rig_in(rig.folder) as last:
        assert (await wipe(last)).step is WipeStep.RELEASED


@pytest.mark.parametrize("salts", ["missing", "of the day before"])
async def test_a_held_account_is_never_forgotten_with_its_slot(folder: Path, salts: str) -> None:
    """Held before it had any phone here: without the slot, its next phone would not be known as its own, and not be held."""
    async with rig_in(folder):
        pass
    before = (folder / "salts").read_bytes()
    async with rig_in(folder) as rig:
        hold = Hold("hold-1", "", "", "court-order")
        await rig.ledger.holds.add_for_account(hold, ALICE, rig.now, "anna", reason="")
    now = (folder / "salts").read_bytes()
    (folder / "salts").write_bytes(before)
    if salts == "missing":
        (folder / "salts").unlink()
    with pytest.raises(ConfigError, match="is missing" if salts == "missing" else "1 of 1 pseudonyms") as caught:
        async with rig_in(folder):
            pass
    assert "docs/backup.md" in caught.value.hint
    (folder / "salts").write_bytes(now)
    (folder / "salts").chmod(0o600)
    async with rig_in(folder) as rig:
        await rig.bind()
        assert [found.id for found in await rig.ledger.holds.on(ALICE, [PHONE])] == ["hold-1"]
        await rig.ledger.holds.release("hold-1", rig.now, "anna")
