"""The part of a wipe before its last word: plan, intent, fence, stop; and the way back. Nothing here changes a byte of a phone's storage."""

from __future__ import annotations

from dataclasses import replace

from wiped.conduct import decisions
from wiped.conduct.results import CalledOffError, Ending, RefusedPlanError
from wiped.conduct.wipe import fence, invariants, stop
from wiped.conduct.world import World
from wiped.decide import classify, leftover
from wiped.decide.plan import forgotten, make_plan, refused_too
from wiped.decide.snapshot import audit_snapshot
from wiped.errors import HelperError, InvariantError
from wiped.model.inventory import DomainFacts, DomainState, Inventory
from wiped.model.plan import Plan
from wiped.model.policy import Policy, StorageRules
from wiped.model.records import COMMITTED_STEPS, ArtefactRecord, Secret, WipeRecord, WipeStep
from wiped.model.sightings import RememberedFile
from wiped.model.subscription import Action, Decision, State


async def still_due(world: World, uuid: str) -> Decision:
    """The decision as of now, which must be WIPE; raises CalledOffError with it if it is not."""
    found = await decisions.fresh(world, uuid)
    if found is None:
        raise InvariantError("I8", "a wipe of a phone that the ledger does not know")
    _, decision = found
    if decision.action is not Action.WIPE:
        raise CalledOffError(decision)
    return decision


async def look(world: World, uuid: str, generation: int) -> tuple[DomainFacts, Inventory, Plan]:
    """A fresh survey and the plan of it, with what was the phone's own and is left over (`decide.leftover`). Raises GoneError, RefusedError (transient
    domain), HypervisorError, HelperError, StorageError."""
    domain = await stop.present(world, uuid)
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
        subject = classify.nobodys((file.location for file in unnamed), uuid=uuid, name=domain.name)
        there = await world.observer.survey(subject, others, with_extents=False)
        plan = refused_too(plan, leftover.left_over(there, unnamed))
    return domain, inventory, plan


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


async def freeze(world: World, wipe: WipeRecord) -> tuple[DomainFacts, Plan]:
    """Step 1: the plan, the audit snapshot and the intent, durable. Raises RefusedError with every code of the plan's refusals."""
    domain, inventory, plan = await look(world, wipe.uuid, wipe.generation)
    refusals = plan.refusals
    if wipe.plan is not None and wipe.step is not WipeStep.INTENT:
        refusals += forgotten(wipe.plan, plan, domain.shared_directories)
    if refusals:
        raise RefusedPlanError(domain, plan, refusals)
    # A repeated run meets a domain that the first one stopped: what it was before is what the first intent says, or the refusal that fenced it.
    first = wipe.plan is None
    running, autostart = first and domain.state is not DomainState.SHUTOFF, first and domain.autostart
    await intend(world, wipe, inventory, plan, was_running=running, was_autostart=autostart)
    return domain, plan


async def intend(world: World, wipe: WipeRecord, inventory: Inventory, plan: Plan, *, was_running: bool, was_autostart: bool) -> None:
    """The intent (I1): plan, audit snapshot, a seed and a rename target for each artefact. What the phone once was stays recorded."""
    now = world.clock.now()
    facts = await world.ledger.decisions.facts(wipe.uuid, now)
    policy = (decisions.policy_of(world, facts) if facts else None) or Policy()
    issuer = world.issuer
    snapshot = audit_snapshot(
        inventory,
        plan,
        facts.subscription if facts else None,
        policy,
        host=issuer.host,
        residency=issuer.residency,
        version=issuer.version,
        now=now,
    )
    artefacts = tuple(
        ArtefactRecord(wipe.id, step.artefact_id, step.kind, step.location, world.randomness.name(), Secret(world.randomness.seed())) for step in plan.steps
    )
    await world.ledger.wipes.record_intent(
        wipe.id,
        plan,
        snapshot,
        artefacts,
        was_running=wipe.was_running or was_running,
        was_autostart=wipe.was_autostart or was_autostart,
        now=now,
    )
    await world.ledger.phones.mark(wipe.uuid, refusals=())


