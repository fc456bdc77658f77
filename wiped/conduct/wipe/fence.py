"""Putting a fence up and taking it down (docs/design.md, step 2, I6). Always the file first, then the ledger."""

from __future__ import annotations

from wiped.conduct.wipe import invariants
from wiped.conduct.world import World
from wiped.model.inventory import DomainFacts, DomainState
from wiped.model.plan import Plan, Step


def _volumes(domain: DomainFacts, paths: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """Pool and name of the volumes among the fenced paths."""
    return tuple(dict.fromkeys((disk.pool, disk.volume) for disk in domain.disks if disk.pool and disk.volume and disk.location in paths))


def _own(plan: Plan) -> tuple[Step, ...]:
    """The steps that may stand in the fence: nothing that is kept, was refused, or is gone (its place and inode may be another's by now)."""
    places = {item.location for item in plan.retained} | {item.location for item in plan.refusals}
    files = {item.identity for item in plan.retained if item.identity is not None}
    return tuple(step for step in plan.steps if not step.gone and step.location not in places and step.identity not in files)


async def put(world: World, uuid: str, plan: Plan | None, domain: DomainFacts | None) -> None:
    """Fence a phone and the files that are its own. Never a retained or a refused one: that could fence its neighbours too.

    Without a plan (nothing could be looked at) only the UUID is fenced. Idempotent.
    """
    steps = _own(plan) if plan is not None else ()
    paths = tuple(step.location for step in steps)
    volumes = _volumes(domain, frozenset(paths)) if domain is not None else ()
    await world.fences.put(uuid, paths, tuple(step.identity for step in steps), volumes)
    invariants.fence_stands(await world.fences.standing(), uuid)


async def lift(world: World, uuid: str, *, reason: str) -> None:
    """Take the fence down. The file first: a crash between leaves the ledger saying *fenced*, and its caller lifts it again."""
    await world.fences.lift(uuid)
    await world.ledger.phones.mark(uuid, fenced=False, reason=reason)


async def give_back(world: World, uuid: str, *, reason: str) -> None:
    """Take the fence down, and start the phone where the fence had stopped it. The ledger says *stopped* until that is done: a crash, or a libvirt that does
    not answer or cannot start it, lets the caller do it again, and no fence stands meanwhile. Raises HypervisorError, StorageError."""
    await lift(world, uuid, reason=reason)
    phone = await world.ledger.phones.get(uuid)
    if phone is None or not phone.stopped:
        return
    domain = await world.hypervisor.domain(uuid)
    if domain is not None and domain.state is DomainState.SHUTOFF:
        await world.hypervisor.start(uuid)
        await world.milestones.reached("started-again", "")
    await world.ledger.phones.mark(uuid, stopped=False, reason=reason)
