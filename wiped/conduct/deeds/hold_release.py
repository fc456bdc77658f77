"""Releasing a legal hold. Subject: the hold's id."""

from __future__ import annotations

import contextlib

from wiped.conduct.deeds.deed import Deed, Standing, Work
from wiped.conduct.world import World
from wiped.errors import NotFoundError
from wiped.model.approvals import Approval
from wiped.model.canonical import digest


def fingerprint_of(hold_id: str) -> str:
    """What two people agree to: this hold, whose id never comes again."""
    return digest(["hold", hold_id])


async def _standing(_world: World, _work: Work, approval: Approval) -> Standing:
    return Standing(fingerprint_of(approval.subject))


async def _carry_out(world: World, _work: Work, approval: Approval, _approver: str, _seen: Standing) -> None:
    with contextlib.suppress(NotFoundError):  # it was released
        await world.ledger.holds.release(approval.subject, world.clock.now(), approval.asked_by)


def _shown(approval: Approval) -> str:
    return f"release legal hold {approval.subject}: what it keeps may then be wiped"


DEED = Deed("hold-release", "releasing a legal hold", _standing, _carry_out, _shown)
