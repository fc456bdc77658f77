"""Announced ends of the host or of a product, in the fake ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tests.fakes.ledger.state import Memo
from wiped.errors import InputError, NotFoundError
from wiped.model.approvals import Drain
from wiped.model.notices import NoticeKind


class FakeDrains:
    """`ports.ledger.DrainStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    def _keep(self, drain: Drain, kind: str, notice: NoticeKind | None, now: datetime) -> Drain:
        self._state.write()
        self._state.drains[drain.id] = drain
        self._state.touched |= set(self._state.phones)
        self._state.log(kind, {"id": drain.id, "product": drain.product, "operator": drain.operator, "approver": drain.approver}, now)
        if notice is not None:
            self._state.tell(notice, None, {"drain_id": drain.id, "at": drain.at, "product": drain.product}, now)
        return drain

    async def announce(self, drain: Drain, *, reason: str) -> Drain:
        if any(other.product == drain.product for other in await self.in_force()):
            raise InputError("one is in force", where="drain")
        now = drain.announced_at or drain.at
        self._state.keep_words(drain.id, reason=reason)
        return self._keep(replace(drain, announced_at=now), "drain-announced", NoticeKind.DRAIN_ANNOUNCED, now)

    async def in_force(self) -> tuple[Drain, ...]:
        return tuple(drain for drain in self._state.drains.values() if drain.cancelled_at is None)

    async def change(self, drain_id: str, now: datetime, *, approver: str = "", cancelled: bool = False, operator: str = "") -> Drain:
        drain = self._state.drains.get(drain_id)
        if drain is None:
            raise NotFoundError("no such drain", where="drain")
        if drain.cancelled_at is not None:
            return drain
        if cancelled:
            if now >= drain.at:
                raise InputError("it has begun", where="drain")
            return self._keep(replace(drain, cancelled_at=now), "drain-cancelled", NoticeKind.DRAIN_CANCELLED, now)
        return self._keep(replace(drain, approved=True, approver=approver), "drain-approved", None, now) if approver and not drain.approved else drain
