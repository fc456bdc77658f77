"""What is remembered of the host's clock, and an operator's word that it is right."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from wiped.model.clock import ClockMemory


class ClockStore(Protocol):
    """What is remembered of the host's clock, and an operator's word that it is right."""

    async def memory(self) -> ClockMemory | None:
        """What was remembered of the clock; None at the very first start."""

    async def keep(self, memory: ClockMemory, now: datetime, told: dict[str, Any] | None = None) -> None:
        """Remember it. `told` (a changed suspicion) is audited as `clock`, and every due phone is decided again."""

    async def trust(self, memory: ClockMemory, now: datetime, *, reason: str, operator: str) -> None:
        """An operator cleared a suspicion (audited; `reason` is sealed): `memory` is the clock as it stands."""
