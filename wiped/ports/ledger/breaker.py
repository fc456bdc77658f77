"""The circuit breaker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from wiped.model.breaker import BreakerRecord, DueCount
from wiped.model.policy import Safety


class BreakerStore(Protocol):
    """The circuit breaker."""

    async def get(self) -> BreakerRecord:
        """The breaker, and while it is open the phones that wait behind it."""

    async def count_due(self, found: Sequence[tuple[str, int]], now: datetime, safety: Safety) -> DueCount:
        """Count these (uuid, generation) as newly due, each once for as long as it stays due, and open the breaker in the same transaction when they are
        too many (`decide.breaker`; audited). Idempotent."""

    async def release(self, now: datetime, *, fingerprint: str, reason: str, operator: str, approver: str) -> BreakerRecord:
        """Close the breaker and allow the wipe of exactly the phones that wait behind it (audited with both people; `reason` is sealed). Returns the breaker
        as it was before. Raises InputError when it is not open, RefusedError(drift) when `fingerprint` names another set of phones, InvariantError(R14)
        unless two different people did it."""
