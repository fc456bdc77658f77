"""Housekeeping: what has been kept for its period goes (R10), as far as the gate lets it: by a clock that cannot be trusted nothing is over."""

from __future__ import annotations

from datetime import timedelta

import structlog

from wiped.conduct import decisions
from wiped.conduct.world import World
from wiped.decide import gate
from wiped.decide.gate import Act, Condition

_log = structlog.get_logger(__name__)


async def forget(world: World, *, snapshots: timedelta, audit: timedelta) -> None:
    """Drop audit snapshots and anonymise accounts after these periods. Raises LedgerError."""

    def may() -> bool:
        return gate.ask(Act.FORGET, {Condition.CLOCK_SUSPECT} if decisions.clock_suspect(world) else ()).go

    done = await world.ledger.retention.retain(world.clock.now(), snapshots=snapshots, audit=audit, may=may)
    if any(done.values()):
        _log.info("kept long enough", **done)
