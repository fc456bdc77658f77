"""The salt file: pseudonyms that lead back to nobody without it, words that only it opens, slots that are destroyed for ever."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.patience import PATIENCE
from tests.unit.record.rig import ALICE, BOB, PHONE, record, rig_in
from wiped.errors import ConfigError, InputError, LedgerError, NotFoundError
from wiped.keys.salts import SaltFile
from wiped.keys.slots import CHUNK_SLOTS, SLOT, Slot, is_free, note_of, slot_of, used_bytes
from wiped.model.subscription import AccountReference, WipeRequest
from wiped.record.sql.migrate import refers_to_accounts


@pytest.fixture
def salts(folder: Path) -> Iterator[SaltFile]:
    """A new salt file."""
    opened = SaltFile.open(str(folder), refers_to_accounts)
    yield opened
    opened.close()


async def test_a_pseudonym_is_made_once(salts: SaltFile) -> None:
    """The same for the same account and generation; another for any other; at least 128 bits, in the documented form."""
    first = await salts.pseudonym(ALICE, 1)
    assert await salts.pseudonym(ALICE, 1) == first
    others = {await salts.pseudonym(ALICE, 2), await salts.pseudonym(BOB, 1), await salts.pseudonym(AccountReference(ALICE.value + "x"), 1)}
    assert len(others | {first}) == 4
    assert first.startswith("acct-")
    assert len(base64.b32decode(first.removeprefix("acct-").upper())) == 20


async def test_find_makes_none(salts: SaltFile, folder: Path) -> None:
    """Only what exists, in the order asked; the file stays as it is."""
    before = (folder / "salts").read_bytes()
    assert await salts.find(ALICE, (1, 2, 3)) == ()
    assert (folder / "salts").read_bytes() == before
    second, third = await salts.pseudonym(ALICE, 2), await salts.pseudonym(ALICE, 3)
    assert await salts.find(ALICE, (3, 1, 2)) == (third, second)
    assert await salts.find(BOB, (2, 3)) == ()


async def test_it_is_there_after_a_restart(folder: Path) -> None:
    """Pseudonyms and sealed words."""
    salts = SaltFile.open(str(folder), refers_to_accounts)
    name = await salts.pseudonym(ALICE, 1)
    sealed = await salts.seal(name, "words")
    salts.close()
    salts.close()
    salts = SaltFile.open(str(folder), refers_to_accounts)
    assert await salts.pseudonym(ALICE, 1) == name
    assert await salts.unseal(name, sealed) == "words"
    assert await salts.knows([name, "acct-x"]) == {name}
    salts.close()


async def test_the_pseudonym_is_the_salted_hmac(salts: SaltFile, folder: Path) -> None:
    """Computed by other means from the slot's own bytes; without the salt it cannot be guessed from the reference."""
    name = await salts.pseudonym(ALICE, 1)
    data = (folder / "salts").read_bytes()
    (slot,) = [found for at in range(0, len(data), SLOT) if (found := slot_of(data[at : at + SLOT]))]
    digest = hmac.new(slot.salt, ALICE.value.encode(), hashlib.sha256).digest()
    assert name == "acct-" + base64.b32encode(digest[:20]).decode().lower()
    key = (folder / "lookup-key").read_bytes()
    assert slot.lookup == hmac.new(key, b"lookup\0" + (1).to_bytes(8, "big") + ALICE.value.encode(), hashlib.sha256).digest()
    assert repr(slot) == "Slot(***)"


