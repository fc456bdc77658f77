"""The words that people wrote, sealed under an account's key."""

from __future__ import annotations

from typing import Protocol


class WordStore(Protocol):
    """The words that people wrote, sealed under an account's key."""

    async def about(self, about: str) -> dict[str, str]:
        """The sealed words about a thing (a request's, hold's, drain's or approval's id), unsealed: `reference`, `reason`, `authority`. What was
        anonymised is absent."""

    async def reason(self, about: str) -> str:
        """The reason that was given with a request (by its id), a release (`breaker:ID`) or `clock`, unsealed; "" when there was none.

        Raises NotFoundError when the account was anonymised."""
