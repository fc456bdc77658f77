"""The audit log is verified with stock tools alone: the very commands of the document are run on a real export."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.record.rig import rig_in
from tests.unit.verify import copy
from wiped.attest.signing import Ed25519Signer, generate_key
from wiped.verify.export import ENTRIES_FILE, HEAD_FILE, KEY_FILE

DOCUMENT = (Path(__file__).parents[3] / "docs" / "verify-audit.md").read_text(encoding="utf-8")
SIGNER = Ed25519Signer(generate_key())

Lines = list[bytes]


def block(name: str) -> str:
    """The shell commands between two markers of the document."""
    (found,) = re.findall(rf"<!-- {name}:begin -->\s*```sh\n(.*?)```\s*<!-- {name}:end -->", DOCUMENT, re.DOTALL)
    return str(found)


def run(folder: Path, name: str = "verify") -> subprocess.CompletedProcess[str]:
    """Run a block of the document in `folder`, as an auditor would."""
    return subprocess.run(["sh", "-c", block(name)], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)


async def _exported(state: Path, log: Path) -> None:
    async with rig_in(state) as rig:
        await rig.released()
        await rig.ledger.audit.note("spoken", {"words": 'DEL \x7f, é, "quoted", back\\slash, ,"hash":"', "inode": 2**63 + 1}, datetime(2027, 1, 1, tzinfo=UTC))
        await copy.export(rig.ledger, str(log), SIGNER)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported log of a phone's whole life; the ledger itself is in memory, where syncs cost nothing."""
    log = tmp_path_factory.mktemp("life") / "log"
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as state:
        asyncio.run(_exported(Path(state), log))
    return log


@pytest.fixture
def export(life: Path, tmp_path: Path) -> Path:
    """A copy of the export, with the key that the auditor trusts."""
    if not (shutil.which("jq") and shutil.which("openssl")):
        pytest.skip("jq or openssl is not installed")
    shutil.copytree(life, tmp_path / "log")
    (tmp_path / "log" / "pub.pem").write_bytes(SIGNER.public_pem)
    return tmp_path / "log"


def rewrite(export: Path, change: Callable[[Lines], Lines]) -> None:
    """Change the lines of an exported log."""
    file = export / ENTRIES_FILE
    file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))


def test_the_documented_commands_verify_an_export(export: Path) -> None:
    """Exit 0, and they say how many entries; entries with every awkward byte included."""
    done = run(export)
    assert done.returncode == 0, done.stdout + done.stderr
    count = len((export / ENTRIES_FILE).read_bytes().splitlines())
    assert count > 10
    assert "Signature Verified Successfully" in done.stdout
    assert f"verified: {count} entries up to 2027-01-01T00:00:00" in done.stdout


@pytest.mark.long
def test_a_changed_entry_fails(export: Path) -> None:
    """A digit of an instant, a word of a body, the kind, the own hash, the hash before: in the first, a middle and the last entry."""
    good = (export / ENTRIES_FILE).read_bytes()
    lines = good.splitlines(keepends=True)
    tried = 0
    for at in (0, len(lines) // 2, len(lines) - 1):
        changes = (
            (rb'"at":"2', b'"at":"3'),
            (rb'"body":\{"', b'"body":{"x'),
            (rb'"kind":"', b'"kind":"x'),
            (rb'"hash":"[0-9a-f]', b'"hash":"x'),
            (rb'"hash":"[0-9a-f]{4}', b'"hash":"0000'),
            (rb'"previous":"[0-9a-f]{4}', b'"previous":"1111'),
        )
        for pattern, replacement in changes:
            changed, number = re.subn(pattern, replacement, lines[at], count=1)
            assert number == 1, pattern
            assert changed != lines[at]
            (export / ENTRIES_FILE).write_bytes(b"".join([*lines[:at], changed, *lines[at + 1 :]]))
            assert run(export).returncode != 0, f"{pattern!r} in entry {at + 1} went unnoticed"
            tried += 1
    assert tried == 18
    (export / ENTRIES_FILE).write_bytes(good)
    assert run(export).returncode == 0


def test_a_changed_entry_is_named(export: Path) -> None:
    """An auditor is told which one."""
    rewrite(export, lambda lines: [*lines[:4], lines[4].replace(b'"at":"2', b'"at":"3', 1), *lines[5:]])
    assert "entry 5 was changed" in run(export).stdout


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda lines: lines[1:], id="the first"),
        pytest.param(lambda lines: [*lines[:5], *lines[6:]], id="one in the middle"),
        pytest.param(lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]], id="two change places"),
        pytest.param(lambda lines: [*lines[:5], lines[4], *lines[5:]], id="one twice"),
        pytest.param(lambda lines: lines[:-1], id="the last is cut off"),
        pytest.param(lambda lines: lines[: len(lines) // 2], id="half is cut off"),
        pytest.param(lambda lines: [], id="everything"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1][:-1]], id="the end of the last line"),
        pytest.param(lambda lines: [*lines, b"{}"], id="something is added, without an end of line"),
        pytest.param(lambda lines: [*lines, b"\n"], id="an empty line is added"),
    ],
)
def test_a_removed_moved_or_added_entry_fails(export: Path, change: Callable[[Lines], Lines]) -> None:
    """Wherever it is: in the middle the chain breaks, at the end the signed head does not fit."""
    rewrite(export, change)
    assert run(export).returncode != 0


