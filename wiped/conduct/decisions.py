"""Facts from the ledger and conditions of the host, put before the pure decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from wiped.conduct.results import CalledOffError
from wiped.conduct.world import World
from wiped.decide import clock, lifecycle
from wiped.decide.gate import Condition
from wiped.decide.policies import as_promised
from wiped.errors import InvariantError
from wiped.model.policy import Policy
from wiped.model.subscription import Action, Decision, LifecycleFacts, Reason


def complete(world: World, facts: LifecycleFacts) -> LifecycleFacts:
    """`facts` with what only the conductor knows: feed and clock. A step of the clock since the last sweep is seen here too."""
    return replace(facts, feed=world.conditions.feed, clock_suspect=clock_suspect(world))


def clock_suspect(world: World) -> bool:
    """Whether nothing may be concluded from time now: as the last look found, or by a step since."""
    conditions = world.conditions
    if conditions.clock is None or conditions.clock_suspect:
        return bool(conditions.clock_suspect)
    return clock.stepped(conditions.clock, world.clock.now(), world.clock.boottime(), world.safety) != 0


def conditions_of(world: World, facts: LifecycleFacts) -> frozenset[Condition]:
    """What of the host and of the term's policy stands against an act on this phone, for the gate."""
    found = {Condition.CLOCK_SUSPECT} if clock_suspect(world) else set()
    return frozenset(found | ({Condition.UNKNOWN_POLICY} if policy_of(world, facts) is None else set()))


def policy_of(world: World, facts: LifecycleFacts) -> Policy | None:
    """The policy that the term names, with the grace that was promised; None if no such policy is configured. A term is never put under another policy than
    its own."""
    if facts.subscription is None:
        return world.policies.get("default", Policy())
    policy = world.policies.get(facts.subscription.policy)
    return None if policy is None else as_promised(policy, world.conditions.promises, facts.subscription)


def note_policy(world: World, facts: LifecycleFacts) -> None:
    """Whether the configuration has the policy of this phone's term: where it lacks it, readiness says so."""
    lacks = world.conditions.without_policy
    lacks.pop(facts.uuid, None)
    if facts.subscription is not None and policy_of(world, facts) is None:
        lacks[facts.uuid] = facts.subscription.policy


def _without_policy(facts: LifecycleFacts, now: datetime) -> Decision:
    """Nothing is concluded, and nothing that stands is taken back: what fences it fences it, and its time is asked for again."""
    name = facts.subscription.policy if facts.subscription else ""
    reason = Reason("unknown-policy", f"the term names the policy {name!r}, which the configuration does not have: nothing is concluded")
    again = now + timedelta(seconds=lifecycle.PLAN_AGAIN)
    return lifecycle.as_recorded(facts, reason, again)


def decided(world: World, facts: LifecycleFacts, now: datetime) -> Decision:
    """The decision for `facts` at `now`."""
    policy = policy_of(world, facts)
    if policy is None:
        return _without_policy(facts, now)
    return lifecycle.decide(complete(world, facts), policy, world.safety, now)


def last_word(world: World, facts: LifecycleFacts, now: datetime) -> Decision:
    """Step 5 (I7): called by the ledger within the transaction that writes `erasing`."""
    policy = policy_of(world, facts)
    if policy is None:
        return _without_policy(facts, now)
    return lifecycle.last_word(complete(world, facts), policy, world.safety, now)


async def fresh(world: World, uuid: str) -> tuple[LifecycleFacts, Decision] | None:
    """Facts and decision for one phone as of now; None if the ledger does not know it."""
    now = world.clock.now()
    facts = await world.ledger.decisions.facts(uuid, now)
    if facts is None:
        return None
    return complete(world, facts), decided(world, facts, now)


async def still_due(world: World, uuid: str) -> Decision:
    """The decision as of now, which must be WIPE; raises CalledOffError with it if it is not."""
    found = await fresh(world, uuid)
    if found is None:
        raise InvariantError("I8", "a wipe of a phone that the ledger does not know")
    _, decision = found
    if decision.action is not Action.WIPE:
        raise CalledOffError(decision)
    return decision
