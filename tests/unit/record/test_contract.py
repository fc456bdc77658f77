"""The port Ledger: the real one and the fake keep the same contract."""

from __future__ import annotations

import pytest

from tests.contract.guards import GuardContract
from tests.contract.ledger import LedgerContract
from tests.fakes.ledger import MemoryLedger
from tests.unit.record.rig import Rig
from wiped.ports.ledger import Ledger


class TestSqlLedger(LedgerContract, GuardContract):
    """SQLite."""

    @pytest.fixture
    async def ledger(self, rig: Rig) -> Ledger:
        """Over a salt file of its own."""
        return rig.ledger


class TestMemoryLedger(LedgerContract, GuardContract):
    """The fake of the conductor's tests."""

    @pytest.fixture
    async def ledger(self) -> Ledger:
        """In memory."""
        return MemoryLedger()
