"""The fake service's part about plans."""

from __future__ import annotations

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import UUID_TWO, make_plan
from wiped.model.plan import Plan


class FakePlans:
    """Implements `wiped.ports.service.PlansService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def get(self, uuid: str) -> Plan:
        self._desk.ask("plan", uuid)
        self._desk.phone(uuid)
        return make_plan(refused=uuid == UUID_TWO)
