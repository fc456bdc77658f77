"""Free space of filesystems, in the fake ledger."""

from __future__ import annotations

from tests.fakes.ledger.state import Memo
from wiped.errors import InvariantError
from wiped.model.records import WipeStep
from wiped.wire.messages import Trimmed


class FakeFreeSpace:
    """`ports.ledger.FreeSpaceStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def record(self, wipe_id: str, device: int, answer: Trimmed) -> None:
        self._state.write()
        if self._state.wipes[wipe_id].step not in {WipeStep.ERASING, WipeStep.VERIFYING, WipeStep.REMOVING}:
            raise InvariantError("I7", "free space for a wipe that is not running")
        self._state.trims[wipe_id, device] = answer.method
        self._state.log("trimmed", {"wipe_id": wipe_id, "device": device, "method": answer.method})

    async def methods(self, wipe_id: str) -> dict[int, str]:
        return {device: method for (known, device), method in self._state.trims.items() if known == wipe_id}
