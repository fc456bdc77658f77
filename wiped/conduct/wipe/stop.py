"""Stopping a domain: gracefully within a time, then hard; and called off at any second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from wiped.conduct import survey
from wiped.conduct.world import GONE_PATIENCE, STOP_PAUSE, World
from wiped.errors import HypervisorError, RefusedError
from wiped.model.inventory import DomainState, JobKind
from wiped.model.plan import RefusalCode

#: States in which a guest cannot hear the power button.
_DEAF = frozenset({DomainState.PAUSED, DomainState.CRASHED, DomainState.PMSUSPENDED})
#: The power button is pressed again after this many seconds: a booting guest does not hear it.
_ASK_AGAIN = 10.0


async def stop(world: World, uuid: str, *, patience: float, recall: Callable[[], Awaitable[None]]) -> None:
    """Stop the domain and wait until it is gone. `patience`: seconds for the graceful way (0: hard at once).

    `recall` is called about each second, and directly before the hard stop; what it raises ends the waiting with the domain as it is.
    Raises RefusedError(domain-busy) while libvirt runs a job on the domain, GoneError, HypervisorError.
    """
    began = world.clock.boottime()
    asked_at: float | None = None
    while True:
        domain = await survey.present(world, uuid)
        if domain.state is DomainState.SHUTOFF and domain.job is JobKind.NONE:
            return
        await recall()
        spent = world.clock.boottime() - began
        if domain.job is not JobKind.NONE:
            if spent >= patience:
                raise RefusedError(f"libvirt runs a {domain.job} job on the domain", codes=(RefusalCode.DOMAIN_BUSY,),
                                   hint="the wipe is tried again by itself when the job has ended")  # fmt: skip
        elif domain.state in _DEAF or spent >= patience:
            await world.hypervisor.destroy(uuid)
        elif asked_at is None or spent - asked_at >= _ASK_AGAIN:
            await world.hypervisor.shutdown(uuid)
            asked_at = spent
        if spent >= patience + GONE_PATIENCE:
            raise HypervisorError("the domain was destroyed but is not gone")
        await world.pause(STOP_PAUSE)
