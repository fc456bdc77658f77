"""Housekeeping about images: records of classified ones that are missing, and images that no domain reaches any more."""

from __future__ import annotations

from wiped.conduct.world import World
from wiped.model.images import OrphanImage
from wiped.wire.messages import OrphansFound

#: How often the orphans are counted by themselves, seconds: the roots are walked for it.
COUNT_EVERY = 3_600.0


async def heal(world: World) -> None:
    """Housekeeping: a record file that is missing (a restored disk, a crash before it was written) is written again. Raises LedgerError, StorageError."""
    for image in await world.ledger.images.classified():
        await world.sheets.classify(image)


async def orphans(world: World) -> tuple[tuple[OrphanImage, ...], OrphansFound]:
    """Files under the roots that no domain reaches, largest first, with the phone that was last remembered to have each. Changes nothing.

    Raises HypervisorError, HelperError, StorageError.
    """
    found = await world.observer.orphans(await world.hypervisor.domains())
    owners = await world.ledger.sightings.owners()
    names = {phone.uuid: phone.name for phone in await world.ledger.phones.find()}
    images = []
    for item in found.orphans:
        owner = min(owners.get(item.identity, frozenset()), default="")
        images.append(OrphanImage(item.location, item.size_bytes, item.allocated_bytes, item.modified, owner, names.get(owner, "")))
    return tuple(sorted(images, key=lambda image: (-image.allocated_bytes, image.location))), found
