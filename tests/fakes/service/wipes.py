"""The fake service's part about wipes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tests.fakes.service.desk import Desk
from wiped.errors import NotFoundError
from wiped.model.approvals import Person
from wiped.model.records import WipeRecord
from wiped.model.status import WipeAsked, WipeNews


class FakeWipes:
    """Implements `wiped.ports.service.WipesService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def ask(self, uuid: str, *, reason: str, ticket: str, confirm: str, person: Person) -> WipeAsked:
        self._desk.ask("request_wipe", uuid, reason, ticket, confirm, person.name)
        self._desk.explained = 0
        return WipeAsked("request-1", self._desk.made[0] if self._desk.begins else None, self._desk.decision())

    async def find(self, uuid: str = "") -> tuple[WipeRecord, ...]:
        self._desk.ask("wipes", uuid)
        return tuple(wipe for wipe in self._desk.made if not uuid or wipe.uuid == uuid)

    async def get(self, wipe_id: str) -> WipeRecord:
        self._desk.ask("wipe", wipe_id)
        for wipe in self._desk.made:
            if wipe.id == wipe_id:
                return wipe
        raise NotFoundError("no such wipe", where="wipe")

    async def events(self, wipe_id: str) -> AsyncIterator[WipeNews]:
        await self.get(wipe_id)
        for item in self._desk.news:
            yield item
