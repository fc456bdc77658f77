"""`wipectl audit`."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from pathlib import Path

from tests.fakes.service import UUID_TWO, make_audit
from tests.patience import PATIENCE
from tests.unit.cli.conftest import Operator
from wiped.attest.signing import Ed25519Signer, generate_key
from wiped.cli import main as wipectl


def test_the_audit_log_is_verified_from_its_first_entry(operator: Operator) -> None:
    """A changed entry is code 65, whoever changed it."""
    operator.service.entries = make_audit(1_234)
    assert operator.run("--output", "json", "audit", "verify").json["seq"] == 1_234
    entries = list(operator.service.entries)
    entries[700] = dataclasses.replace(entries[700], body={"uuid": UUID_TWO})
    operator.service.entries = tuple(entries)
    ran = operator.run("audit", "verify")
    assert ran.code == 65
    assert "audit entry 701" in ran.err


def test_the_audit_log_is_exported_and_verified_without_the_daemon(operator: Operator, tmp_path: Path) -> None:
    """The copy verifies offline against the host's key; a cut-off end, a changed byte and another key do not."""
    operator.service.entries = make_audit(1_002)
    operator.service.pem = operator.service.signer.public_pem
    copy, key = tmp_path / "log", tmp_path / "pub.pem"
    assert operator.run("--output", "json", "audit", "export", str(copy)).json["seq"] == 1_002
    key.write_bytes(operator.service.pem)
    asked = len(operator.service.asked)
    assert operator.run("--output", "json", "audit", "verify", str(copy), "--key", str(key)).json["seq"] == 1_002
    assert asked == len(operator.service.asked)
    whole = (copy / "audit.jsonl").read_bytes()
    (copy / "audit.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    assert operator.run("audit", "verify", str(copy), "--key", str(key)).code == 65
    (copy / "audit.jsonl").write_bytes(whole.replace(b'"number":7,', b'"number":8,', 1))
    assert operator.run("audit", "verify", str(copy), "--key", str(key)).code == 65
    (copy / "audit.jsonl").write_bytes(whole)
    key.write_bytes(Ed25519Signer(generate_key()).public_pem)
    assert operator.run("audit", "verify", str(copy), "--key", str(key)).code == 65
    (tmp_path / "file").write_text("x")
    assert operator.run("audit", "export", str(tmp_path / "file")).code == 2


def test_offline_commands_need_no_daemon(tmp_path: Path) -> None:
    """Verification trusts nobody who is running."""
    err = io.StringIO()
    code = wipectl.run(["audit", "verify", str(tmp_path)], out=io.StringIO(), err=err)
    assert (code, "audit.jsonl" in err.getvalue()) == (2, True)


def test_offline_verification_loads_nothing_of_the_daemon(operator: Operator, tmp_path: Path) -> None:
    """An auditor's machine needs neither the ledger nor its libraries."""
    operator.service.entries = make_audit(3)
    operator.service.pem = operator.service.signer.public_pem
    assert operator.run("audit", "export", str(tmp_path / "log")).code == 0
    code = (
        "import sys\nfrom wiped.cli import main\n"
        f"assert main.run(['--output', 'json', 'audit', 'verify', {str(tmp_path / 'log')!r}], out=sys.stderr) == 0\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} | {'.'.join(name.split('.')[:2]) for name in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout.split()
    assert "wiped.verify" in loaded
    assert {"sqlalchemy", "alembic", "libvirt", "wiped.record", "wiped.app", "wiped.conduct"} & set(loaded) == set()
