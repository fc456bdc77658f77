"""Fixtures: a rig on a filesystem in memory where there is one (thousands of syncs cost nothing there)."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.unit.record.rig import Rig, rig_in


@pytest.fixture
def folder() -> Iterator[Path]:
    """A state directory of its own."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as path:
        yield Path(path)


@pytest.fixture
async def rig(folder: Path) -> AsyncIterator[Rig]:
    """A ledger that is open."""
    async with rig_in(folder) as opened:
        yield opened
