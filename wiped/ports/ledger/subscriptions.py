"""Who has which phone until when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from wiped.model.subscription import AccountReference, FeedTaken, Subscription, SubscriptionRecord


class SubscriptionStore(Protocol):
    """Who has which phone until when."""

    async def record(self, records: Sequence[SubscriptionRecord], now: datetime, *, source: str, operator: str) -> tuple[Subscription, ...]:
        """All or nothing. Binds, renews, or starts a generation (docs/design.md, "The life of a phone"). Another account on an unwiped phone:
        RefusedError(generation-occupied), and the phone is marked `occupied`. A phone whose wipe passed the last word: RefusedError(subscription-renewed)."""

    async def record_answer(self, records: Sequence[SubscriptionRecord], now: datetime, *, source: str) -> FeedTaken:
        """A feed's records, each for itself: what is refused is told (once) and counted, the rest is taken. Revisions never go back."""

    async def get(self, uuid: str) -> Subscription | None:
        """The current term of a phone."""

    async def current(self) -> tuple[Subscription, ...]:
        """All current terms."""

    async def shorten(self, uuid: str, generation: int, terms: Mapping[str, str], now: datetime, *, operator: str, approver: str) -> Subscription:
        """The end of a running term brought forward by two people (audited). Raises RefusedError(drift) when generation or term changed since."""

    async def of_account(self, account: AccountReference) -> tuple[tuple[Subscription, datetime | None], ...]:
        """Every term of this account, oldest generation first, with when its generation ended; anonymised ones are nobody's any more."""

    async def living(self, account: AccountReference) -> tuple[tuple[str, int, str], ...]:
        """(uuid, generation, pseudonym) of every generation that has not ended and whose term is this account's; makes no pseudonym."""

    async def bound(self) -> int:
        """How many phones have a generation that has not ended."""
