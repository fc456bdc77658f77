"""The fake service's part about drains."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import DRAIN, DRAIN_ID, NOW
from wiped.model.approvals import Drain, Person


class FakeDrains:
    """Implements `wiped.ports.service.DrainsService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def start(self, at: datetime, *, product: str, reason: str, person: Person) -> Drain:
        self._desk.ask("start_drain", at, product, reason, person)
        return Drain(DRAIN_ID, at, product, NOW, person.name)

    async def in_force(self) -> tuple[Drain, ...]:
        self._desk.ask("drains")
        return tuple(self._desk.draining)

    async def cancel(self, drain_id: str, *, reason: str, person: Person) -> Drain:
        self._desk.ask("cancel_drain", drain_id, reason, person)
        return replace(DRAIN, cancelled_at=NOW)