def test_files_are_private_and_whole(salts: SaltFile, folder: Path) -> None:
    """0600, every slot written with random bytes (nothing sparse, nothing compressible), no partial file."""
    assert salts.damaged == 0
    for name in ("salts", "lookup-key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    data = (folder / "salts").read_bytes()
    assert len(data) == CHUNK_SLOTS * SLOT
    assert len({data[at + 16 : at + 48] for at in range(0, len(data), SLOT)}) == CHUNK_SLOTS
    assert all(is_free(data[at : at + SLOT]) for at in range(SLOT, len(data), SLOT))
    assert sorted(os.listdir(folder)) == ["lookup-key", "salts"]


async def test_it_grows_by_whole_chunks(salts: SaltFile, folder: Path) -> None:
    """More accounts than the first chunk has slots; all are found again."""
    names = [await salts.pseudonym(ALICE, number) for number in range(CHUNK_SLOTS + 20)]
    assert len(set(names)) == len(names)
    assert (folder / "salts").stat().st_size == 2 * CHUNK_SLOTS * SLOT
    salts.close()
    again = SaltFile.open(str(folder), refers_to_accounts)
    assert await again.find(ALICE, range(len(names))) == tuple(names)
    again.close()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(words=st.text(max_size=300))
def test_words_are_sealed(salts: SaltFile, words: str) -> None:
    """Any text comes back, from no other slot, and not when a byte was changed."""

    async def story() -> None:
        mine, other = await salts.pseudonym(ALICE, 1), await salts.pseudonym(BOB, 1)
        sealed = await salts.seal(mine, words)
        assert await salts.unseal(mine, sealed) == words
        assert sealed != await salts.seal(mine, words)
        for bad in (bytes([sealed[0] ^ 1]) + sealed[1:], sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b""):
            with pytest.raises(LedgerError):
                await salts.unseal(mine, bad)
        with pytest.raises(LedgerError):
            await salts.unseal(other, sealed)

    asyncio.run(story())


async def test_a_destroyed_slot_is_gone_for_ever(salts: SaltFile, folder: Path) -> None:
    """Its bytes are in the file no more; its words do not open; the account begins anew, under another pseudonym; others stay."""
    name, other = await salts.pseudonym(ALICE, 1), await salts.pseudonym(BOB, 1)
    sealed = await salts.seal(name, "words")
    data = (folder / "salts").read_bytes()
    slots = [found for at in range(0, len(data), SLOT) if (found := slot_of(data[at : at + SLOT]))]
    await salts.destroy(name)
    after = (folder / "salts").read_bytes()
    gone = [slot for slot in slots if slot.salt not in after]
    assert len(gone) == 1
    assert not any(secret in after for secret in (gone[0].lookup, gone[0].pseudonym, gone[0].salt, gone[0].key))
    with pytest.raises(NotFoundError):
        await salts.unseal(name, sealed)
    with pytest.raises(NotFoundError):
        await salts.seal(name, "more")
    assert await salts.destroy(name) == ()
    assert await salts.find(ALICE, (1,)) == ()
    assert await salts.pseudonym(ALICE, 1) != name
    assert await salts.find(BOB, (1,)) == (other,)


async def test_many_are_made_as_one_by_one(salts: SaltFile, folder: Path) -> None:
    """More than a chunk: old ones, new ones and the same twice, in the order asked; all of them are there after a restart."""
    old = await salts.pseudonym(ALICE, 1)
    wanted = [(BOB, 1), (ALICE, 1), (BOB, 1), *((AccountReference(f"customer-{number}"), 3) for number in range(2 * CHUNK_SLOTS))]
    names = await salts.pseudonym_each(wanted)
    assert names[1] == old
    assert names[0] == names[2] == await salts.pseudonym(BOB, 1)
    assert len(set(names)) == len(wanted) - 1
    assert salts.used == len(wanted) - 1
    salts.close()
    again = SaltFile.open(str(folder), refers_to_accounts)
    assert await again.find_each([*wanted, (ALICE, 2)]) == (*names, "")
    assert await again.pseudonym_each(wanted) == names
    again.close()


async def test_many_are_synced_together_and_before_one_is_handed_out(salts: SaltFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sync for many slots; where it fails, none of them is anybody's, and the next takes its place."""
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(fd), real(fd)))
    wanted = [(AccountReference(f"customer-{number}"), 1) for number in range(100)]
    await salts.pseudonym_each(wanted)
    assert len(synced) == 1

    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(LedgerError, match="cannot be written"):
        await salts.pseudonym_each([(ALICE, 1), (BOB, 1)])
    monkeypatch.setattr(os, "fsync", real)
    assert await salts.find_each([(ALICE, 1), (BOB, 1)]) == ("", "")
    assert salts.used == 100
    name = await salts.pseudonym(BOB, 1)
    assert await salts.find(BOB, (1,)) == (name,)
    assert await salts.find_each(wanted) == await salts.pseudonym_each(wanted)


async def test_one_empty_reference_among_many_makes_none(salts: SaltFile) -> None:
    """Checked before a slot is written."""
    with pytest.raises(InputError):
        await salts.pseudonym_each([(ALICE, 1), (AccountReference(""), 1)])
    assert salts.used == 0


async def test_an_empty_reference_is_bad_input(salts: SaltFile) -> None:
    """Nobody's account."""
    with pytest.raises(InputError):
        await salts.pseudonym(AccountReference(""), 1)


async def test_many_threads_make_one_slot(salts: SaltFile) -> None:
    """Twenty at once: one pseudonym."""
    assert len(set(await asyncio.gather(*(salts.pseudonym(ALICE, 1) for _ in range(20))))) == 1


