"""Free space after a wipe."""

from __future__ import annotations

import pytest

from tests.contract.ledger import begun
from tests.fakes.clock import START
from tests.unit.record.rig import yes
from wiped.errors import InvariantError
from wiped.ports.ledger import Ledger
from wiped.wire.messages import Trimmed


async def test_free_space_is_remembered_of_a_running_wipe_alone(ledger: Ledger) -> None:
    """By filesystem; the newest answer counts; in the audit log without a path."""
    await begun(ledger)
    with pytest.raises(InvariantError):
        await ledger.free_space.record("w-1", 7, Trimmed("/phones", "fitrim"))
    await ledger.wipes.last_word("w-1", START, yes)
    assert await ledger.free_space.methods("w-1") == {}
    await ledger.free_space.record("w-1", 7, Trimmed("/phones", "", 0, "the device gives discarded blocks back"))
    await ledger.free_space.record("w-1", 9, Trimmed("/nvram", "fill", 4_096))
    await ledger.free_space.record("w-1", 7, Trimmed("/phones", "fitrim", 1 << 30))
    assert await ledger.free_space.methods("w-1") == {7: "fitrim", 9: "fill"}
    told = [entry for entry in await ledger.audit.entries() if entry.kind == "trimmed"]
    assert [entry.body["method"] for entry in told] == ["", "fill", "fitrim"]
    assert "/phones" not in repr(told)
