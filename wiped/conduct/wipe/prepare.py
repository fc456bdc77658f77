"""The part of a wipe before its last word: plan, intent, fence, stop; and the way back. Nothing here changes a byte of a phone's storage."""

from __future__ import annotations

from wiped.conduct import decisions, survey
from wiped.conduct.results import Ending, RefusedPlanError
from wiped.conduct.wipe import fence, intent, invariants, stop
from wiped.conduct.world import World
from wiped.decide.plan import forgotten
from wiped.errors import InvariantError
from wiped.model.inventory import DomainFacts, DomainState
from wiped.model.plan import Plan
from wiped.model.policy import Policy
from wiped.model.records import COMMITTED_STEPS, WipeRecord, WipeStep
from wiped.model.subscription import Action, Decision, State


async def freeze(world: World, wipe: WipeRecord) -> tuple[DomainFacts, Plan]:
    """Step 1: the plan, the audit snapshot and the intent, durable. Raises RefusedError with every code of the plan's refusals."""
    domain, inventory, plan = await survey.look(world, wipe.uuid, wipe.generation)
    refusals = plan.refusals
    if wipe.plan is not None and wipe.step is not WipeStep.INTENT:
        refusals += forgotten(wipe.plan, plan, domain.shared_directories)
    if refusals:
        raise RefusedPlanError(domain, plan, refusals)
    # A repeated run meets a domain that the first one stopped: what it was before is what the first intent says, or the refusal that fenced it.
    first = wipe.plan is None
    running, autostart = first and domain.state is not DomainState.SHUTOFF, first and domain.autostart
    await intent.intend(world, wipe, inventory, plan, was_running=running, was_autostart=autostart)
    return domain, plan


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
        await decisions.still_due(world, wipe.uuid)
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
    stopped = phone is not None and phone.stopped
    if (wipe.was_running or stopped) and domain.state is DomainState.SHUTOFF:
        await world.hypervisor.start(wipe.uuid)
    if stopped:
        await world.ledger.phones.mark(wipe.uuid, stopped=False, reason="called-off")
    await world.milestones.reached("given-back", wipe.id)


async def cancel(world: World, wipe: WipeRecord) -> None:
    """The end of a wipe that was called off or whose domain vanished."""
    await world.ledger.verdicts.finish(wipe.id, WipeStep.CANCELLED, world.clock.now())
    await world.ledger.decisions.touch(wipe.uuid)
    world.announcer.step(wipe.id, WipeStep.CANCELLED)
    await world.milestones.reached(WipeStep.CANCELLED, wipe.id)
