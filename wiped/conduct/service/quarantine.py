"""Wipes without proof, which wait in quarantine: tried again, or disposed of by two people."""

from __future__ import annotations

from wiped.conduct.deeds import dispose
from wiped.conduct.deeds.deed import Work
from wiped.conduct.world import World
from wiped.errors import InputError
from wiped.model.approvals import Person
from wiped.model.records import WipeRecord, WipeStep


class Quarantine:
    """What the faces may ask about wipes in quarantine."""

    def __init__(self, world: World, work: Work) -> None:
        self._world = world
        self._work = work

    async def find(self) -> tuple[WipeRecord, ...]:
        """Wipes that wait in quarantine, oldest first."""
        return tuple(wipe for wipe in await self._world.ledger.wipes.find(unfinished=True) if wipe.step is WipeStep.QUARANTINED)

    async def retry(self, uuid: str, operator: str) -> WipeRecord:
        """Try a quarantined wipe again now. Raises InputError where none waits."""
        waiting = next((wipe for wipe in await self._world.ledger.wipes.find(uuid, unfinished=True) if wipe.step is WipeStep.QUARANTINED), None)
        if waiting is None:
            raise InputError("no wipe of this phone waits in quarantine", where="phone", hint="wipectl quarantine list shows those that wait")
        await self._world.ledger.quarantine.retry_now(waiting.id, self._world.clock.now(), operator)
        await self._work.submit_again(waiting.id)
        return await self._world.ledger.wipes.get(waiting.id) or waiting

    async def dispose(self, uuid: str, *, reason: str, reference: str, confirm: str, person: Person) -> WipeRecord:
        """Accept what cannot be proven. Takes two people: raises RefusedError(needs-approval) once the request is recorded, and as `dispose.ask`."""
        raise await dispose.ask(self._world, uuid, reason=reason, reference=reference, confirm=confirm, person=person)
