"""Refuse, fence, alarm: a due phone whose plan a guard refused is not wiped, and is not left running either.

Its data stays whole and in place until a person settles what the guard said no to; meanwhile nobody uses it for anything else (docs/design.md, "The two ways to
fail": keep the data fenced). Only what the stop itself would lose or break keeps the phone as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from wiped.conduct import decisions
from wiped.conduct.results import RefusedPlanError
from wiped.conduct.wipe import fence, prepare, stop
from wiped.conduct.world import World
from wiped.errors import InvariantError, RefusedError
from wiped.model.inventory import DomainState
from wiped.model.plan import RefusalCode
from wiped.model.policy import Policy
from wiped.model.records import COMMITTED_STEPS, WipeRecord

_log = structlog.get_logger(__name__)

#: A phone refused with one of these is neither fenced nor stopped for it: libvirt is at work on it, the stop would take something away from libvirt's
#: knowledge (a hot-plugged disk, a transient definition), or nothing may be concluded about it at all.
NEVER_FOR = frozenset({RefusalCode.DOMAIN_BUSY, RefusalCode.LIVE_ONLY, RefusalCode.UNBOUND})


def fences(codes: Sequence[str]) -> bool:
    """Whether a plan refused with these codes fences and stops its phone."""
    return not NEVER_FOR & set(codes)


async def record(world: World, wipe: WipeRecord, error: RefusedError) -> None:
    """The alarm: log, counter, and the codes with the phone. Before the last word only."""
    if wipe.step in COMMITTED_STEPS:
        raise InvariantError("I7", "a refusal after the last word") from error
    _log.warning("wipe refused", wipe_id=wipe.id, uuid=wipe.uuid, step=str(wipe.step), codes=list(error.codes), detail=str(error))
    world.announcer.refused(error.codes)
    world.conditions.refused[wipe.uuid] = str(error)
    await world.ledger.phones.mark(wipe.uuid, refusals=error.codes, reason="wipe")
    await world.milestones.reached("refused", wipe.id)


async def fence_and_stop(world: World, wipe: WipeRecord, error: RefusedPlanError) -> None:
    """Fence the phone and the files that are surely its own, then stop it; every part of it again after a crash.

    What it was before is recorded first, so that a renewal gives it back as it was. Autostart is left alone: the hook vetoes it.
    Raises CalledOffError when the phone is not due any more, GoneError, HypervisorError, LedgerError, StorageError; a libvirt job that keeps it from
    being stopped is only told.
    """
    domain = error.domain
    await world.ledger.wipes.note_standing(wipe.id, was_running=domain.state is not DomainState.SHUTOFF, was_autostart=False)
    await world.milestones.reached("standing-noted", wipe.id)
    phone = await world.ledger.phones.get(wipe.uuid)
    if wipe.plan is None or phone is None or not phone.fenced or wipe.uuid not in await world.fences.standing():
        await fence.put(world, wipe.uuid, error.plan, domain)  # else the fence of an earlier plan, which lists more, stands
    await world.milestones.reached("refused-fence-put", wipe.id)
    await world.ledger.phones.mark(wipe.uuid, fenced=True, reason="refused")
    facts = await world.ledger.decisions.facts(wipe.uuid, world.clock.now())
    policy = decisions.policy_of(world, facts) if facts else None

    async def recall() -> None:
        await prepare.still_due(world, wipe.uuid)

    try:
        await stop.stop(world, wipe.uuid, patience=policy.stop_timeout if policy else Policy().stop_timeout, recall=recall)
    except RefusedError as busy:
        _log.warning("fenced, but not stopped", wipe_id=wipe.id, uuid=wipe.uuid, codes=list(busy.codes), detail=str(busy))
    await world.milestones.reached("refused-stopped", wipe.id)
