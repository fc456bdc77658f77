"""Images that people classify as golden or private: whether the file at a path may be, and the record of it."""

from __future__ import annotations

from wiped.conduct import checks
from wiped.conduct.world import World
from wiped.decide import classify
from wiped.model.inventory import FileIdentity
from wiped.model.plan import RefusalCode
from wiped.model.sightings import ClassifiedImage


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
    recorded = await world.ledger.classify_image(wanted, reason=reason, approver=approver)
    await world.milestones.reached("classified", "")
    await world.sheets.classify(recorded)
    for phone in await world.ledger.phones():
        if RefusalCode.AMBIGUOUS_BASE in phone.refusals:
            await world.ledger.touch(phone.uuid)
    return recorded
