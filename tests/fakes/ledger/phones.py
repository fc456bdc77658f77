"""Which phones exist, in the fake ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tests.fakes.ledger.state import Memo
from wiped.model.inventory import DomainFacts
from wiped.model.records import PhoneRecord
from wiped.model.subscription import State


class FakePhones:
    """`ports.ledger.PhoneStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def see(self, domains: Sequence[DomainFacts], now: datetime) -> None:
        self._state.write()
        seen = {facts.uuid: facts for facts in domains}
        for uuid, facts in seen.items():
            known = self._state.phones.get(uuid)
            if known is None:
                self._state.phones[uuid] = PhoneRecord(uuid, facts.name, 1, State.UNBOUND, now)
                self._state.touched.add(uuid)
            elif known.name != facts.name or not known.present:
                self._state.phones[uuid] = replace(known, name=facts.name, present=True)
                self._state.touched.add(uuid)
        for uuid, known in self._state.phones.items():
            if uuid not in seen and known.present:
                self._state.phones[uuid] = replace(known, present=False)
                self._state.touched.add(uuid)
                self._state.log("vanished", {"uuid": uuid}, now)

    async def find(self, states: Sequence[str] = ()) -> tuple[PhoneRecord, ...]:
        return tuple(sorted((p for p in self._state.phones.values() if not states or p.state in states), key=lambda p: p.name))

    async def get(self, uuid: str) -> PhoneRecord | None:
        return self._state.phones.get(uuid)

    async def named(self, name: str) -> tuple[PhoneRecord, ...]:
        return tuple(sorted((p for p in self._state.phones.values() if p.name == name), key=lambda p: not p.present))

    async def mark(
        self,
        uuid: str,
        *,
        fenced: bool | None = None,
        suspended: bool | None = None,
        protected: bool | None = None,
        stopped: bool | None = None,
        refusals: Sequence[str] | None = None,
        reason: str = "",
        operator: str = "daemon",
    ) -> None:
        self._state.write()
        phone = self._state.phones[uuid]
        self._state.phones[uuid] = replace(
            phone,
            fenced=phone.fenced if fenced is None else fenced,
            suspended=phone.suspended if suspended is None else suspended,
            protected=phone.protected if protected is None else protected,
            stopped=phone.stopped if stopped is None else stopped,
            refusals=phone.refusals if refusals is None else tuple(str(code) for code in refusals),
        )
        if self._state.phones[uuid] != phone:
            self._state.touched.add(uuid)
            self._state.log("marked", {"uuid": uuid, "reason": reason})

    async def counts(self) -> dict[str, int]:
        return {str(state): sum(p.state is state for p in self._state.phones.values()) for state in State}
