"""Images that are no phone's business alone: settled by a person as golden or private, and those that no domain reaches any more."""

from __future__ import annotations

import posixpath

import structlog

from wiped.conduct.world import World
from wiped.decide import classify
from wiped.errors import InputError, RefusedError
from wiped.model.inventory import FileIdentity
from wiped.model.memory import MEANINGS, ClassifiedImage, OrphanImage
from wiped.model.plan import RefusalCode
from wiped.wire.messages import OrphansFound

_log = structlog.get_logger(__name__)

#: How often the orphans are counted by themselves, seconds: the roots are walked for it.
COUNT_EVERY = 3_600.0


async def settle(world: World, path: str, meaning: str, *, reason: str, operator: str) -> ClassifiedImage:
    """Record an image as golden or private, in the ledger and for the helpers, as the very file that stands there now.

    Raises InputError (no plain absolute path, no such meaning, no reason), RefusedError with every code that stands against it (missing, symlink,
    outside-roots, protected-root, shared-by-domain...), and the world's own failures. Idempotent.
    """
    if meaning not in MEANINGS:
        raise InputError(f"must be {' or '.join(MEANINGS)}", where="as")
    if not path.startswith("/") or "\0" in path or posixpath.normpath(path) != path or path.startswith("//"):
        raise InputError("must be an absolute path in its plain form", where="path")
    if not reason.strip():
        raise InputError("say why, for whoever asks later", where="reason")
    identity = await _judged(world, path, meaning, operator)
    wanted = ClassifiedImage(path, identity, meaning, world.clock.now(), operator)
    recorded = await world.ledger.classify_image(wanted, reason=reason)
    await world.milestones.reached("classified", "")
    await world.sheets.classify(recorded)
    for phone in await world.ledger.phones():
        if RefusalCode.AMBIGUOUS_BASE in phone.refusals:
            await world.ledger.touch(phone.uuid)
    return recorded


async def _judged(world: World, path: str, meaning: str, operator: str) -> FileIdentity:
    """The identity of the file at `path`, if it may be called so. Raises RefusedError."""
    others = await world.hypervisor.domains()
    found = classify.found_at(await world.observer.survey(classify.nobodys((path,)), others, with_extents=False), path)
    refusals = classify.refusals_of(found, path, meaning)
    if refusals or found is None or found.layer.identity is None:
        codes = tuple(dict.fromkeys(refusal.code for refusal in refusals))
        world.announcer.refused(codes)
        await world.ledger.note("refused", {"operator": operator, "what": "images classify", "codes": [str(code) for code in codes]}, world.clock.now())
        raise RefusedError("; ".join(f"{refusal.code}: {refusal.detail}" for refusal in refusals), codes=codes)
    return found.layer.identity


async def heal(world: World) -> None:
    """Housekeeping: a record file that is missing (a restored disk, a crash before it was written) is written again. Raises LedgerError, StorageError."""
    for image in await world.ledger.classified_images():
        await world.sheets.classify(image)


async def orphans(world: World) -> tuple[tuple[OrphanImage, ...], OrphansFound]:
    """Files under the roots that no domain reaches, largest first, with the phone that was last remembered to have each. Changes nothing.

    Raises HypervisorError, HelperError, StorageError.
    """
    found = await world.observer.orphans(await world.hypervisor.domains())
    owners = await world.ledger.remembered_owners()
    names = {phone.uuid: phone.name for phone in await world.ledger.phones()}
    images = []
    for item in found.orphans:
        owner = min(owners.get(item.identity, frozenset()), default="")
        images.append(OrphanImage(item.location, item.size_bytes, item.allocated_bytes, item.modified, owner, names.get(owner, "")))
    return tuple(sorted(images, key=lambda image: (-image.allocated_bytes, image.location))), found
