"""What customers were told about their grace, remembered over restarts with another configuration (`decide.policies`)."""

from __future__ import annotations

import structlog

from wiped.conduct.world import World
from wiped.decide import policies
from wiped.decide.policies import Promise, Promises
from wiped.model.instants import instant_text, parse_instant

_log = structlog.get_logger(__name__)

_KEY = "policies"


async def recall(world: World) -> None:
    """Read what was promised, remember what the configuration says now, and let every phone be decided by both. At the daemon's start. Raises LedgerError."""
    kept = await world.ledger.conditions.get(_KEY) or {}
    before: Promises = {name: tuple(Promise(parse_instant(at), grace, minor) for at, grace, minor in known) for name, known in kept.items()}
    now = world.clock.now()
    after = policies.remembered(before, world.policies, now)
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
