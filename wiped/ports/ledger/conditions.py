"""JSON values that are kept for the whole host."""

from __future__ import annotations

from typing import Any, Protocol


class ConditionStore(Protocol):
    """JSON values that are kept for the whole host."""

    async def get(self, key: str) -> Any:
        """A JSON value that is kept for the whole host; None where there is none."""

    async def keep(self, key: str, value: Any) -> None:
        """Keep it."""
