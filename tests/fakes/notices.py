"""The fake ledger's outbox: the same rules as `wiped.record.outbox`, in memory. It tells of decisions and verdicts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from wiped.decide import notices as rules
from wiped.model.notices import Backlog, Notice, NoticeKind, NoticeState
from wiped.model.records import PhoneRecord
from wiped.model.subscription import Decision, Hold, Subscription


class NoticeMemory:
    """Mixed into `MemoryLedger`, which owns terms and holds."""

    _terms: dict[str, Subscription]
    _holds: dict[str, Hold]

    def __init__(self) -> None:
        self._notices: list[Notice] = []
        self._received: frozenset[str] = frozenset()
        super().__init__()

    def _tell(self, kind: NoticeKind, phone: PhoneRecord | None, data: Mapping[str, Any], now: datetime) -> None:
        seq = len(self._notices) + 1
        term = self._terms.get(phone.uuid) if phone else None
        pending = str(kind) in self._received
        self._notices.append(
            Notice(
                id=f"notice-{seq}",
                seq=seq,
                kind=kind,
                subject=phone.uuid if phone else "",
                generation=phone.generation if phone else 0,
                account=term.account if term else "",
                at=now,
                data=rules.admitted(data),
                state=NoticeState.PENDING if pending else NoticeState.KEPT,
                next_at=now if pending else None,
            )
        )

    def _tell_decision(self, phone: PhoneRecord, decision: Decision, now: datetime) -> None:
        term = self._terms.get(phone.uuid)
        before = rules.Before(
            phone.state, tuple(str(flag) for flag in phone.flags), phone.due_at, phone.notices_sent, term.expires_at if term else None, phone.refusals
        )
        for told in rules.of_decision(before, decision, now):
            same = [n for n in self._notices if (n.kind, n.subject, n.generation) == (told.kind, phone.uuid, phone.generation)]
            if rules.is_news(told, rules.Last(same[-1].data, same[-1].at) if same else None, now):
                self._tell(told.kind, phone, told.data, now)

    async def receive_notices(self, kinds: Sequence[str]) -> None:
        self._received = frozenset(str(kind) for kind in kinds)
        for at, notice in enumerate(self._notices):
            if notice.state is NoticeState.PENDING and str(notice.kind) not in self._received:
                self._notices[at] = replace(notice, state=NoticeState.KEPT, next_at=None)

    async def notices(self, *, subject: str = "", account: str = "", state: str = "", limit: int = 1000) -> tuple[Notice, ...]:
        wanted = [n for n in self._notices if subject in ("", n.subject) and account in ("", n.account) and state in ("", n.state)]
        return tuple(wanted[len(wanted) - min(limit, len(wanted)) :])

    async def due_notices(self, now: datetime, limit: int) -> tuple[Notice, ...]:
        first: dict[str, Notice] = {}
        for notice in self._notices:
            if notice.state is NoticeState.PENDING:
                first.setdefault(notice.subject, notice)
        return tuple(n for n in sorted(first.values(), key=lambda n: n.seq) if n.next_at is not None and n.next_at <= now)[:limit]

    async def note_delivery(self, notice_id: str, now: datetime, *, delivered: bool, fault: str = "", retry_at: datetime | None = None) -> None:
        for at, notice in enumerate(self._notices):
            if notice.id == notice_id and notice.state is NoticeState.PENDING:
                state = NoticeState.DELIVERED if delivered else NoticeState.PENDING if retry_at else NoticeState.DEAD
                more = {"delivered_at": now if delivered else None, "last_fault": fault}
                self._notices[at] = replace(notice, state=state, attempts=notice.attempts + 1, next_at=None if delivered else retry_at, **more)

    async def revive_notices(self, now: datetime, operator: str) -> int:
        dead = [at for at, notice in enumerate(self._notices) if notice.state is NoticeState.DEAD]
        for at in dead:
            self._notices[at] = replace(self._notices[at], state=NoticeState.PENDING, attempts=0, next_at=now)
        return len(dead)

    async def notice_backlog(self) -> Backlog:
        pending = [n.at for n in self._notices if n.state is NoticeState.PENDING]
        return Backlog(len(pending), min(pending, default=None), sum(n.state is NoticeState.DEAD for n in self._notices))

    async def tell_ending_holds(self, now: datetime, warning: int) -> tuple[str, ...]:
        known = {n.data.get("hold_id") for n in self._notices if n.kind is NoticeKind.HOLD_ENDING}
        ending = [h for h in self._holds.values() if h.until and now < h.until <= now + timedelta(seconds=warning) and h.id not in known]
        for hold in ending:
            self._tell(NoticeKind.HOLD_ENDING, None, {"hold_id": hold.id, "until": hold.until}, now)
        return tuple(hold.id for hold in ending)
