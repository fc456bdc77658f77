"""The intent of a wipe (I1): plan, audit snapshot, seeds and rename targets, durable before anything is done to the phone."""

from __future__ import annotations

from wiped.conduct import decisions
from wiped.conduct.world import World
from wiped.decide.snapshot import audit_snapshot
from wiped.model.instants import end_text
from wiped.model.inventory import Inventory
from wiped.model.plan import Plan
from wiped.model.policy import Policy
from wiped.model.records import ArtefactRecord, Secret, Trigger, WipeRecord
from wiped.model.subscription import Decision, LifecycleFacts


def trigger_of(facts: LifecycleFacts, decision: Decision) -> Trigger:
    """Why the phone is wiped, as its certificate will say it. `decision`: that its time has come."""
    term = facts.subscription
    request = next((item for item in facts.requests if item.id == decision.request_id), None)
    return Trigger(
        kind=decision.trigger or "expiry",
        ground=decision.ground,
        reference=request.id if request else "",
        expired_at=end_text(term.expires_at) if term else "",
        policy=term.policy if term else "",
        operator=(request.operator if request else "") or "daemon",
        approver=request.approver if request else "",
    )


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
