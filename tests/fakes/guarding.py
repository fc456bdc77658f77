"""The fake ledger's breaker and clock: the same rules as `wiped.record.massmistakes`, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from wiped.decide import breaker as rules
from wiped.errors import InputError, InvariantError, RefusedError
from wiped.model.breaker_and_clock import BreakerRecord, ClockMemory, CountedPhone, DueCount
from wiped.model.policy import Safety
from wiped.model.records import AuditEntry, PhoneRecord
from wiped.model.subscription import State, Subscription

_BEYOND = {State.ERASING, State.VERIFYING, State.WIPED, State.QUARANTINED, State.RELEASED, State.RECYCLED, State.DISPOSED}


@dataclass
class _Counted:
    uuid: str
    generation: int
    at: datetime
    ended: bool = False
    released: bool = False
    settled: bool = False


class GuardingMemory:
    """Mixed into `MemoryLedger`, which owns phones, terms and log."""

    _phones: dict[str, PhoneRecord]
    _terms: dict[str, Subscription]
    _touched: set[str]

    def __init__(self) -> None:
        self._counted: list[_Counted] = []
        self._breaker = BreakerRecord()
        self._clock_memory: ClockMemory | None = None
        self.host_reasons: list[str] = []

    def _log(self, kind: str, body: dict[str, Any], now: datetime | None = None) -> AuditEntry:
        raise NotImplementedError

    def _write(self) -> None:
        raise NotImplementedError

    def _holds_back(self, uuid: str, generation: int) -> bool:
        let_go = any(c.released and not c.ended for c in self._counted if (c.uuid, c.generation) == (uuid, generation))
        return self._breaker.open and not let_go

    def _not_due_any_more(self, uuid: str, state: State) -> None:
        if state not in {State.DUE, State.ERASING, State.VERIFYING, State.WIPED, State.QUARANTINED}:
            for item in self._counted:
                item.ended = item.ended or item.uuid == uuid

    def _waiting(self) -> list[_Counted]:
        return [
            c
            for c in self._counted
            if not c.ended and not c.released and self._phones[c.uuid].generation == c.generation and self._phones[c.uuid].state not in _BEYOND
        ]

    async def breaker(self) -> BreakerRecord:
        if not self._breaker.open:
            return self._breaker
        waiting = tuple(
            CountedPhone(c.uuid, self._phones[c.uuid].name, c.generation, c.at, self._phones[c.uuid].due_at)
            for c in sorted(self._waiting(), key=lambda c: (c.at, c.uuid))
        )
        return replace(self._breaker, waiting=waiting, fingerprint=rules.fingerprint((c.uuid, c.generation) for c in waiting))

    async def count_due(self, found: Sequence[tuple[str, int]], now: datetime, safety: Safety) -> DueCount:
        known = {(c.uuid, c.generation) for c in self._counted if not c.ended}
        fresh = tuple(key for key in dict.fromkeys(found) if key not in known)
        if not fresh:
            return DueCount((), opened=False, breaker=await self.breaker())
        self._write()
        self._counted += [_Counted(uuid, generation, now) for uuid, generation in fresh]
        if self._breaker.open:
            self._log("breaker-joined", {"phones": [uuid for uuid, _ in fresh]}, now)
            return DueCount(fresh, opened=False, breaker=await self.breaker())
        since = now - timedelta(seconds=safety.breaker_window)
        count = sum(c.at > since and not c.settled for c in self._counted)
        bound = sum(uuid in self._terms and phone.present and phone.state not in _BEYOND for uuid, phone in self._phones.items())
        if not rules.opens(count, bound, safety):
            return DueCount(fresh, opened=False, breaker=await self.breaker())
        self._breaker = BreakerRecord(True, self._breaker.id + 1, now, count, rules.limit(bound, safety), bound, safety.breaker_window)
        after = await self.breaker()
        self._touched |= {phone.uuid for phone in after.waiting}
        self._log("breaker-opened", {"phones": [phone.uuid for phone in after.waiting], "fingerprint": after.fingerprint}, now)
        return DueCount(fresh, opened=True, breaker=after)

    async def release_breaker(self, now: datetime, *, fingerprint: str, reason: str, operator: str, approver: str) -> BreakerRecord:
        before = await self.breaker()
        if not reason or not before.open:
            raise InputError("nothing to release, or no reason")
        if approver in ("", operator):
            raise InvariantError("R14", "releasing the breaker takes two people")
        if fingerprint != before.fingerprint:
            raise RefusedError("other phones wait", codes=("drift",))
        self._write()
        for item in self._waiting():
            item.released = True
        for item in self._counted:
            item.settled = True
        self._breaker = replace(self._breaker, open=False, released_at=now, released_by=operator)
        self._touched |= {uuid for uuid, phone in self._phones.items() if phone.state is State.DUE}
        self.host_reasons.append(reason)
        self._log("breaker-released", {"phones": [phone.uuid for phone in before.waiting], "operator": operator, "approver": approver}, now)
        return before

    async def clock_memory(self) -> ClockMemory | None:
        return self._clock_memory

    async def keep_clock(self, memory: ClockMemory, now: datetime, told: dict[str, Any] | None = None) -> None:
        self._write()
        self._clock_memory = memory
        if told is not None:
            self._touched |= {uuid for uuid, phone in self._phones.items() if phone.state is State.DUE}
            self._log("clock", told, now)

    async def trust_clock(self, memory: ClockMemory, now: datetime, *, reason: str, operator: str) -> None:
        if not reason:
            raise InputError("must not be empty", where="reason")
        await self.keep_clock(memory, now, {"suspect": "", "operator": operator})
        self.host_reasons.append(reason)
