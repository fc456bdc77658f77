"""The audit log, and a signed head over it."""

from __future__ import annotations

from wiped.attest.audit_chain import HEAD_TYPE
from wiped.attest.signing import seal
from wiped.conduct.world import World
from wiped.errors import NotFoundError
from wiped.model.instants import instant_text
from wiped.model.records import AuditEntry


class Audit:
    """What the faces may ask about the audit log."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def entries(self, *, after: int = 0, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """Audit entries with seq > `after`."""
        return await self._world.ledger.audit.entries(after=after, limit=limit)

    async def head(self, seq: int) -> bytes:
        """A signed head (DSSE) over the log up to entry `seq`, for an export of that length. Raises NotFoundError where there is no such entry."""
        found = await self._world.ledger.audit.entries(after=seq - 1, limit=1) if seq > 0 else ()
        if not found:
            raise NotFoundError("no such audit entry", where="seq")
        told = {"seq": found[0].seq, "hash": found[0].hash, "at": found[0].at, "exported_at": instant_text(self._world.clock.now())}
        return seal(told, self._world.signer, payload_type=HEAD_TYPE)
