"""Images that are no phone's business alone: settled by a person as golden or private, and those that no domain reaches any more."""

from __future__ import annotations

import posixpath

import structlog

from wiped.conduct import second_person
from wiped.conduct.world import World
from wiped.decide import classify
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import Approval, ApprovalKind, Person
from wiped.model.canonical import digest
from wiped.model.inventory import FileIdentity
from wiped.model.plan import RefusalCode
from wiped.model.sightings import GOLDEN, MEANINGS, PRIVATE, ClassifiedImage, OrphanImage
from wiped.wire.messages import OrphansFound

_log = structlog.get_logger(__name__)

#: How often the orphans are counted by themselves, seconds: the roots are walked for it.
COUNT_EVERY = 3_600.0


def check(path: str, meaning: str, reason: str) -> None:
    """Raises InputError: no plain absolute path, no such meaning, no reason."""
    if meaning not in MEANINGS:
        raise InputError(f"must be {' or '.join(MEANINGS)}", where="as")
    if not path.startswith("/") or "\0" in path or posixpath.normpath(path) != path or path.startswith("//"):
        raise InputError("must be an absolute path in its plain form", where="path")
    if meaning == PRIVATE and not path.isprintable():
        raise InputError("has characters that another person could not read: rename the image first", where="path")
    second_person.why(reason)


async def call_golden(world: World, path: str, *, reason: str, person: Person) -> ClassifiedImage:
    """Record an image as golden, in the ledger and for the helpers, as the very file that stands there now: it only protects, so one person is enough.

    Raises RefusedError with every code that stands against it (missing, symlink, outside-roots...), and the world's own failures. Idempotent.
    """
    identity = await _judged(world, path, GOLDEN, person.name)
    return await _record(world, ClassifiedImage(path, identity, GOLDEN, world.clock.now(), person.name), reason)


def _named(path: str, identity: FileIdentity) -> str:
    return digest(["classify-private", path.encode("utf-8", "surrogateescape").hex(), identity.device, identity.inode])


async def ask_private(world: World, path: str, *, reason: str, person: Person) -> ClassifiedImage:
    """Calling an image private lets a wipe destroy it: it takes two people. Answers where it is called so already; else records the wish and raises
    RefusedError(needs-approval). Raises RefusedError with every code that stands against it, before anybody is asked."""
    identity = await _judged(world, path, PRIVATE, person.name)
    for image in await world.ledger.images.classified():
        if (image.path, image.identity, image.meaning) == (path, identity, PRIVATE):
            return image
    terms = {"device": str(identity.device), "inode": str(identity.inode)}
    asked = await second_person.ask_for(world, world.ledger, person, kind=ApprovalKind.CLASSIFY, subject=path, uuids=(), reason=reason,
                                    fingerprint=_named(path, identity), terms=terms)  # fmt: skip
    raise second_person.needs_another(world, asked, "calling an image private")


async def stands(world: World, waiting: Approval) -> str:
    """The fingerprint of the file that stands at the path now. Raises RefusedError where it cannot be called private any more."""
    return _named(waiting.subject, await _judged(world, waiting.subject, PRIVATE, waiting.asked_by))


async def call_private(world: World, approval: Approval, *, approver: str) -> ClassifiedImage:
    """Two people called the file that was asked about private: that file, whatever stands at its path by now."""
    terms = approval.terms or {}
    identity = FileIdentity(int(terms["device"]), int(terms["inode"]))
    words = await world.ledger.words.about(approval.id)
    image = ClassifiedImage(approval.subject, identity, PRIVATE, world.clock.now(), approval.asked_by)
    return await _record(world, image, words.get("reason", "-"), approver=approver)


async def _record(world: World, wanted: ClassifiedImage, reason: str, *, approver: str = "") -> ClassifiedImage:
    recorded = await world.ledger.images.classify(wanted, reason=reason, approver=approver)
    await world.milestones.reached("classified", "")
    await world.sheets.classify(recorded)
    for phone in await world.ledger.phones.find():
        if RefusalCode.AMBIGUOUS_BASE in phone.refusals:
            await world.ledger.decisions.touch(phone.uuid)
    return recorded


async def _judged(world: World, path: str, meaning: str, operator: str) -> FileIdentity:
    """The identity of the file at `path`, if it may be called so. Raises RefusedError."""
    others = await world.hypervisor.domains()
    found = classify.found_at(await world.observer.survey(classify.nobodys((path,)), others, with_extents=False), path)
    refusals = classify.refusals_of(found, path, meaning)
    if refusals or found is None or found.layer.identity is None:
        codes = tuple(dict.fromkeys(refusal.code for refusal in refusals))
        world.announcer.refused(codes)
        await world.ledger.audit.note("refused", {"operator": operator, "what": "images classify", "codes": [str(code) for code in codes]}, world.clock.now())
        raise RefusedError("; ".join(f"{refusal.code}: {refusal.detail}" for refusal in refusals), codes=codes)
    return found.layer.identity


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
