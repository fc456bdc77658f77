"""What people settle, as the faces ask for it: golden and private images, orphans, and what can never be proven. A part of `Service`."""

from __future__ import annotations

from wiped.conduct import disposing, images
from wiped.conduct.disposing import Person
from wiped.conduct.reconcile import Reconciler
from wiped.conduct.world import World
from wiped.errors import InputError
from wiped.model.memory import ClassifiedImage, OrphanImage
from wiped.model.records import WipeRecord


class Settling:
    """Mixed into `Service`, which owns the world."""

    _world: World
    _reconciler: Reconciler

    async def classify_image(self, path: str, meaning: str, *, reason: str, operator: str) -> ClassifiedImage:
        """Record an image as golden or private, as the very file that stands there. Raises InputError, RefusedError with every code against it."""
        recorded = await images.settle(self._world, path, meaning, reason=reason, operator=operator)
        for wipe in await self._world.ledger.wipes(unfinished=True):
            phone = await self._world.ledger.phone(wipe.uuid)
            if phone is not None and "ambiguous-base" in phone.refusals:
                await self._reconciler.submit_again(wipe.id)  # what it waited for may be settled now
        return recorded

    async def classified_images(self) -> tuple[ClassifiedImage, ...]:
        """All of them, oldest first."""
        return await self._world.ledger.classified_images()

    async def orphans(self) -> tuple[tuple[OrphanImage, ...], bool, tuple[tuple[str, str], ...]]:
        """(images that no domain reaches, largest first; whether there are more; (place, why) of what could not be looked at). Changes nothing."""
        found, told = await images.orphans(self._world)
        self._world.conditions.orphan_images = len(found)
        return found, told.truncated, told.problems

    async def dispose(self, uuid: str, *, reason: str, reference: str, confirm: str, operator: str, uid: int, may_approve: bool) -> WipeRecord:
        """Accept what cannot be proven: a wish, or the second person's deed. Raises as `disposing.dispose`, and InputError while it is being retried."""
        if self._reconciler.queue.busy_with(uuid):
            raise InputError("the phone is being worked on right now: ask again when its attempt has ended", where="phone")
        person = Person(operator, uid, may_approve)
        return await disposing.dispose(self._world, uuid, reason=reason, reference=reference, confirm=confirm, person=person)
