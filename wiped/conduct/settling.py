"""What people settle, as the faces ask for it: golden and private images, orphans, and what can never be proven. A part of `Service`."""

from __future__ import annotations

from wiped.conduct.service import images, quarantine
from wiped.conduct.sweep.sweep import Reconciler
from wiped.conduct.world import World
from wiped.model.approvals import Person
from wiped.model.records import WipeRecord
from wiped.model.sightings import PRIVATE, ClassifiedImage, OrphanImage


class Settling:
    """Mixed into `Service`, which owns the world."""

    _world: World
    _reconciler: Reconciler

    async def classify_image(self, path: str, meaning: str, *, reason: str, person: Person) -> ClassifiedImage:
        """Record an image as golden, as the very file that stands there; `private` takes two people, and raises RefusedError(needs-approval) once the wish
        was recorded. Raises InputError, RefusedError with every code against it."""
        images.check(path, meaning, reason)
        if meaning == PRIVATE:
            return await images.ask_private(self._world, path, reason=reason, person=person)
        recorded = await images.call_golden(self._world, path, reason=reason, person=person)
        await self._reconciler.image_settled()
        return recorded

    async def classified_images(self) -> tuple[ClassifiedImage, ...]:
        """All of them, oldest first."""
        return await self._world.ledger.images.classified()

    async def orphans(self) -> tuple[tuple[OrphanImage, ...], bool, tuple[tuple[str, str], ...]]:
        """(images that no domain reaches, largest first; whether there are more; (place, why) of what could not be looked at). Changes nothing."""
        found, told = await images.orphans(self._world)
        self._world.conditions.orphan_images = len(found)
        return found, told.truncated, told.problems

    async def dispose(self, uuid: str, *, reason: str, reference: str, confirm: str, person: Person) -> WipeRecord:
        """Accept what cannot be proven. Takes two people: raises RefusedError(needs-approval) once the wish was recorded, and as `disposing.ask`."""
        raise await quarantine.ask(self._world, uuid, reason=reason, reference=reference, confirm=confirm, person=person)