async def put_fence(world: World, wipe: WipeRecord, domain: DomainFacts, plan: Plan) -> None:
    """Step 2, first half: the fence file, autostart off, marked, and only then FENCED."""
    await fence.put(world, wipe.uuid, plan, domain)
    await world.milestones.reached("fence-put", wipe.id)
    await world.hypervisor.set_autostart(wipe.uuid, on=False)
    await world.milestones.reached("autostart-off", wipe.id)
    await world.ledger.phones.mark(wipe.uuid, fenced=True, reason="wipe")


async def stop_phone(world: World, wipe: WipeRecord) -> None:
    """Step 2, second half: off, gracefully within the policy's time, called off at once when the decision is not WIPE any more (I7)."""
    invariants.fence_stands(await world.fences.standing(), wipe.uuid)
    facts = await world.ledger.decisions.facts(wipe.uuid, world.clock.now())
    policy = decisions.policy_of(world, facts) if facts else None

    async def recall() -> None:
        await still_due(world, wipe.uuid)
        await world.milestones.reached("stopping", wipe.id)

    await stop.stop(world, wipe.uuid, patience=policy.stop_timeout if policy else Policy().stop_timeout, recall=recall)


async def call_off(world: World, wipe: WipeRecord, decision: Decision) -> Ending:
    """The way back from anywhere before the last word.

    Held or protected, or the domain vanished: the wipe ends, what was fenced stays fenced and off. Not confirmed (clock, feed, breaker): the wipe
    waits as it is. Renewed, or not due any more: everything is given back. Idempotent: repeated from the start after a crash.
    """
    if wipe.step in COMMITTED_STEPS:
        raise InvariantError("I7", "a wipe cannot be called off after its last word")
    if decision.action is Action.NONE and decision.state is State.DUE:
        return Ending.WAITING
    if decision.action is not Action.FENCE and decision.state is not State.VANISHED:
        await give_back(world, wipe)
    await world.ledger.audit.note(
        "called-off",
        {"wipe_id": wipe.id, "uuid": wipe.uuid, "at_step": str(wipe.step), "reasons": [reason.code for reason in decision.reasons]},
        world.clock.now(),
    )
    await cancel(world, wipe)
    return Ending.CANCELLED


async def give_back(world: World, wipe: WipeRecord) -> None:
    """Lift the fence, restore autostart, start the domain again if it had been running. Only what this wipe may have done: after its intent, or after a
    refused plan that fenced the phone."""
    phone = await world.ledger.phones.get(wipe.uuid)
    if phone is not None and phone.suspended:
        return
    if wipe.plan is None and not wipe.was_running and (phone is None or not phone.fenced):
        return
    await fence.lift(world, wipe.uuid, reason="called-off")
    await world.milestones.reached("fence-lifted", wipe.id)
    domain = await world.hypervisor.domain(wipe.uuid)
    if domain is None:
        return
    if wipe.was_autostart and not domain.autostart:
        await world.hypervisor.set_autostart(wipe.uuid, on=True)
    if wipe.was_running and domain.state is DomainState.SHUTOFF:
        await world.hypervisor.start(wipe.uuid)
    await world.milestones.reached("given-back", wipe.id)


async def cancel(world: World, wipe: WipeRecord) -> None:
    """The end of a wipe that was called off or whose domain vanished."""
    await world.ledger.verdicts.finish(wipe.id, WipeStep.CANCELLED, world.clock.now())
    await world.ledger.decisions.touch(wipe.uuid)
    world.announcer.step(wipe.id, WipeStep.CANCELLED)
    await world.milestones.reached(WipeStep.CANCELLED, wipe.id)


def refreshed(plan: Plan, inventory: Inventory, untouched: frozenset[str]) -> Plan:
    """The plan with today's filesystem facts for artefacts that no attempt has overwritten: a host that was changed (another mount option) may prove
    today what it could not before. Device and inode must be the same; all else stays frozen."""
    seen = {found.layer.identity: found.layer for found in inventory.artefacts if found.layer.identity is not None}
    steps = []
    for step in plan.steps:
        layer = seen.get(step.identity)
        if step.artefact_id in untouched and layer is not None and layer.filesystem is not None and layer.extents is not None:
            steps.append(replace(step, filesystem=layer.filesystem, extents=layer.extents))
        else:
            steps.append(step)
    return replace(plan, steps=tuple(steps))
