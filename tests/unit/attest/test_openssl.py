"""The signature verifies with stock tools alone: the very commands of the documentation are run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.unit.attest.samples import arguments
from wiped.attest.certificate import statement
from wiped.attest.signing import Ed25519Signer, generate_key, seal

ROOT = Path(__file__).parents[3]
SNIPPET = re.compile(r"<!-- verify:begin -->\s*```sh\n(.*?)```\s*<!-- verify:end -->", re.DOTALL)
DOCUMENT = ROOT / "docs" / "verify-certificate.md"


def commands(document: Path = DOCUMENT) -> str:
    """The shell commands between the markers of a document."""
    found = SNIPPET.search(document.read_text(encoding="utf-8"))
    assert found is not None, f"{document} has no commands between its markers"
    return found.group(1)


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the documented commands in `folder`, as an auditor would."""
    return subprocess.run(["sh", "-c", commands()], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a certificate and its public key, and nothing else."""
    if not (shutil.which("jq") and shutil.which("openssl")):
        pytest.skip("jq or openssl is not installed")
    signer = Ed25519Signer(generate_key())
    (tmp_path / "certificate.json").write_bytes(seal(statement(**arguments()), signer))
    (tmp_path / "pub.pem").write_bytes(signer.public_pem)
    return tmp_path


def test_the_documented_commands_verify_a_certificate(folder: Path) -> None:
    """Exit 0, and they print what was proven."""
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert "Signature Verified Successfully" in done.stdout
    assert '"outcome": "clear"' in done.stdout


@pytest.mark.parametrize("key", ["payload", "sig"])
def test_a_changed_byte_of_payload_or_signature_fails(folder: Path, key: str) -> None:
    """Each of sixteen letters over the length of either."""
    path = folder / "certificate.json"
    good = path.read_bytes()
    envelope = json.loads(good)
    text = envelope["payload"] if key == "payload" else envelope["signatures"][0]["sig"]
    body = text.rstrip("=")
    for at in range(0, len(body) - 1, max(1, len(body) // 16)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        path.write_bytes(good.replace(text.encode(), changed.encode()))
        assert run(folder).returncode != 0, f"a change at {at} of {key} went unnoticed"
    path.write_bytes(good)
    assert run(folder).returncode == 0


def test_another_key_fails(folder: Path) -> None:
    """The public key of another host."""
    (folder / "pub.pem").write_bytes(Ed25519Signer(generate_key()).public_pem)
    assert run(folder).returncode != 0


def test_the_readme_leads_to_the_commands() -> None:
    """An auditor who begins with the README finds them, and finds them once."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"({DOCUMENT.relative_to(ROOT)})" in readme
    assert SNIPPET.search(readme) is None
