"""What a decision reads, and its conclusion, in the fake ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tests.fakes.ledger.state import Memo
from wiped.decide import notices as rules
from wiped.model.approvals import GROUNDS, RequestKind
from wiped.model.records import PhoneRecord
from wiped.model.subscription import Decision, FeedStatus, LifecycleFacts, State, Subscription, WipeRequest


class FakeDecisions:
    """`ports.ledger.DecisionStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def due(self, now: datetime) -> tuple[str, ...]:
        timed = {p.uuid for p in self._state.phones.values() if p.next_at is not None and p.next_at <= now}
        return tuple(sorted(timed | self._state.touched))

    async def next_instant(self) -> datetime | None:
        return min((p.next_at for p in self._state.phones.values() if p.next_at is not None), default=None)

    async def facts(self, uuid: str, now: datetime) -> LifecycleFacts | None:
        phone = self._state.phones.get(uuid)
        if phone is None:
            return None
        term = self._state.terms.get(uuid)
        accounts = {term.account} if term else set()
        draining = self._drains(term)
        return LifecycleFacts(
            uuid,
            phone.generation,
            term if term is not None and term.generation == phone.generation else None,
            phone.state,
            FeedStatus(None),
            holds=tuple(
                h
                for h in self._state.holds.values()
                if (h.uuid == uuid or accounts & {h.account, *self._state.held_accounts.get(h.id, ())}) and (h.until is None or now < h.until)
            ),
            requests=(
                *(item.request for item in self._state.requests if item.uuid == uuid and item.generation == phone.generation and not item.closed),
                *draining,
            ),
            draining=bool(draining),
            present=phone.present,
            protected=phone.protected,
            suspended=phone.suspended,
            fenced=phone.fenced,
            breaker_open=self._held_back(uuid, phone.generation),
            occupied_by_other=phone.occupied,
            refusals=phone.refusals,
            migrated=uuid in self._state.memories and self._state.memories[uuid].migrated,
            remembered=uuid in self._state.memories and self._state.memories[uuid].digest != "",
            stopped=phone.stopped,
            recorded_due_at=phone.due_at,
        )

    def _drains(self, term: Subscription | None) -> tuple[WipeRequest, ...]:
        return tuple(
            WipeRequest(
                id=drain.id,
                kind=RequestKind.DRAIN,
                ground=GROUNDS[RequestKind.DRAIN][0],
                requested_at=drain.announced_at or drain.at,
                effective_at=drain.at,
                approved=drain.approved,
                approved_at=drain.announced_at if drain.approved else None,
                reference=drain.id,
                operator=drain.operator,
                approver=drain.approver,
            )
            for drain in self._state.drains.values()
            if term is not None and drain.cancelled_at is None and drain.product in ("", term.product)
        )

    def _held_back(self, uuid: str, generation: int) -> bool:
        let_go = any(c.released and not c.ended for c in self._state.counted if (c.uuid, c.generation) == (uuid, generation))
        return self._state.breaker.open and not let_go

    async def conclude(self, uuid: str, decision: Decision, now: datetime) -> None:
        self._state.write()
        phone = self._state.phones[uuid]
        self._tell_decision(phone, decision, now)
        if (phone.state, phone.flags) != (decision.state, decision.flags):
            self._state.log("decided", {"uuid": uuid, "state": str(decision.state)}, now)
        self._state.phones[uuid] = replace(
            phone,
            state=decision.state,
            flags=tuple(decision.flags),
            reasons=decision.reasons,
            next_at=decision.next_at,
            next_state=decision.next_state,
            due_at=decision.due_at,
            notices_sent=decision.notices,
        )
        self._state.touched.discard(uuid)
        self._not_due_any_more(uuid, decision.state)

    def _not_due_any_more(self, uuid: str, state: State) -> None:
        if state not in {State.DUE, State.ERASING, State.VERIFYING, State.WIPED, State.QUARANTINED}:
            for item in self._state.counted:
                item.ended = item.ended or item.uuid == uuid

    def _tell_decision(self, phone: PhoneRecord, decision: Decision, now: datetime) -> None:
        term = self._state.terms.get(phone.uuid)
        before = rules.Before(
            phone.state, tuple(str(flag) for flag in phone.flags), phone.due_at, phone.notices_sent, term.expires_at if term else None, phone.refusals
        )
        for told in rules.of_decision(before, decision, now):
            same = [n for n in self._state.notices if (n.kind, n.subject, n.generation) == (told.kind, phone.uuid, phone.generation)]
            if rules.is_news(told, rules.Last(same[-1].data, same[-1].at) if same else None, now):
                self._state.tell(told.kind, phone, told.data, now)

    async def touch_all(self) -> None:
        self._state.touched.update(self._state.phones)

    async def touch(self, uuid: str) -> None:
        self._state.touched.add(uuid)