def test_one_process_at_a_time(salts: SaltFile, folder: Path) -> None:
    """A second would give two accounts one slot."""
    assert salts.damaged == 0
    with pytest.raises(LedgerError, match="in use"):
        SaltFile.open(str(folder), refers_to_accounts)


@pytest.mark.parametrize("name", ["salts", "lookup-key"])
def test_files_that_others_can_read_are_refused(folder: Path, name: str) -> None:
    """Then its accounts may be known: an error that says so."""
    SaltFile.open(str(folder), refers_to_accounts).close()
    (folder / name).chmod(0o640)
    with pytest.raises(ConfigError, match="read by others"):
        SaltFile.open(str(folder), refers_to_accounts)


@pytest.mark.parametrize("name", ["salts", "lookup-key"])
def test_a_symbolic_link_is_refused(folder: Path, name: str) -> None:
    """Never through a link."""
    SaltFile.open(str(folder), refers_to_accounts).close()
    (folder / name).rename(folder / "elsewhere")
    (folder / name).symlink_to(folder / "elsewhere")
    with pytest.raises(LedgerError):
        SaltFile.open(str(folder), refers_to_accounts)


def test_files_that_do_not_belong_together_are_refused(folder: Path, tmp_path: Path) -> None:
    """A look-up key of another salt file; a damaged head; a cut-off key; a missing key."""
    SaltFile.open(str(folder), refers_to_accounts).close()
    SaltFile.open(str(tmp_path), refers_to_accounts).close()
    key = (folder / "lookup-key").read_bytes()
    (folder / "lookup-key").write_bytes((tmp_path / "lookup-key").read_bytes())
    with pytest.raises(ConfigError, match="belong together"):
        SaltFile.open(str(folder), refers_to_accounts)
    (folder / "lookup-key").write_bytes(key[:31])
    with pytest.raises(ConfigError, match="damaged"):
        SaltFile.open(str(folder), refers_to_accounts)
    (folder / "lookup-key").unlink()
    with pytest.raises(ConfigError, match="missing"):
        SaltFile.open(str(folder), refers_to_accounts)
    (folder / "lookup-key").write_bytes(key)
    (folder / "lookup-key").chmod(0o600)
    with (folder / "salts").open("r+b") as file:
        file.write(b"x")
    with pytest.raises(ConfigError, match="damaged"):
        SaltFile.open(str(folder), refers_to_accounts)
    (folder / "salts").write_bytes(b"")
    with pytest.raises(ConfigError, match="damaged"):
        SaltFile.open(str(folder), refers_to_accounts)


def test_a_first_run_that_was_interrupted_is_finished(folder: Path) -> None:
    """The key without the file, and a file that was never whole: nothing refers to them yet."""
    SaltFile.open(str(folder), refers_to_accounts).close()
    (folder / "salts").unlink()
    (folder / "salts.new").write_bytes(b"torn")
    key = (folder / "lookup-key").read_bytes()
    SaltFile.open(str(folder), refers_to_accounts).close()
    assert (folder / "lookup-key").read_bytes() == key


async def test_torn_writes_cost_a_slot_and_nothing_else(folder: Path) -> None:
    """Half a slot written, half a chunk appended: everything that was handed out is there."""
    salts = SaltFile.open(str(folder), refers_to_accounts)
    name = await salts.pseudonym(ALICE, 1)
    salts.close()
    data = bytearray((folder / "salts").read_bytes())
    torn = next(at for at in range(SLOT, len(data), SLOT) if is_free(bytes(data[at : at + SLOT])))
    data[torn : torn + 512] = used_bytes(Slot(bytes(32), bytes(20), bytes(32), bytes(32)))[:512]
    (folder / "salts").write_bytes(data + bytes(3 * SLOT) + b"x" * 100)
    again = SaltFile.open(str(folder), refers_to_accounts)
    assert again.damaged == 4
    assert await again.find(ALICE, (1,)) == (name,)
    for number in range(2, CHUNK_SLOTS + 2):
        await again.pseudonym(ALICE, number)
    again.close()
    last = SaltFile.open(str(folder), refers_to_accounts)
    assert len(await last.find(ALICE, range(1, CHUNK_SLOTS + 2))) == CHUNK_SLOTS + 1
    last.close()


