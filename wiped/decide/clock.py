"""When the clock cannot be trusted, so that nothing may be concluded from time. Pure: one reading, what is remembered, the rules.

    stepped   realtime moved against boottime by more than `max_clock_step` since it was last trusted in this boot, daemon up or down
    behind    realtime stands before what the ledger holds already
    away      another boot, more than LONGEST_OFF later, and not synchronised: being off cannot be told from a clock set forward
    lost      synchronisation was seen since boot, and is gone; never merely absent: many hosts and all labs report unsynchronised

It lasts until synchronisation is regained (a clock that was synchronised all the while it jumped is not cleared by the same word) or an operator
says that the clock is right. A clock that stands no more than `max_clock_step` before the ledger clears itself when it has caught up.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from wiped.model.breaker_and_clock import ClockMemory, ClockReading
from wiped.model.policy import Safety

STEPPED, BEHIND, AWAY, LOST = "stepped", "behind", "away", "lost"

#: An unsynchronised host that was off longer than this (seconds) asks an operator once: an ordinary reboot is far shorter.
LONGEST_OFF = 86_400
#: Boottime may not go back within one boot; readings of two threads may cross by this (seconds).
_JITTER = 1.0

WHAT_TO_DO = "nothing is concluded from time until it is synchronised, or an operator says that it is right: wipectl clock trust --reason TEXT"


def offset_of(reading: ClockReading) -> float:
    """Realtime minus boottime, seconds: constant unless the clock is stepped."""
    return reading.now.timestamp() - reading.boottime


def same_boot(memory: ClockMemory, reading: ClockReading) -> bool:
    """Whether the two belong to one boot, so that their offsets can be compared."""
    return memory.boot_id == reading.boot_id and reading.boottime >= memory.boottime - _JITTER


def stepped(memory: ClockMemory, now: datetime, boottime: float, safety: Safety) -> float:
    """By how many seconds the clock was stepped since it was last trusted; 0 within `max_clock_step`. For a look between two sweeps of one daemon."""
    step = now.timestamp() - boottime - memory.offset
    return step if abs(step) > safety.max_clock_step else 0.0


def first_look(reading: ClockReading) -> ClockMemory:
    """Nothing is known but this reading."""
    return ClockMemory(
        boot_id=reading.boot_id,
        offset=offset_of(reading),
        seen_at=reading.now,
        boottime=reading.boottime,
        synchronised=reading.synchronised,
        seen_synchronised=reading.synchronised is True,
    )


def look(before: ClockMemory | None, reading: ClockReading, safety: Safety) -> ClockMemory:
    """What is to be remembered after `reading`, its suspicion included."""
    if before is None:
        return _behind_the_ledger(first_look(reading), reading, safety)
    here = same_boot(before, reading)
    after = replace(
        before,
        boot_id=reading.boot_id,
        offset=before.offset if here else offset_of(reading),
        seen_at=reading.now,
        boottime=reading.boottime,
        synchronised=before.synchronised if here and reading.synchronised is None else reading.synchronised,
        seen_synchronised=reading.synchronised is True or (here and before.seen_synchronised),
    )
    if before.suspect:
        return _still(before, after, reading, safety, here=here)
    step = offset_of(reading) - before.offset
    if here and abs(step) > safety.max_clock_step:
        found = _suspect(after, STEPPED, f"it was stepped by {step:.0f} s", reading, healed=before.synchronised is not True)
        # The word that makes it synchronised may be the very one that set it right: a host that came up with a wrong clock.
        return _still(found, found, reading, safety, here=True) if found.healed_by_sync else found
    if here and before.seen_synchronised and reading.synchronised is False:
        return _suspect(after, LOST, "it was synchronised since boot and is not any more", reading, healed=True)
    spent = (reading.now - before.seen_at).total_seconds()
    if not here and reading.synchronised is not True:
        if spent < -safety.max_clock_step:
            return _suspect(after, BEHIND, f"it stands {-spent:.0f} s before the last look of an earlier boot", reading, healed=True)
        if spent > LONGEST_OFF:
            told = f"another boot, {spent / 86_400:.1f} days after the last look: being off cannot be told from a clock set forward"
            return _suspect(after, AWAY, told, reading, healed=True)
    return _behind_the_ledger(after, reading, safety)


def trusted(before: ClockMemory | None, reading: ClockReading) -> ClockMemory:
    """An operator says that the clock is right as it is."""
    seen = before is not None and same_boot(before, reading) and before.seen_synchronised
    # Synchronisation that was lost is what the operator looked at: only seen again, and lost again, it is news.
    return replace(first_look(reading), seen_synchronised=seen and reading.synchronised is not False)


def sentence(memory: ClockMemory | None) -> str:
    """ "" for a trusted clock; else why not, and what to do."""
    if memory is None or not memory.suspect:
        return ""
    return f"{memory.detail}: {WHAT_TO_DO}"


def _suspect(after: ClockMemory, word: str, detail: str, reading: ClockReading, *, healed: bool, passes_at: datetime | None = None) -> ClockMemory:
    return replace(after, suspect=word, detail=detail, since=reading.now, healed_by_sync=healed, passes_at=passes_at)


def _behind_the_ledger(after: ClockMemory, reading: ClockReading, safety: Safety) -> ClockMemory:
    until = reading.recorded_until
    if until is None or reading.now >= until or (reading.synchronised is True and until - reading.now > timedelta(seconds=safety.max_clock_step)):
        return after
    soon = until - reading.now <= timedelta(seconds=safety.max_clock_step)
    told = f"it stands before the newest audit entry of {until:%Y-%m-%dT%H:%M:%SZ}"
    return _suspect(after, BEHIND, told, reading, healed=True, passes_at=until if soon else None)


def _still(before: ClockMemory, after: ClockMemory, reading: ClockReading, safety: Safety, *, here: bool) -> ClockMemory:
    """A suspicion goes on, or is cleared: the clock is then trusted as it stands."""
    healed = before.healed_by_sync or reading.synchronised is False or not here
    passed = before.passes_at is not None and reading.now >= before.passes_at and abs(offset_of(reading) - before.offset) <= safety.max_clock_step
    if passed or (healed and reading.synchronised is True):
        return replace(first_look(reading), seen_synchronised=after.seen_synchronised)
    return replace(after, healed_by_sync=healed)
