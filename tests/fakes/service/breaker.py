"""The fake service's part about the circuit breaker."""

from __future__ import annotations

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import APPROVAL_ID
from wiped.errors import RefusedError
from wiped.model.approvals import Person
from wiped.model.breaker import BreakerRecord


class FakeBreaker:
    """Implements `wiped.ports.service.BreakerService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def get(self) -> BreakerRecord:
        self._desk.ask("breaker")
        return self._desk.tripped

    async def release(self, *, fingerprint: str, reason: str, person: Person) -> BreakerRecord:
        self._desk.ask("release_breaker", fingerprint, reason, person.name)
        raise RefusedError("releasing the breaker takes a second, different person", codes=("needs-approval",), approval=APPROVAL_ID)
