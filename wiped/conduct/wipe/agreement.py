"""What two people agreed to is one plan, and no other plan is carried out (R14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import structlog

from wiped.conduct import decisions
from wiped.conduct.world import World
from wiped.errors import RefusedError
from wiped.model.approvals import RequestKind
from wiped.model.plan import Plan, RefusalCode
from wiped.model.records import WipeRecord
from wiped.model.subscription import WIPE_STATES, Action, Decision, LifecycleFacts, Reason, WipeRequest

_log = structlog.get_logger(__name__)


def _not_of(plan: Plan, facts: LifecycleFacts, request_id: str) -> WipeRequest | None:
    """The request by which a phone is due, where a second person agreed to another plan than this one."""
    request = next((item for item in facts.requests if item.id == request_id), None)
    if request is None or request.signed or request.kind == RequestKind.DRAIN or request.fingerprint == plan.fingerprint:
        return None
    return request


def last_word(world: World, wipe: WipeRecord, plan: Plan, facts: LifecycleFacts, now: datetime) -> Decision:
    """Step 5 (I7, I11), within the transaction that writes `erasing`: the decision as of now, which is no wipe where it is made for another reason than the
    wipe's trigger says, or where people agreed to another plan. What was begun is finished by its frozen plan."""
    decision = decisions.last_word(world, facts, now)
    if decision.action is not Action.WIPE or facts.recorded_state in WIPE_STATES:
        return decision
    running = facts.subscription is not None and now < facts.subscription.expires_at
    if decision.request_id != wipe.trigger.reference or (running and _not_of(plan, facts, decision.request_id) is not None):
        reason = Reason(str(RefusalCode.DRIFT), "what would be destroyed, or why, is not what was agreed to: it is looked at again")
        return replace(decision, action=Action.NONE, reasons=(*decision.reasons, reason))
    return decision


async def same_plan(world: World, wipe: WipeRecord, plan: Plan) -> None:
    """Before the fence of a wipe that a second person had to approve: the frozen plan must be the one that they saw.

    Raises RefusedError(drift), and takes the agreement back: it is asked for anew. A drain is approved before its plans can be known.
    """
    now = world.clock.now()
    facts = await world.ledger.decisions.facts(wipe.uuid, now)
    if facts is None or facts.subscription is None or now >= facts.subscription.expires_at:
        return
    request = _not_of(plan, facts, wipe.trigger.reference)
    if request is None:
        return
    await world.ledger.requests.approve(request.id, now, approver="", until=now, fingerprint="")
    _log.warning("the plan is not the one that was approved", uuid=wipe.uuid, wipe_id=wipe.id, request=request.id)
    raise RefusedError("the plan is not the one that was approved: it takes another look, and another approval", codes=(RefusalCode.DRIFT,),
                       hint="wipectl plan shows the plan as it is now; then approve what wipectl approvals list shows")  # fmt: skip
