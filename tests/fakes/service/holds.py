"""The fake service's part about legal holds."""

from __future__ import annotations

from datetime import datetime

from tests.fakes.service.desk import Desk
from tests.fakes.service.values import APPROVAL_ID, HOLD, HOLD_ID, NOW, PSEUDONYM
from wiped.errors import RefusedError
from wiped.model.approvals import Person
from wiped.model.subscription import AccountReference, Hold


class FakeHolds:
    """Implements `wiped.ports.service.HoldsService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def add(self, *, uuid: str = "", account: AccountReference | None = None, authority: str, reference: str, ground: str, until: datetime | None,
                       disclose: bool, reason: str, person: Person) -> Hold:  # fmt: skip
        self._desk.ask("add_hold", uuid, account.value if account else None, authority, reference, ground, until, disclose, reason, person)
        return Hold(HOLD_ID, uuid, PSEUDONYM if account else "", ground, until, authority, reference, disclose, NOW, person.name)

    async def release(self, hold_id: str, *, reason: str, person: Person) -> Hold:
        self._desk.ask("release_hold", hold_id, reason, person)
        raise RefusedError("releasing a legal hold takes a second, different person", codes=("needs-approval",), approval=APPROVAL_ID)

    async def in_force(self) -> tuple[Hold, ...]:
        self._desk.ask("holds")
        return (HOLD,)
