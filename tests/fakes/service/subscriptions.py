"""The fake service's part about subscriptions."""

from __future__ import annotations

from collections.abc import Sequence

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import make_term
from wiped.model.approvals import Person
from wiped.model.subscription import Subscription, SubscriptionRecord


class FakeSubscriptions:
    """Implements `wiped.ports.service.SubscriptionsService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def set(self, record: SubscriptionRecord, person: Person) -> Subscription:
        self._desk.ask("set_subscription", record, person.name)
        self._desk.terms.append(make_term(record))
        return self._desk.terms[-1]

    async def record_all(self, records: Sequence[SubscriptionRecord], operator: str) -> tuple[Subscription, ...]:
        self._desk.ask("import_subscriptions", tuple(records), operator)
        self._desk.terms = [make_term(record) for record in records]
        return tuple(self._desk.terms)

    async def current(self) -> tuple[Subscription, ...]:
        self._desk.ask("subscriptions")
        return tuple(self._desk.terms)
