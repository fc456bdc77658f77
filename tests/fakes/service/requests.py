"""The fake service's part about requests."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import APPROVAL, REQUEST, REQUEST_ID, UUID_ONE, WORDS
from wiped.model.approvals import Person
from wiped.model.status import RequestsAsked
from wiped.model.subscription import AccountReference, WipeRequest


class FakeRequests:
    """Implements `wiped.ports.service.RequestsService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def add(self, kind: str, ground: str, *, uuid: str = "", account: AccountReference | None = None, reference: str, reason: str, confirm: str,
                          person: Person) -> RequestsAsked:  # fmt: skip
        self._desk.ask("add_request", kind, ground, uuid, account.value if account else None, reference, reason, confirm, person)
        asked = replace(REQUEST, id=f"{REQUEST_ID}:1" if account else REQUEST_ID, kind=kind, ground=ground)
        return RequestsAsked(((uuid or UUID_ONE, asked),), None if self._desk.alone else APPROVAL)

    async def find(self, uuid: str = "") -> tuple[tuple[str, WipeRequest, dict[str, str]], ...]:
        self._desk.ask("requests", uuid)
        return ((UUID_ONE, REQUEST, WORDS),)
