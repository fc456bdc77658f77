"""Who has which phone until when, in the fake ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tests.fakes.ledger.state import Memo, pseudonym
from wiped.errors import RefusedError
from wiped.model.instants import instant_text, parse_instant
from wiped.model.records import COMMITTED_STEPS, FINAL_STEPS, PhoneRecord
from wiped.model.subscription import AccountReference, FeedTaken, State, Subscription, SubscriptionRecord

_ENDED = {State.WIPED, State.RELEASED, State.RECYCLED, State.DISPOSED}


class FakeSubscriptions:
    """`ports.ledger.SubscriptionStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def record(self, records: Sequence[SubscriptionRecord], now: datetime, *, source: str, operator: str) -> tuple[Subscription, ...]:
        self._state.write()
        recorded = []
        for record in records:
            phone = self._state.phones.setdefault(record.uuid, PhoneRecord(record.uuid, record.uuid, 1, State.UNBOUND, now, present=False))
            if any(w.uuid == record.uuid and w.step in COMMITTED_STEPS - FINAL_STEPS for w in self._state.wipes.values()):
                raise RefusedError("its wipe has passed the last word", codes=("subscription-renewed",))
            if phone.state is State.DISPOSED:
                raise RefusedError("it was disposed of", codes=("generation-occupied",))
            known = self._state.terms.get(record.uuid)
            generation = phone.generation + 1 if phone.state in _ENDED else phone.generation
            account = pseudonym(record.account.value, generation)
            if known is not None and phone.state not in _ENDED and known.account != account:
                self._state.phones[record.uuid] = replace(phone, occupied=True)
                self._state.touched.add(record.uuid)
                raise RefusedError("another account", codes=("generation-occupied",))
            same_end = known is not None and known.generation == generation and known.expires_at == record.expires_at
            for hold in self._state.holds.values():
                if hold.account == pseudonym(record.account.value, 0):
                    self._state.held_accounts[hold.id].add(account)
            term = Subscription(
                record.uuid,
                generation,
                record.subscription_id,
                account,
                record.starts_at,
                record.expires_at,
                known.first_recorded_at if known is not None and same_end else now,
                record.policy,
                record.minor,
                revision=known.revision + 1 if known is not None and known.generation == generation else 1,
                product=record.product,
            )
            self._state.terms[record.uuid] = term
            if known is not None and known.generation == generation and known.subscription_id != record.subscription_id and now < record.expires_at:
                for item in self._state.requests:
                    item.closed = item.closed or (item.uuid == record.uuid and item.request.kind == "manual")
            if known is not None and known.generation != generation:
                self._state.ended.append((known, now))
            state = State.ACTIVE if generation != phone.generation else phone.state
            self._state.phones[record.uuid] = replace(phone, generation=generation, state=state)
            self._state.touched.add(record.uuid)
            self._state.log("subscription", {"uuid": record.uuid, "operator": operator}, now)
            recorded.append(term)
        return tuple(recorded)

    async def record_answer(self, records: Sequence[SubscriptionRecord], now: datetime, *, source: str) -> FeedTaken:
        changed, refused = 0, []
        for record in records:
            before = self._state.terms.get(record.uuid)
            try:
                (after,) = await self.record([record], now, source=source, operator=source)
            except RefusedError as error:
                refused.append((record.uuid, str(error.codes[0])))
            else:
                changed += before is None or replace(after, revision=before.revision) != before
        return FeedTaken(changed, len(records) - changed - len(refused), tuple(refused))

    async def get(self, uuid: str) -> Subscription | None:
        return self._state.terms.get(uuid)

    async def current(self) -> tuple[Subscription, ...]:
        return tuple(self._state.terms.values())

    async def shorten(self, uuid: str, generation: int, terms: Mapping[str, str], now: datetime, *, operator: str, approver: str) -> Subscription:
        self._state.write()
        term = self._state.terms.get(uuid)
        if term is None or term.generation != generation or instant_text(term.expires_at) != terms["was"]:
            raise RefusedError("another term by now", codes=("drift",))
        after = replace(term, expires_at=parse_instant(terms["expires"]), first_recorded_at=now, revision=term.revision + 1)
        self._state.terms[uuid] = after
        self._state.touched.add(uuid)
        self._state.log("term-shortened", {"uuid": uuid, "operator": operator, "approver": approver}, now)
        return after

    async def of_account(self, account: AccountReference) -> tuple[tuple[Subscription, datetime | None], ...]:
        names = self._state.pseudonyms(account.value)
        every = [*self._state.ended, *((term, None) for term in self._state.terms.values())]
        return tuple(sorted(((term, ended) for term, ended in every if term.account in names), key=lambda item: (item[0].uuid, item[0].generation)))

    async def living(self, account: AccountReference) -> tuple[tuple[str, int, str], ...]:
        return tuple((term.uuid, term.generation, term.account) for term, ended in await self.of_account(account) if ended is None and self._lives(term))

    async def bound(self) -> int:
        return sum(self._lives(term) for term in self._state.terms.values())

    def _lives(self, term: Subscription) -> bool:
        return self._state.phones[term.uuid].state not in {State.RELEASED, State.RECYCLED}
