"""The audit log: chained, exported, verified."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.record.rig import PHONE, Rig
from wiped.attest.signing import Ed25519Signer, generate_key
from wiped.errors import InputError, LedgerError, VerificationError
from wiped.record.audit import ENTRIES_FILE, HEAD_FILE, KEY_FILE, verify_directory
from wiped.record.sql.migrate import FILE_NAME

SIGNER = Ed25519Signer(generate_key())


@pytest.fixture
async def exported(rig: Rig, tmp_path: Path) -> Path:
    """The log of a whole life, exported."""
    await rig.released()
    head = await rig.ledger.audit.export(str(tmp_path / "log"), SIGNER)
    assert head == await rig.ledger.audit.verify()
    return tmp_path / "log"


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


def test_an_export_verifies(exported: Path) -> None:
    """With its own key and with one that was brought along; every line is an entry."""
    lines = (exported / ENTRIES_FILE).read_bytes().splitlines()
    assert verify_directory(str(exported)).seq == len(lines)
    assert verify_directory(str(exported), SIGNER.public_pem).seq == len(lines)
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))


def test_changed_cut_and_lengthened_exports_are_found(exported: Path) -> None:
    """A byte anywhere, the last line missing (which a chain alone cannot show), a line twice, no line at all."""
    path = exported / ENTRIES_FILE
    good = path.read_bytes()
    lines = good.splitlines(keepends=True)
    bad = [b"".join(lines[:-1]), b"".join([*lines, lines[-1]]), b"", good[:-1], good + b"\n", b"".join(lines[1:])]
    for at in range(0, len(good), 97):
        bad.append(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    for data in bad:
        path.write_bytes(data)
        with pytest.raises(VerificationError):
            verify_directory(str(exported))
    path.write_bytes(good)
    verify_directory(str(exported))


def test_another_key_is_found(exported: Path) -> None:
    """Whoever brings the key need not trust the directory's."""
    with pytest.raises(VerificationError, match="another key"):
        verify_directory(str(exported), Ed25519Signer(generate_key()).public_pem)
    (exported / KEY_FILE).write_bytes(Ed25519Signer(generate_key()).public_pem)
    with pytest.raises(VerificationError):
        verify_directory(str(exported))


@pytest.mark.parametrize("name", [ENTRIES_FILE, KEY_FILE, HEAD_FILE])
def test_a_missing_file_is_bad_input(exported: Path, name: str) -> None:
    """Named."""
    (exported / name).unlink()
    with pytest.raises(InputError, match=name):
        verify_directory(str(exported))


async def test_an_empty_log_has_a_head_too(rig: Rig, tmp_path: Path) -> None:
    """Nothing happened, and that is signed."""
    assert (await rig.ledger.audit.export(str(tmp_path), SIGNER)).seq == 0
    assert verify_directory(str(tmp_path)).seq == 0


async def test_nothing_of_a_file_or_a_seed_is_in_the_audit_log(rig: Rig) -> None:
    """Locations hold customers' names here; seeds would tell the keystream; details are dropped whoever hands them in."""
    await rig.released()
    await rig.ledger.audit.note(
        "refused", {"uuid": PHONE, "location": "/srv/Li-Wei", "deep": [{"detail": "Li Wei", "code": "x"}], "codes": {"b", "a"}}, rig.now
    )
    told = str(await rig.ledger.audit.entries())
    for secret in ("/srv", "Wei", bytes([1] * 32).hex(), ".wiped-"):
        assert secret not in told
    assert (await rig.ledger.audit.entries())[-1].body == {"uuid": PHONE, "deep": [{"code": "x"}], "codes": ["a", "b"]}
