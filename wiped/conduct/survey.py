"""A survey of one phone as it is now, and the plan of it: of a defined phone, and of a vanished one by what is remembered of it. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wiped.conduct.results import GoneError
from wiped.conduct.world import World
from wiped.decide import classify, leftover
from wiped.decide.plan import drift, make_plan, refused_too
from wiped.decide.vanished import make_vanished_plan, with_earlier
from wiped.errors import HelperError, RefusedError
from wiped.model.inventory import ArtefactKind, DomainFacts, Inventory
from wiped.model.plan import Plan, Refusal, RefusalCode
from wiped.model.policy import StorageRules
from wiped.model.records import WipeRecord
from wiped.model.sightings import RememberedFile

#: Why a transient domain is refused; `live-only` says that it must not be stopped for it.
_TRANSIENT = (RefusalCode.UNSUPPORTED_ARTEFACT, RefusalCode.LIVE_ONLY)


async def present(world: World, uuid: str) -> DomainFacts:
    """The domain, which must be there and must outlive its own stop. Raises GoneError, or RefusedError for a transient domain:

    stopping one would take its definition away, and with it libvirt's own word on whose its disks are.
    """
    domain = await world.hypervisor.domain(uuid)
    if domain is None:
        raise GoneError(uuid)
    if not domain.persistent:
        raise RefusedError("the domain is transient: its definition would go with its stop", codes=_TRANSIENT,
                           hint="define it first (virsh define), then it can be stopped and wiped")  # fmt: skip
    return domain


async def look(world: World, uuid: str, generation: int) -> tuple[DomainFacts, Inventory, Plan]:
    """A fresh survey and the plan of it, with what was the phone's own and is left over (`decide.leftover`). Raises GoneError, RefusedError (transient
    domain), HypervisorError, HelperError, StorageError."""
    domain = await present(world, uuid)
    others = tuple(other for other in await world.hypervisor.domains() if other.uuid != uuid)
    try:
        inventory = await world.observer.survey(domain, others, with_extents=True)
    except HelperError as error:
        world.conditions.helper_fault = str(error)
        raise
    world.conditions.helper_fault = ""
    rules = await _rules(world, uuid)
    plan = make_plan(inventory, generation, rules)
    if unnamed := leftover.unnamed(plan, await _remembered(world, uuid, generation)):
        there = await _as_nobodys(world, domain, others, unnamed, with_extents=True)
        if logs := leftover.own_logs(there, unnamed):
            inventory = replace(inventory, artefacts=(*inventory.artefacts, *logs))
            plan = make_plan(inventory, generation, rules)
        plan = refused_too(plan, leftover.left_over(there, leftover.unnamed(plan, unnamed)))
    return domain, inventory, plan


async def former_logs(
    world: World, domain: DomainFacts, others: tuple[DomainFacts, ...], generation: int, known: Sequence[RememberedFile]
) -> tuple[RememberedFile, ...]:
    """The phone's logs under former names, of which a look at its definition does not tell (`known`: what that look told). Raises as the observer."""
    here = {file.identity for file in known}
    files = [file for file in await _remembered(world, domain.uuid, generation) if file.kind is ArtefactKind.CONSOLE_LOG and file.identity not in here]
    if not files:
        return ()
    logs = leftover.own_logs(await _as_nobodys(world, domain, others, files, with_extents=False), files)
    return tuple(file for file in files if file.location in {found.layer.location for found in logs})


async def _as_nobodys(world: World, domain: DomainFacts, others: tuple[DomainFacts, ...], files: Sequence[RememberedFile], *, with_extents: bool) -> Inventory:
    subject = classify.nobodys((file.location for file in files), uuid=domain.uuid, name=domain.name)
    return await world.observer.survey(subject, others, with_extents=with_extents)


async def _remembered(world: World, uuid: str, generation: int) -> tuple[RememberedFile, ...]:
    """Every file of this host that was ever the phone's own alone since it was handed to its present customer."""
    if not any(memory.generation <= generation for memory in await world.ledger.sightings.find(uuid)):
        return ()
    return tuple(file for file in await world.ledger.sightings.files(uuid, ever=True) if file.local)


async def _rules(world: World, uuid: str) -> StorageRules:
    """The storage rules, made stricter where the phone's policy asks for the whole read-back."""
    term = await world.ledger.subscriptions.get(uuid)
    policy = world.policies.get(term.policy) if term is not None else None
    return replace(world.rules, verify=policy.verify) if policy is not None and policy.verify else world.rules


async def look_at_vanished(world: World, uuid: str, name: str, generation: int) -> tuple[Inventory, Plan]:
    """A survey of what was remembered, and the plan of it.

    Raises RefusedError (drift: it is defined again; unreadable: a neighbour that cannot be followed may own any file), HypervisorError, HelperError,
    StorageError.
    """
    others = await world.hypervisor.domains()
    if any(other.uuid == uuid for other in others):
        raise RefusedError("the phone is defined again", codes=(RefusalCode.DRIFT,))
    # What an earlier generation had was forgotten with its end: an older number is of the time before this term was recorded.
    remembered = [memory for memory in await world.ledger.sightings.find(uuid) if memory.generation <= generation]
    files = await world.ledger.sightings.files(uuid) if remembered else ()
    newest = {file.identity for file in files}
    # Of an older look than the newest one: what a block copy left, say. The eraser's record does not have it, so that it is reported and not touched.
    earlier = [file for file in await world.ledger.sightings.files(uuid, ever=True) if file.identity not in newest] if remembered else []
    owners = await world.ledger.sightings.owners()
    subject = classify.nobodys(dict.fromkeys(file.location for file in (*files, *earlier)), uuid=uuid, name=name)
    try:
        inventory = await world.observer.survey(subject, others, with_extents=True)
    except HelperError as error:
        world.conditions.helper_fault = str(error)
        raise
    world.conditions.helper_fault = ""
    unclear = [detail for code, _, detail in inventory.problems if code == RefusalCode.UNREADABLE]
    if unclear and files:
        raise RefusedError(f"nothing of a vanished phone is wiped while {unclear[0]}", codes=(RefusalCode.UNREADABLE,))
    return inventory, with_earlier(make_vanished_plan(inventory, files, owners, generation, world.rules), inventory, earlier)


async def vanished_changes(world: World, wipe: WipeRecord, planned: Plan) -> tuple[Refusal, ...]:
    """Step 4 for a vanished phone: what differs from the frozen plan now. Raises as `look_at_vanished`."""
    _, seen = await look_at_vanished(world, wipe.uuid, wipe.name, wipe.generation)
    gone = {step.artefact_id for step in planned.steps if step.gone} ^ {step.artefact_id for step in seen.steps if step.gone}
    found = [Refusal(RefusalCode.DRIFT, step.location, "it came or went since the plan was made") for step in planned.steps if step.artefact_id in gone]
    return (*drift(planned, seen), *found)
