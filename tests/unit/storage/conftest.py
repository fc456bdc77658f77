"""Fixtures of this room."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """A directory for images, without symbolic links above it."""
    (tmp_path / "pool").mkdir()
    return (tmp_path / "pool").resolve()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one image in a directory."""
    (tmp_path / "root/pool").mkdir(parents=True)
    (tmp_path / "root/pool/image").write_bytes(b"data")
    return (tmp_path / "root").resolve()
