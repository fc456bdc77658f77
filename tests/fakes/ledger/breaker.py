"""The circuit breaker, in the fake ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tests.fakes.ledger.state import BEYOND, Counted, Memo
from wiped.decide import breaker as rules
from wiped.errors import InputError, InvariantError, RefusedError
from wiped.model.breaker import BreakerRecord, CountedPhone, DueCount
from wiped.model.policy import Safety


class FakeBreaker:
    """`ports.ledger.BreakerStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    def _waiting(self) -> list[Counted]:
        return [
            c
            for c in self._state.counted
            if not c.ended and not c.released and self._state.phones[c.uuid].generation == c.generation and self._state.phones[c.uuid].state not in BEYOND
        ]

    async def get(self) -> BreakerRecord:
        if not self._state.breaker.open:
            return self._state.breaker
        waiting = tuple(
            CountedPhone(c.uuid, self._state.phones[c.uuid].name, c.generation, c.at, self._state.phones[c.uuid].due_at)
            for c in sorted(self._waiting(), key=lambda c: (c.at, c.uuid))
        )
        return replace(self._state.breaker, waiting=waiting, fingerprint=rules.fingerprint((c.uuid, c.generation) for c in waiting))

    async def count_due(self, found: Sequence[tuple[str, int]], now: datetime, safety: Safety) -> DueCount:
        known = {(c.uuid, c.generation) for c in self._state.counted if not c.ended}
        fresh = tuple(key for key in dict.fromkeys(found) if key not in known)
        if not fresh:
            return DueCount((), opened=False, breaker=await self.get())
        self._state.write()
        self._state.counted += [Counted(uuid, generation, now) for uuid, generation in fresh]
        if self._state.breaker.open:
            self._state.log("breaker-joined", {"phones": [uuid for uuid, _ in fresh]}, now)
            return DueCount(fresh, opened=False, breaker=await self.get())
        since = now - timedelta(seconds=safety.breaker_window)
        count = sum(c.at > since and not c.settled for c in self._state.counted)
        bound = sum(uuid in self._state.terms and phone.present and phone.state not in BEYOND for uuid, phone in self._state.phones.items())
        if not rules.opens(count, bound, safety):
            return DueCount(fresh, opened=False, breaker=await self.get())
        self._state.breaker = BreakerRecord(True, self._state.breaker.id + 1, now, count, rules.limit(bound, safety), bound, safety.breaker_window)
        after = await self.get()
        self._state.touched |= {phone.uuid for phone in after.waiting}
        self._state.log("breaker-opened", {"phones": [phone.uuid for phone in after.waiting], "fingerprint": after.fingerprint}, now)
        return DueCount(fresh, opened=True, breaker=after)

    async def release(self, now: datetime, *, fingerprint: str, reason: str, operator: str, approver: str) -> BreakerRecord:
        before = await self.get()
        if not reason or not before.open:
            raise InputError("nothing to release, or no reason")
        if approver in ("", operator):
            raise InvariantError("R14", "releasing the breaker takes two people")
        if fingerprint != before.fingerprint:
            raise RefusedError("other phones wait", codes=("drift",))
        self._state.write()
        for item in self._waiting():
            item.released = True
        for item in self._state.counted:
            item.settled = True
        self._state.breaker = replace(self._state.breaker, open=False, released_at=now, released_by=operator)
        self._state.touch_due()
        self._state.keep_words(f"breaker:{before.id}", reason=reason)
        self._state.log("breaker-released", {"phones": [phone.uuid for phone in before.waiting], "operator": operator, "approver": approver}, now)
        return before
