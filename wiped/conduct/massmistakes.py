"""The guards against mass mistakes, conducted: phones are counted before any of them begins (breaker), and realtime is looked at before anything is
concluded from it (clock). The rules are `decide.breaker` and `decide.clock`; what is found is durable before it is acted upon.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import structlog

from wiped.conduct import decisions
from wiped.conduct.world import World
from wiped.decide import breaker, clock
from wiped.errors import LedgerError
from wiped.model.approvals import Approval
from wiped.model.breaker_and_clock import BreakerRecord, ClockMemory, ClockReading
from wiped.model.plan import RefusalCode
from wiped.model.subscription import Action, Decision, LifecycleFacts, State

_log = structlog.get_logger(__name__)

#: What is remembered of the clock is written at most this often while nothing changes, seconds.
KEEP_EVERY = 60.0
#: A log line names at most this many phones; `wipectl breaker status` names all.
_NAMED = 100


# -- the breaker
async def count(world: World, uuids: Iterable[str]) -> frozenset[str]:
    """Count those of `uuids` that are newly due, all in one transaction, before the first of them is begun; returns them. A phone that cannot be decided
    is left to its own turn, which counts it again. Raises LedgerError."""
    found: list[tuple[str, int]] = []
    for uuid in uuids:
        try:
            known = await decisions.fresh(world, uuid)
            if known is not None and is_newly_due(world, known[0]):
                found.append((uuid, known[0].generation))
        except LedgerError:
            raise
        except Exception as error:
            _log.warning("phone could not be counted yet", uuid=uuid, error=type(error).__name__)
    await count_known(world, found)
    return frozenset(uuid for uuid, _ in found)


def is_newly_due(world: World, facts: LifecycleFacts) -> bool:
    """Whether the phone counts: it would be wiped now, by time or feed, were the breaker closed."""
    return breaker.newly_due(decisions.decided(world, replace(facts, breaker_open=False), world.clock.now()))


async def count_known(world: World, found: list[tuple[str, int]]) -> None:
    """Count these (uuid, generation); the alarm, when that opens the breaker."""
    if not found:
        return
    done = await world.ledger.breaker.count_due(found, world.clock.now(), world.safety)
    if done.counted:
        await world.milestones.reached("counted", "")
    if done.opened:
        phones = [phone.uuid for phone in done.breaker.waiting]
        _log.error("the breaker opened", why=breaker.why(done.breaker), phones=phones[:_NAMED], of=len(phones), fingerprint=done.breaker.fingerprint)
        await world.milestones.reached("breaker-opened", "")


async def stands(world: World, waiting: Approval) -> str:
    """The fingerprint of the phones that a release would let go now; "" where the breaker was released since, or opened anew."""
    breaker = await world.ledger.breaker.get()
    return breaker.fingerprint if breaker.open and str(breaker.id) == waiting.subject else ""


async def release(world: World, approval: Approval, *, approver: str) -> BreakerRecord:
    """Two people let exactly the phones go that waited when it was asked for. Raises RefusedError(drift) when others wait by now."""
    words = await world.ledger.words.about(approval.id)
    before = await world.ledger.breaker.release(world.clock.now(), fingerprint=approval.fingerprint, reason=words.get("reason", "-"),
                                                operator=approval.asked_by, approver=approver)  # fmt: skip
    phones = [phone.uuid for phone in before.waiting]
    _log.warning("the breaker was released", operator=approval.asked_by, approver=approver, phones=phones[:_NAMED], of=len(phones))
    await world.milestones.reached("breaker-released", "")
    return before


async def tell_held_back(world: World, uuid: str, decision: Decision) -> None:
    """A due phone that clock or breaker hold back counts once as refused with that code."""
    if decision.state is not State.DUE or decision.action is Action.WIPE:
        return
    codes = {reason.code for reason in decision.reasons} & {str(RefusalCode.BREAKER_OPEN), str(RefusalCode.CLOCK_SUSPECT)}
    if codes:
        phone = await world.ledger.phones.get(uuid)
        news = codes - {reason.code for reason in phone.reasons} if phone is not None else codes
        if news:
            world.announcer.refused(sorted(news))


# -- the clock
def read(world: World) -> ClockReading:
    """One look at the clocks."""
    clocks = world.clock
    return ClockReading(clocks.now(), clocks.boottime(), clocks.boot_id(), clocks.synchronised(), world.conditions.recorded_until)


async def look_at_clock(world: World) -> None:
    """Look, remember, and say so when the clock becomes suspect or is trusted again. While it is suspect nothing is concluded from time.

    What cannot be remembered (a full disk) is still so for this daemon, and is told to the ledger by the next look. Raises LedgerError.
    """
    conditions = world.conditions
    first = conditions.clock is None
    before = await world.ledger.clock.memory() if first else conditions.clock
    reading = read(world)
    after = clock.look(before, reading, world.safety)
    was = before.suspect if before is not None else ""
    changed = after.suspect != was
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


async def trust_clock(world: World, *, reason: str, operator: str) -> ClockMemory:
    """An operator says that the clock is right as it stands. Returns what was held against it."""
    before = world.conditions.clock or await world.ledger.clock.memory()
    reading = read(world)
    after = clock.trusted(before, reading)
    await world.ledger.clock.trust(after, reading.now, reason=reason, operator=operator)
    world.conditions.recorded_until = None
    world.conditions.clock = after
    world.conditions.clock_suspect = ""
    _log.warning("the clock was trusted by an operator", operator=operator, was=before.suspect if before else "")
    return before or after
