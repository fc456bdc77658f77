"""HTTP to the daemon, and its errors."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Operator
from wiped.cli import main as wipectl
from wiped.errors import (
    ConfigError,
    HelperError,
    HypervisorError,
    LedgerError,
    NotAuthorisedError,
    NotSanitizedError,
    RefusedError,
    StorageError,
    VerificationError,
)

WIPE = ("wipe", "phone-one", "--reason", "the service has ended", "--confirm", "phone-one", "--ticket", "T-1")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError("the subscription is active", codes=("subscription-active",)), 3),
        (NotSanitizedError("unproven", reasons=("io-error",)), 4),
        (VerificationError("no"), 65),
        (HypervisorError("libvirt is down"), 75),
        (StorageError("bad sector"), 75),
        (HelperError("the eraser died"), 75),
        (LedgerError("disk full"), 75),
        (NotAuthorisedError("you have not the role"), 77),
        (ConfigError("no"), 78),
        (RuntimeError("a bug"), 1),
    ],
)
def test_the_daemon_s_errors_become_exit_codes(operator: Operator, error: Exception, code: int) -> None:
    """The table of docs/contract.md, with the code on stderr and a document on stdout where one was asked for."""
    operator.service.fails["request_wipe"] = error
    ran = operator.run(*WIPE)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("wipectl: ")
    ran = operator.run("--output", "json", *WIPE)
    assert ran.code == code
    assert ran.json["code"] in ran.err


def test_no_daemon_is_code_69(tmp_path: Path) -> None:
    """With the socket's path and why."""
    out, err = io.StringIO(), io.StringIO()
    code = wipectl.run(["--socket", str(tmp_path / "no.sock"), "status"], out=out, err=err)
    assert (code, out.getvalue()) == (69, "")
    assert "No such file" in err.getvalue()