def test_a_log_that_was_rebuilt_without_its_end_fails(export: Path) -> None:
    """A shorter chain that is whole in itself, under the head of the longer one: only the signature knows."""
    rewrite(export, lambda lines: lines[:-3])
    done = run(export)
    assert done.returncode != 0
    assert "was changed" not in done.stdout


def test_another_key_fails(export: Path) -> None:
    """The auditor trusts another host's key; or the exported directory was signed anew by somebody else."""
    (export / "pub.pem").write_bytes(Ed25519Signer(generate_key()).public_pem)
    assert run(export).returncode != 0
    (export / "pub.pem").write_bytes((export / KEY_FILE).read_bytes())
    assert run(export).returncode == 0


@pytest.mark.parametrize("key", ["payload", "sig"])
def test_a_changed_byte_of_the_signed_head_fails(export: Path, key: str) -> None:
    """Of what is signed, or of the signature."""
    file = export / HEAD_FILE
    good = file.read_bytes()
    envelope = json.loads(good)
    text = envelope["payload"] if key == "payload" else envelope["signatures"][0]["sig"]
    for at in range(0, len(text.rstrip("=")) - 1, max(1, len(text) // 8)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        file.write_bytes(good.replace(text.encode(), changed.encode()))
        assert run(export).returncode != 0, f"a change at {at} of {key} went unnoticed"


async def test_a_log_that_lost_its_end_before_it_was_signed_is_found_by_an_earlier_head(export: Path, tmp_path: Path) -> None:
    """The second block: an earlier head is still in a longer log, and not in one whose end was taken off and which went on otherwise."""
    assert run(export).returncode == 0
    earlier = (export / "head.json").read_bytes()
    (export / "earlier.json").write_bytes(earlier)
    assert run(export, "earlier").returncode == 0
    async with rig_in(tmp_path / "other") as rig:
        for number in range(json.loads(earlier)["seq"] + 5):
            await rig.ledger.audit.note("other", {"number": number}, datetime(2027, 2, 1, tzinfo=UTC))
        await copy.export(rig.ledger, str(tmp_path / "rebuilt"), SIGNER)
    rebuilt = tmp_path / "rebuilt"
    (rebuilt / "pub.pem").write_bytes(SIGNER.public_pem)
    (rebuilt / "earlier.json").write_bytes(earlier)
    assert run(rebuilt).returncode == 0
    assert run(rebuilt, "earlier").returncode != 0


async def test_an_empty_log_verifies(tmp_path: Path) -> None:
    """Nothing happened yet, and that is signed."""
    async with rig_in(tmp_path / "state") as rig:
        await copy.export(rig.ledger, str(tmp_path / "log"), SIGNER)
    (tmp_path / "log" / "pub.pem").write_bytes(SIGNER.public_pem)
    done = run(tmp_path / "log")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verified: 0 entries" in done.stdout
