"""The audit log on its way out: `audit verify DIR` needs nothing of ours but the directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.record.rig import Rig
from tests.unit.verify.copy import export
from wiped.attest.audit_chain import parse_entry_line
from wiped.attest.signing import Ed25519Signer, generate_key
from wiped.errors import InputError, VerificationError
from wiped.verify.export import ENTRIES_FILE, HEAD_FILE, KEY_FILE, Export, verify_directory

SIGNER = Ed25519Signer(generate_key())


@pytest.fixture
async def exported(rig: Rig, tmp_path: Path) -> Path:
    """The log of a whole life, exported."""
    await rig.released()
    head = await export(rig.ledger, str(tmp_path / "log"), SIGNER)
    assert head == await rig.ledger.audit.verify()
    return tmp_path / "log"


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
    assert (await export(rig.ledger, str(tmp_path), SIGNER)).seq == 0
    assert verify_directory(str(tmp_path)).seq == 0


def test_an_export_that_was_not_finished_leaves_the_earlier_one_whole(exported: Path) -> None:
    """A daemon that is gone in between takes nobody's evidence away, and nothing half-written stays beside it."""
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    with Export(str(exported)) as again:
        again.add([parse_entry_line((exported / ENTRIES_FILE).read_bytes().splitlines(keepends=True)[0], number=1)])
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before
    assert verify_directory(str(exported), SIGNER.public_pem).seq > 1


def test_a_directory_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=f"{tmp_path}/file/log: cannot be written"):
        Export(str(tmp_path / "file/log"))
