"""Allowing the wipe of exactly the phones that wait for the breaker. Subject: the number of the breaker's opening."""

from __future__ import annotations

import structlog

from wiped.conduct.deeds.deed import Deed, Standing, Work
from wiped.conduct.world import World
from wiped.model.approvals import Approval
from wiped.model.records import COMMITTED_STEPS

_log = structlog.get_logger(__name__)

#: A log line names at most this many phones; `wipectl breaker status` names all.
_NAMED = 100


async def _standing(world: World, _work: Work, approval: Approval) -> Standing:
    """ "" where the breaker was released since, or opened anew."""
    breaker = await world.ledger.breaker.get()
    return Standing(breaker.fingerprint if breaker.open and str(breaker.id) == approval.subject else "")


async def _carry_out(world: World, work: Work, approval: Approval, approver: str, _seen: Standing) -> None:
    """Raises RefusedError(drift) when other phones wait by now than when it was asked for."""
    words = await world.ledger.words.about(approval.id)
    before = await world.ledger.breaker.release(world.clock.now(), fingerprint=approval.fingerprint, reason=words.get("reason", "-"),
                                                operator=approval.asked_by, approver=approver)  # fmt: skip
    phones = [phone.uuid for phone in before.waiting]
    _log.warning("the breaker was released", operator=approval.asked_by, approver=approver, phones=phones[:_NAMED], of=len(phones))
    await world.milestones.reached("breaker-released", "")
    # Wipes that had begun before it opened need not sit out their back-off.
    for wipe in await world.ledger.wipes.find(unfinished=True):
        if wipe.step not in COMMITTED_STEPS:
            await work.submit_again(wipe.id)


def _shown(approval: Approval) -> str:
    return f"release the breaker: allow the wipe of the {len(approval.uuids)} phones that wait for it"


async def _is_gone(world: World, approval: Approval) -> bool:
    breaker = await world.ledger.breaker.get()
    return not breaker.open or (str(breaker.id), breaker.fingerprint) != (approval.subject, approval.fingerprint)


DEED = Deed("breaker-release", "releasing the breaker", _standing, _carry_out, _shown, is_gone=_is_gone)
