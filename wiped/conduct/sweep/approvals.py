"""Approvals that wait, as time goes by and phones change: they expire, are withdrawn, are asked for anew, or show the plan of a phone that was stopped."""

from __future__ import annotations

import structlog

from wiped.conduct.deeds.deed import Work
from wiped.conduct.deeds.table import DEEDS
from wiped.conduct.world import World
from wiped.errors import HelperError, HypervisorError, RefusedError, StorageError
from wiped.model.approvals import ApprovalState

_log = structlog.get_logger(__name__)


async def look_after(world: World) -> None:
    """Once a sweep: approvals that nobody gave in time expire, those of which nothing is left are withdrawn, and what must not be forgotten is asked for
    anew. Raises LedgerError."""
    now, waiting = world.clock.now(), set()
    for item in await world.ledger.approvals.find():
        deed = DEEDS.get(item.kind)
        if now >= item.expires_at:
            await world.ledger.approvals.settle(item.id, ApprovalState.EXPIRED, now, operator="daemon")
        elif deed is not None and await deed.is_gone(world, item):
            await world.ledger.approvals.settle(item.id, ApprovalState.WITHDRAWN, now, operator="daemon")
        else:
            waiting.add((item.kind, item.subject))
    for kind, deed in DEEDS.items():
        await deed.ask_anew(world, frozenset(subject for of, subject in waiting if of == kind))


async def look_again(world: World, work: Work, uuid: str) -> None:
    """A phone was stopped for a request: what waits for another person shows the plan of the phone at rest, not the one of the phone while it ran.

    What somebody agreed to already is left as it is: they look again. A plan that cannot be made is reported when somebody approves.
    """
    for item in await world.ledger.approvals.find():
        deed = DEEDS.get(item.kind)
        if deed is None or not deed.looks_again or uuid not in item.uuids or item.approvals:
            continue
        try:
            fresh = await deed.standing(world, work, item)
        except (RefusedError, HypervisorError, HelperError, StorageError) as error:
            _log.warning("no plan could be made of what is to be approved", uuids=list(item.uuids), code=error.code)
            continue
        await world.ledger.approvals.settle(item.id, ApprovalState.PENDING, world.clock.now(), operator="daemon", fingerprint=fresh.fingerprint)
