"""The breaker against mass mistakes: phones are counted before any of them begins. The rules are `decide.breaker`; what is found is durable before it is
acted upon."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import structlog

from wiped.conduct import decisions
from wiped.conduct.world import World
from wiped.decide import breaker
from wiped.errors import LedgerError
from wiped.model.plan import RefusalCode
from wiped.model.subscription import Action, Decision, LifecycleFacts, State

_log = structlog.get_logger(__name__)

#: A log line names at most this many phones; `wipectl breaker status` names all.
_NAMED = 100


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
    """Whether the phone counts: it would be wiped or stopped now, by time or feed, were the breaker closed."""
    now = world.clock.now()
    closed, opened = (decisions.decided(world, replace(facts, breaker_open=is_open), now) for is_open in (False, True))
    return breaker.newly_due(closed, opened)


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