def test_how_far_the_audit_log_had_come_is_kept(folder: Path) -> None:
    """The newest note counts, also one of a lower number (a person went on with an older ledger); two slots take turns, and a torn one leaves the other."""
    salts = SaltFile.open(str(folder), refers_to_accounts)
    assert salts.noted is None
    for number in (7, 9, 3):
        salts.note(number, f"{number:064x}")
        assert salts.noted == (number, f"{number:064x}")
    size = (folder / "salts").stat().st_size
    salts.close()
    assert (folder / "salts").stat().st_size == size
    data = bytearray((folder / "salts").read_bytes())
    notes = {note.seq: at for at in range(0, len(data), SLOT) if (note := note_of(bytes(data[at : at + SLOT]))) is not None}
    assert sorted(notes) == [3, 9]
    again = SaltFile.open(str(folder), refers_to_accounts)
    assert (again.noted, again.damaged, again.used) == ((3, f"{3:064x}"), 0, 0)
    again.close()
    data[notes[3] + 100] ^= 1
    (folder / "salts").write_bytes(data)
    torn = SaltFile.open(str(folder), refers_to_accounts)
    assert torn.noted == (9, f"{9:064x}")
    torn.note(12, f"{12:064x}")
    assert torn.noted == (12, f"{12:064x}")
    torn.close()


async def test_notes_and_accounts_do_not_take_each_others_slots(folder: Path) -> None:
    """While the last free slot is taken, and after a restart."""
    salts = SaltFile.open(str(folder), refers_to_accounts)
    names = []
    for number in range(CHUNK_SLOTS + 3):
        names.append(await salts.pseudonym(ALICE, number))
        if number in {CHUNK_SLOTS - 3, CHUNK_SLOTS - 2, CHUNK_SLOTS}:
            salts.note(number, f"{number:064x}")
    salts.close()
    again = SaltFile.open(str(folder), refers_to_accounts)
    assert await again.find(ALICE, range(CHUNK_SLOTS + 3)) == tuple(names)
    assert again.noted == (CHUNK_SLOTS, f"{CHUNK_SLOTS:064x}")
    assert again.damaged == 0
    again.close()


def test_a_note_that_cannot_be_written_leaves_the_one_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no slot is lost to it."""
    salts = SaltFile.open(str(folder), refers_to_accounts)
    salts.note(1, f"{1:064x}")

    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fails)
        with pytest.raises(LedgerError, match="cannot be written"):
            salts.note(2, f"{2:064x}")
    assert salts.noted == (1, f"{1:064x}")
    salts.note(3, f"{3:064x}")
    assert salts.noted == (3, f"{3:064x}")
    salts.close()


async def test_the_reference_is_nowhere_in_the_state_directory(folder: Path) -> None:
    """R11: in no file, in no encoding that a search would try, after a whole life; nor are the words of a request."""
    secret, words = "Li-Wei-13800138000", "the customer Li Wei asked for it"
    async with rig_in(folder) as rig:
        await rig.released()
        await rig.bind(record(account=AccountReference(secret), number="s-2"))
        await rig.ledger.requests.add(PHONE, WipeRequest("r-1", "manual", "", rig.now), reference="T-1", reason=words, operator="op")
        searched = [path for path in folder.iterdir() if path.is_file()]
        assert {"ledger.db", "salts", "lookup-key"} <= {path.name for path in searched}
        everything = b"".join(path.read_bytes() for path in searched)
        assert PHONE.encode() in everything
        for text in (secret, "Li-Wei-1380", "13800138000", words, "asked for it", "alice@customers"):
            for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
                assert text.encode(encoding) not in everything
            assert base64.b64encode(text.encode())[:-4] not in everything
            assert hashlib.sha256(text.encode()).digest() not in everything
            assert hashlib.sha256(text.encode()).hexdigest().encode() not in everything


def test_a_killed_process_loses_nothing_it_handed_out(folder: Path) -> None:
    """SIGKILL right after a pseudonym was told: it is there."""
    code = f"""
import asyncio, os, signal
from wiped.model.subscription import AccountReference
from wiped.keys.salts import SaltFile
from wiped.record.sql.migrate import refers_to_accounts
async def main():
    salts = SaltFile.open({str(folder)!r}, refers_to_accounts)
    print(await salts.pseudonym(AccountReference("alice@customers.example"), 1), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == -9
    salts = SaltFile.open(str(folder), refers_to_accounts)
    assert asyncio.run(salts.find(ALICE, (1,))) == (done.stdout.strip(),)
    salts.close()


def test_the_state_directory_may_be_a_link(folder: Path) -> None:
    """To a larger disk: the first start makes its files there."""
    (folder / "disk").mkdir(mode=0o700, parents=True)
    (folder / "link").symlink_to(folder / "disk")
    SaltFile.open(str(folder / "link"), refers_to_accounts).close()
    assert {path.name for path in (folder / "disk").iterdir()} == {"salts", "lookup-key"}
