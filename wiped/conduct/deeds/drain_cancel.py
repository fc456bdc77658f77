"""Cancelling a drain before its date. Subject: the drain's id."""

from __future__ import annotations

from wiped.conduct.deeds.deed import Deed, Standing, Work
from wiped.conduct.world import World
from wiped.model.approvals import Approval
from wiped.model.canonical import digest


def fingerprint_of(drain_id: str) -> str:
    """What two people agree to: this drain, whose id never comes again."""
    return digest(["drain", drain_id])


async def _standing(_world: World, _work: Work, approval: Approval) -> Standing:
    return Standing(fingerprint_of(approval.subject))


async def _carry_out(world: World, _work: Work, approval: Approval, approver: str, _seen: Standing) -> None:
    await world.ledger.drains.change(approval.subject, world.clock.now(), approver=approver, cancelled=True, operator=approval.asked_by)


def _shown(approval: Approval) -> str:
    return f"cancel drain {approval.subject}"


DEED = Deed("drain-cancel", "cancelling a drain", _standing, _carry_out, _shown)
