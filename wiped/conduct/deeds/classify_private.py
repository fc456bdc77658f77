"""Classifying an image as private, so that a wipe may destroy it. Subject: the image's path; `terms` holds device and inode of the file.

`judged` and `record` serve the other classification, golden, too: that takes one person (`service.images`).
"""

from __future__ import annotations

from wiped.conduct import checks
from wiped.conduct.deeds.deed import Deed, Standing, Work
from wiped.conduct.world import World
from wiped.decide import classify
from wiped.model.approvals import Approval, Person
from wiped.model.canonical import digest
from wiped.model.images import PRIVATE, ClassifiedImage
from wiped.model.inventory import FileIdentity
from wiped.model.plan import RefusalCode


async def judged(world: World, path: str, meaning: str, operator: str) -> FileIdentity:
    """Return the identity of the file at `path`, if it may be classified as `meaning`. Raises RefusedError with the code of every guard that refuses."""
    others = await world.hypervisor.domains()
    found = classify.found_at(await world.observer.survey(classify.nobodys((path,)), others, with_extents=False), path)
    refusals = classify.refusals_of(found, path, meaning)
    if refusals or found is None or found.layer.identity is None:
        codes = tuple(dict.fromkeys(refusal.code for refusal in refusals))
        why = "; ".join(f"{refusal.code}: {refusal.detail}" for refusal in refusals)
        raise await checks.refused(world, why, codes, operator=operator, what="images classify")
    return found.layer.identity


async def record(world: World, wanted: ClassifiedImage, reason: str, *, approver: str = "") -> ClassifiedImage:
    """Record the classification in the ledger and for the helpers; phones that were refused for the image are decided again."""
    recorded = await world.ledger.images.classify(wanted, reason=reason, approver=approver)
    await world.milestones.reached("classified", "")
    await world.sheets.classify(recorded)
    for phone in await world.ledger.phones.find():
        if RefusalCode.AMBIGUOUS_BASE in phone.refusals:
            await world.ledger.decisions.touch(phone.uuid)
    return recorded


def _named(path: str, identity: FileIdentity) -> str:
    return digest(["classify-private", path.encode("utf-8", "surrogateescape").hex(), identity.device, identity.inode])


async def ask(world: World, path: str, *, reason: str, person: Person) -> ClassifiedImage:
    """Return the image where it is classified as private already; else record the request and raise RefusedError(needs-approval). Raises RefusedError with
    the code of every guard that refuses, before anybody is asked."""
    identity = await judged(world, path, PRIVATE, person.name)
    for image in await world.ledger.images.classified():
        if (image.path, image.identity, image.meaning) == (path, identity, PRIVATE):
            return image
    terms = {"device": str(identity.device), "inode": str(identity.inode)}
    asked = await DEED.ask(world, person, subject=path, uuids=(), fingerprint=_named(path, identity), reason=reason, terms=terms)
    raise DEED.needs_another(world, asked)


async def _standing(world: World, _work: Work, approval: Approval) -> Standing:
    """The file that is at the path now. Raises RefusedError where it cannot be classified as private any more."""
    return Standing(_named(approval.subject, await judged(world, approval.subject, PRIVATE, approval.asked_by)))


async def _carry_out(world: World, work: Work, approval: Approval, approver: str, _seen: Standing) -> None:
    """That file is private which was asked about, whatever is at its path by now."""
    terms = approval.terms or {}
    identity = FileIdentity(int(terms["device"]), int(terms["inode"]))
    words = await world.ledger.words.about(approval.id)
    image = ClassifiedImage(approval.subject, identity, PRIVATE, world.clock.now(), approval.asked_by)
    await record(world, image, words.get("reason", "-"), approver=approver)
    await work.image_settled()


def _shown(approval: Approval) -> str:
    terms = approval.terms or {}
    return f"classify the image {approval.subject} (inode {terms.get('inode', '?')}) as private: a wipe may then destroy it"


async def _is_done(world: World, approval: Approval) -> bool:
    """Whether the path was classified again since enough people agreed."""
    agreed = approval.decided_at or world.clock.now()
    return any(image.path == approval.subject and image.at >= agreed for image in await world.ledger.images.classified())


DEED = Deed("classify-private", "calling an image private", _standing, _carry_out, _shown, is_done=_is_done)
