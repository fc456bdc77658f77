"""The fake service's part about phones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.fakes.service.desk import Desk
from wiped.errors import NotFoundError
from wiped.model.approvals import Person
from wiped.model.records import PhoneRecord
from wiped.model.status import Explanation


class FakePhones:
    """Implements `wiped.ports.service.PhonesService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def find(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        self._desk.ask("phones", tuple(states))
        return tuple(phone for phone in self._desk.known if not states or phone.state in states)

    async def resolve(self, name: str) -> PhoneRecord:
        self._desk.ask("resolve", name)
        found = [phone for phone in self._desk.known if name in (phone.uuid, phone.name)]
        if len(found) > 1:
            raise NotFoundError(f"several phones have this name: {', '.join(phone.uuid for phone in found)}", where="phone")
        if not found:
            raise NotFoundError("no such phone", where="phone")
        return found[0]

    async def explain(self, uuid: str) -> Explanation:
        self._desk.ask("explain", uuid)
        self._desk.explained += 1
        if self._desk.explained == 2:
            self._desk.made = [*self._desk.later, *self._desk.made]
        term = self._desk.terms[0] if self._desk.terms else None
        return Explanation(self._desk.phone(uuid), self._desk.decision(), term, (), (), tuple(wipe for wipe in self._desk.made if wipe.uuid == uuid))

    def _marked(self, method: str, uuid: str, reason: str, person: Person, **values: bool) -> PhoneRecord:
        self._desk.ask(method, uuid, reason, person)
        return replace(self._desk.phone(uuid), **values)

    async def suspend(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        return self._marked("suspend", uuid, reason, person, suspended=True, fenced=True)

    async def resume(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        return self._marked("resume", uuid, reason, person, suspended=False)

    async def protect(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        return self._marked("protect", uuid, reason, person, protected=True)

    async def unprotect(self, uuid: str, *, reason: str, person: Person) -> PhoneRecord:
        return self._marked("unprotect", uuid, reason, person, protected=False)
