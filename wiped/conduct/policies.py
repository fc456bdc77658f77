"""What customers were told about their grace, remembered over restarts with another configuration (`decide.policies`)."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from wiped.conduct.world import World
from wiped.decide import policies
from wiped.decide.policies import Promise, Promises
from wiped.model.instants import instant_text, parse_instant

_log = structlog.get_logger(__name__)

_KEY = "policies"


async def _since(world: World, before: Promises, now: datetime) -> datetime:
    """From when on a change counts that is seen now: after every end that is recorded, and after every change before it, whatever the clock says."""
    ends = [term.first_recorded_at for term in await world.ledger.subscriptions.current()]
    changes = [promise.at for known in before.values() for promise in known]
    return max([now, *(at + timedelta(microseconds=1) for at in (*ends, *changes))])


async def recall(world: World) -> None:
    """Read what was promised, remember what the configuration says now, and let every phone be decided by both. At the daemon's start. Raises LedgerError."""
    kept = await world.ledger.conditions.get(_KEY) or {}
    before: Promises = {name: tuple(Promise(parse_instant(at), grace, minor) for at, grace, minor in known) for name, known in kept.items()}
    now = world.clock.now()
    after = policies.remembered(before, world.policies, await _since(world, before, now))
    if after != before:
        lines = {name: [[instant_text(each.at), each.grace, each.minor_grace] for each in known] for name, known in after.items()}
        await world.ledger.conditions.keep(_KEY, lines)
        changed = sorted(name for name in after if after[name] != before.get(name))
        shorter = policies.shortened(before, world.policies)
        await world.ledger.audit.note("policies", {"changed": changed, "shortened": list(shorter)}, now)
        if shorter:
            _log.warning("a shorter grace counts for ends that are recorded from now on; terms that were recorded before keep theirs", policies=list(shorter))
    world.conditions.promises = after
    await world.ledger.decisions.touch_all()
