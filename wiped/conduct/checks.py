"""Checks that several nouns share: the phone is known, a reason is given; and a refusal that is counted and audited."""

from __future__ import annotations

from collections.abc import Sequence

from wiped.conduct.world import World
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.records import PhoneRecord


async def known_phone(world: World, uuid: str) -> PhoneRecord:
    """Return the phone with this UUID. Raises NotFoundError."""
    phone = await world.ledger.phones.get(uuid)
    if phone is None:
        raise NotFoundError("no such phone", where="phone", hint="wipectl phones list shows every phone of this host")
    return phone


def given_reason(reason: str) -> str:
    """Return a reason that is not empty. Raises InputError."""
    if not reason.strip():
        raise InputError("required", where="reason", hint="write why, for people who ask later")
    return reason


async def refused(world: World, why: str, codes: Sequence[str], *, operator: str, hint: str = "", **about: str) -> RefusedError:
    """Count and audit a refusal of what `operator` asked for; the error to raise. `about`: what the audit entry says beside operator and codes."""
    world.announcer.refused(codes)
    await world.ledger.audit.note("refused", {**about, "operator": operator, "codes": [str(code) for code in codes]}, world.clock.now())
    return RefusedError(why, codes=tuple(codes), approval=about.get("approval", ""), hint=hint)
