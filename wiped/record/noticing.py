"""The part of the port `Ledger` about notices (port `Outbox`): what is to be told to the provider's systems, and how that went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from wiped.model.notices import Backlog, Notice
from wiped.record import outbox
from wiped.record.sql.database import Database


class NoticeLedger:
    """Mixed into `SqlLedger`, which owns the database."""

    _db: Database

    async def receive_notices(self, kinds: Sequence[str]) -> None:
        """See `ports.Outbox`."""
        await self._db.write(lambda c: outbox.receive(c, kinds))

    async def notices(self, *, subject: str = "", account: str = "", state: str = "", limit: int = 1000) -> tuple[Notice, ...]:
        """See `ports.Outbox`."""
        return await self._db.read(lambda c: outbox.find(c, subject=subject, account=account, state=state, limit=limit))

    async def due_notices(self, now: datetime, limit: int) -> tuple[Notice, ...]:
        """See `ports.Outbox`."""
        return await self._db.read(lambda c: outbox.due(c, now, limit))

    async def note_delivery(self, notice_id: str, now: datetime, *, delivered: bool, fault: str = "", retry_at: datetime | None = None) -> None:
        """See `ports.Outbox`."""
        await self._db.write(lambda c: outbox.note_delivery(c, notice_id, now, delivered=delivered, fault=fault, retry_at=retry_at))

    async def revive_notices(self, now: datetime, operator: str) -> int:
        """See `ports.Outbox`."""
        return await self._db.write(lambda c: outbox.revive(c, now, operator))

    async def notice_backlog(self) -> Backlog:
        """See `ports.Outbox`."""
        return await self._db.read(outbox.backlog)

    async def tell_ending_holds(self, now: datetime, warning: int) -> tuple[str, ...]:
        """See `ports.Outbox`. Costs no write where no hold ends soon."""
        holds = await self._db.read(lambda c: outbox.holds_ending(c, now, timedelta(seconds=warning)))
        if not holds:
            return ()
        return await self._db.write(lambda c: outbox.ending_holds(c, now, timedelta(seconds=warning)))
