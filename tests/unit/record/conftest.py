"""Fixtures: a rig on a filesystem in memory where there is one (thousands of syncs cost nothing there)."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.ledger import MemoryLedger
from tests.unit.record.rig import Rig, rig_in
from wiped.ports.ledger import Ledger


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


@pytest.fixture(params=["sqlite", "memory"])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    """An empty ledger, the real one and the fake in turn: both keep the same contract."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as path:
        async with rig_in(Path(path)) as opened:
            yield opened.ledger
