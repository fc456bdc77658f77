"""What two people agreed to is one plan, and no other plan is carried out (R14)."""

from __future__ import annotations

import structlog

from wiped.conduct.world import World
from wiped.errors import RefusedError
from wiped.model.approvals import RequestKind
from wiped.model.plan import Plan, RefusalCode
from wiped.model.records import WipeRecord

_log = structlog.get_logger(__name__)


async def same_plan(world: World, wipe: WipeRecord, plan: Plan) -> None:
    """Before the fence of a wipe that a second person had to approve: the frozen plan must be the one that they saw.

    Raises RefusedError(drift), and takes the agreement back: it is asked for anew. A drain is approved before its plans can be known.
    """
    now = world.clock.now()
    facts = await world.ledger.decisions.facts(wipe.uuid, now)
    if facts is None or facts.subscription is None or now >= facts.subscription.expires_at:
        return
    request = next((item for item in facts.requests if item.id == wipe.trigger.reference), None)
    if request is None or request.signed or request.kind == RequestKind.DRAIN or request.fingerprint == plan.fingerprint:
        return
    await world.ledger.requests.approve(request.id, now, approver="", until=now, fingerprint="")
    _log.warning("the plan is not the one that was approved", uuid=wipe.uuid, wipe_id=wipe.id, request=request.id)
    raise RefusedError("the plan is not the one that was approved: it takes another look, and another approval", codes=(RefusalCode.DRIFT,),
                       hint="wipectl plan shows the plan as it is now; then approve what wipectl approvals list shows")  # fmt: skip
