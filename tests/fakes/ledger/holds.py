"""Legal holds, in the fake ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tests.fakes.ledger.state import Memo, pseudonym
from wiped.errors import NotFoundError
from wiped.model.subscription import AccountReference, Hold


class FakeHolds:
    """`ports.ledger.HoldStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    def _touch(self, hold: Hold) -> None:
        accounts = {hold.account, *self._state.held_accounts.get(hold.id, ())}
        self._state.touched |= {uuid for uuid, term in self._state.terms.items() if term.account in accounts} | ({hold.uuid} - {""})

    async def add(self, hold: Hold, now: datetime, operator: str, *, reason: str = "") -> None:
        self._state.write()
        self._state.holds[hold.id] = replace(hold, authority="", reference="", added_at=now, operator=operator)
        self._state.held_accounts.setdefault(hold.id, set())
        self._state.keep_words(hold.id, authority=hold.authority, reference=hold.reference, reason=reason)
        self._touch(hold)
        self._state.log("hold", {"id": hold.id, "uuid": hold.uuid, "account": hold.account, "ground": hold.ground, "operator": operator}, now)

    async def add_for_account(self, hold: Hold, account: AccountReference, now: datetime, operator: str, *, reason: str) -> Hold:
        recorded = replace(hold, uuid="", account=pseudonym(account.value, 0))
        self._state.held_accounts[hold.id] = self._state.pseudonyms(account.value)
        await self.add(recorded, now, operator, reason=reason)
        return recorded

    async def release(self, hold_id: str, now: datetime, operator: str) -> None:
        self._state.write()
        hold = self._state.holds.pop(hold_id, None)
        if hold is None:
            raise NotFoundError("no such hold is in force", where="hold")
        self._touch(hold)
        for item in self._state.requests:
            request = item.request
            if not item.closed and request.approved and request.approved_at and request.approved_until and item.uuid in self._state.touched:
                until = max(request.approved_until, now + (request.approved_until - request.approved_at))
                item.request = replace(request, approved_until=until)
        self._state.log("hold-released", {"id": hold_id, "uuid": hold.uuid, "account": hold.account, "operator": operator}, now)

    async def in_force(self) -> tuple[Hold, ...]:
        return tuple(self._state.holds.values())

    async def on(self, account: AccountReference, uuids: Sequence[str]) -> tuple[Hold, ...]:
        names = self._state.pseudonyms(account.value)
        return tuple(hold for hold in self._state.holds.values() if hold.uuid in uuids or names & {hold.account, *self._state.held_accounts[hold.id]})
