"""A new ledger's file, migrated once for all tests of a process: the migrations take a quarter of a second, and have tests of their own."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

from wiped.record.sql.migrate import FILE_NAME, migrate


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE_NAME
        migrate(str(path))
        return path.read_bytes()


def new_ledger(folder: Path | str) -> None:
    """Put an empty ledger into `folder`, which is made if need be, where there is none."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = Path(folder) / FILE_NAME
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(_migrated())
