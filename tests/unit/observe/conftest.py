"""Fixtures of this room."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.observe.places import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Directories of this test."""
    return Places(Path(os.path.realpath(tmp_path)))
