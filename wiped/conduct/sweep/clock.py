"""The check of the host's clock, before anything is concluded from time. The rules are `decide.clock`; what is found is durable before it is acted upon."""

from __future__ import annotations

from dataclasses import replace

import structlog

from wiped.conduct.world import World
from wiped.decide import clock
from wiped.model.clock import ClockMemory, ClockReading

_log = structlog.get_logger(__name__)

#: What is remembered of the clock is written at most this often while nothing changes, seconds.
KEEP_EVERY = 60.0


def read(world: World) -> ClockReading:
    """One look at the clocks."""
    clocks = world.clock
    return ClockReading(clocks.now(), clocks.boottime(), clocks.boot_id(), clocks.synchronised(), world.conditions.recorded_until)


def _stepped_again(before: ClockMemory | None, reading: ClockReading, world: World) -> bool:
    """Whether the clock was stepped since the last look of this boot."""
    if before is None or not clock.same_boot(before, reading):
        return False
    last = replace(before, offset=before.seen_at.timestamp() - before.boottime)
    return clock.stepped(last, reading.now, reading.boottime, world.safety) != 0


async def look(world: World) -> None:
    """Look, remember, and say so when the clock becomes suspect or is trusted again. While it is suspect nothing is concluded from time.

    What cannot be remembered (a full disk) is still so for this daemon, and is recorded by the next look. Raises LedgerError.
    """
    conditions = world.conditions
    first = conditions.clock is None
    before = await world.ledger.clock.memory() if first else conditions.clock
    reading = read(world)
    after = clock.look(before, reading, world.safety)
    was = before.suspect if before is not None else ""
    # A step within one suspicion changes no phone, but the instants at which phones are to be looked at again are of the clock as it was.
    changed = after.suspect != was or (bool(after.suspect) and _stepped_again(before, reading, world))
    conditions.clock_suspect = clock.sentence(after)
    if changed and after.suspect:
        _log.error("the clock is suspect", why=conditions.clock_suspect)
    elif changed:
        conditions.recorded_until = None
        _log.warning("the clock is trusted again", was=was)
    elif before is not None and abs(clock.offset_of(reading) - before.offset) > world.safety.max_clock_step and not after.suspect:
        _log.warning("the clock was set", synchronised=reading.synchronised)
    due = conditions.clock_kept_at is None or reading.boottime - conditions.clock_kept_at >= KEEP_EVERY
    if changed or due or after.healed_by_sync != (before is not None and before.healed_by_sync):
        await world.ledger.clock.keep(after, reading.now, {"suspect": after.suspect, "was": was} if changed else None)
        conditions.clock_kept_at = reading.boottime
        if changed:
            await world.milestones.reached("clock-suspect" if after.suspect else "clock-trusted", "")
    conditions.clock = after


async def trust(world: World, *, reason: str, operator: str) -> ClockMemory:
    """Accept, by an operator's word, that a suspect clock is right. Returns the clock as it was before."""
    before = world.conditions.clock or await world.ledger.clock.memory()
    reading = read(world)
    after = clock.trusted(before, reading)
    await world.ledger.clock.trust(after, reading.now, reason=reason, operator=operator)
    world.conditions.recorded_until = None
    world.conditions.clock = after
    world.conditions.clock_suspect = ""
    _log.warning("the clock was trusted by an operator", operator=operator, was=before.suspect if before else "")
    return before or after
