"""Fences that should stand and do not (a restored disk, a hand): put up again, at the daemon's start before anybody is answered, and by housekeeping."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from wiped.conduct.wipe import fence
from wiped.conduct.world import World
from wiped.errors import StorageError
from wiped.model.inventory import DomainFacts
from wiped.model.subscription import State

_log = structlog.get_logger(__name__)


async def put_up_again(world: World, busy: Callable[[str], bool], domains: Mapping[str, DomainFacts]) -> None:
    """By UUID at least. A disposed phone's fence ends by hand, after its domain was undefined. Raises LedgerError, StorageError."""
    standing = await world.fences.standing()
    for phone in await world.ledger.phones.find():
        if phone.fenced and phone.uuid not in standing and not busy(phone.uuid):
            disposed = phone.state is State.DISPOSED
            if disposed and not phone.present:
                _log.warning("the fence of a disposed phone was removed by hand", uuid=phone.uuid)
                await world.ledger.phones.mark(phone.uuid, fenced=False, reason="removed-by-hand")
                continue
            _log.error("a fence is missing and is put up again", uuid=phone.uuid)
            wipes = await world.ledger.wipes.find(phone.uuid, unfinished=not disposed)
            await fence.put(world, phone.uuid, wipes[0].plan if wipes else None, domains.get(phone.uuid))


async def at_start(world: World) -> None:
    """`put_up_again`, for all that the ledger knows to be fenced. A fence that cannot be written is no reason to leave the others alone with it: housekeeping
    tries again. Raises LedgerError."""
    try:
        await put_up_again(world, lambda _: False, {})
    except StorageError as error:
        _log.error("a missing fence cannot be put up again", detail=str(error))
