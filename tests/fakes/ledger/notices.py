"""Notices, in the fake ledger: the same rules as `wiped.record.notices`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tests.fakes.ledger.state import Memo
from wiped.model.notices import Backlog, Notice, NoticeKind, NoticeState


class FakeNotices:
    """`ports.ledger.NoticeStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def receive(self, kinds: Sequence[str]) -> None:
        self._state.received = frozenset(str(kind) for kind in kinds)
        for at, notice in enumerate(self._state.notices):
            if notice.state is NoticeState.PENDING and str(notice.kind) not in self._state.received:
                self._state.notices[at] = replace(notice, state=NoticeState.KEPT, next_at=None)

    async def find(self, *, subject: str = "", account: str = "", state: str = "", limit: int = 1000) -> tuple[Notice, ...]:
        wanted = [n for n in self._state.notices if subject in ("", n.subject) and account in ("", n.account) and state in ("", n.state)]
        return tuple(wanted[len(wanted) - min(limit, len(wanted)) :])

    async def due(self, now: datetime, limit: int) -> tuple[Notice, ...]:
        first: dict[tuple[str, str], Notice] = {}
        for notice in self._state.notices:
            if notice.state is NoticeState.PENDING:
                first.setdefault((notice.subject, "" if notice.subject else notice.kind.partition(".")[0]), notice)
        return tuple(n for n in sorted(first.values(), key=lambda n: n.seq) if n.next_at is not None and n.next_at <= now)[:limit]

    async def note_delivery(self, notice_id: str, now: datetime, *, delivered: bool, fault: str = "", retry_at: datetime | None = None) -> None:
        for at, notice in enumerate(self._state.notices):
            if notice.id == notice_id and notice.state is NoticeState.PENDING:
                state = NoticeState.DELIVERED if delivered else NoticeState.PENDING if retry_at else NoticeState.DEAD
                more = {"delivered_at": now if delivered else None, "last_fault": fault}
                self._state.notices[at] = replace(notice, state=state, attempts=notice.attempts + 1, next_at=None if delivered else retry_at, **more)

    async def revive(self, now: datetime, operator: str) -> int:
        dead = [at for at, notice in enumerate(self._state.notices) if notice.state is NoticeState.DEAD]
        for at in dead:
            self._state.notices[at] = replace(self._state.notices[at], state=NoticeState.PENDING, attempts=0, next_at=now)
        return len(dead)

    async def backlog(self) -> Backlog:
        pending = [n.at for n in self._state.notices if n.state is NoticeState.PENDING]
        return Backlog(len(pending), min(pending, default=None), sum(n.state is NoticeState.DEAD for n in self._state.notices))

    async def tell_ending_holds(self, now: datetime, warning: int) -> tuple[str, ...]:
        known = {n.data.get("hold_id") for n in self._state.notices if n.kind is NoticeKind.HOLD_ENDING}
        ending = [h for h in self._state.holds.values() if h.until and now < h.until <= now + timedelta(seconds=warning) and h.id not in known]
        for hold in ending:
            self._state.tell(NoticeKind.HOLD_ENDING, None, {"hold_id": hold.id, "until": hold.until}, now)
        return tuple(hold.id for hold in ending)
