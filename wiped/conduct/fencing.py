"""Putting a fence up and taking it down (DESIGN step 2, I6). Always the file first, then the ledger."""

from __future__ import annotations

from wiped.conduct import invariants
from wiped.conduct.world import World
from wiped.model.inventory import DomainFacts, FileIdentity
from wiped.model.plan import Plan


def _volumes(domain: DomainFacts | None) -> tuple[tuple[str, str], ...]:
    if domain is None:
        return ()
    return tuple(dict.fromkeys((disk.pool, disk.volume) for disk in domain.disks if disk.pool and disk.volume and not disk.readonly and disk.device == "disk"))


async def put(world: World, uuid: str, plan: Plan | None, domain: DomainFacts | None) -> None:
    """Fence a phone and the files that are its own. Never a retained one: that would fence its neighbours too.

    Without a plan (it was refused) only the UUID is fenced. Idempotent.
    """
    paths: tuple[str, ...] = ()
    identities: tuple[FileIdentity, ...] = ()
    if plan is not None:
        kept = {item.location for item in plan.retained}
        paths = tuple(step.location for step in plan.steps if step.location not in kept)
        identities = tuple(step.identity for step in plan.steps if step.location not in kept)
    await world.fences.put(uuid, paths, identities, _volumes(domain))
    invariants.fence_stands(await world.fences.standing(), uuid)


async def lift(world: World, uuid: str, *, reason: str) -> None:
    """Take the fence down. The file first: a crash between leaves the ledger saying *fenced*, and whoever lifted it does so again."""
    await world.fences.lift(uuid)
    await world.ledger.mark(uuid, fenced=False, reason=reason)
