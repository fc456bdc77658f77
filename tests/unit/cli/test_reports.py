"""`wipectl reports`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tests.unit.cli.conftest import Operator

ACCOUNT = "customer-4711@example.org"


def test_reports_are_files_of_their_owner(operator: Operator, tmp_path: Path) -> None:
    """JSON or a page by the file's ending, mode 0600 even over an open one; standard output else."""
    page = tmp_path / "report.html"
    page.touch(0o644)
    assert operator.run("reports", "subject", "--account", ACCOUNT, "-o", str(page)).code == 0
    assert (page.read_text().startswith("<!doctype html>"), stat.S_IMODE(os.stat(page).st_mode)) == (True, 0o600)
    ran = operator.run("reports", "period", "--from", "2026-01-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z")
    assert (ran.code, ran.json["kind"]) == (0, "period")
    assert operator.run("reports", "period", "--from", "2026-01-01", "--to", "2026-02-01T00:00:00Z").code == 2
