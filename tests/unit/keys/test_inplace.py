"""Overwriting in place where nothing can be proven. On real devices: `tests/host/test_salts.py`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wiped.keys.inplace import destroy_range


def test_a_memory_filesystem_is_overwritten_and_proves_nothing() -> None:
    """The bytes are gone from the file, those around them stay, and the reasons say that no device was read back."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("no filesystem in memory here")
    path = memory / f"wiped-inplace-{os.getpid()}"
    try:
        path.write_bytes(b"a" * 4096 + b"secret!!" * 512 + b"b" * 4096)
        assert "opaque-storage" in destroy_range(str(path), 4096, 4096)
        after = path.read_bytes()
    finally:
        path.unlink()
    assert (after[:4096], after[8192:], len(after)) == (b"a" * 4096, b"b" * 4096, 12_288)
    assert b"secret!!" not in after
