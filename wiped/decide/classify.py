"""May an image be called golden, or a phone's own, by a person (`wipectl images classify`)? And how an image is looked at: as the one disk of nobody."""

from __future__ import annotations

from collections.abc import Iterable

from wiped.decide.refusal import refusal_of_problem
from wiped.model.images import PRIVATE
from wiped.model.inventory import DiskSource, DomainFacts, DomainState, FoundArtefact, Inventory
from wiped.model.plan import Refusal, RefusalCode

#: The UUID of no domain: what is surveyed under it has no owner but others.
NOBODY = "00000000-0000-0000-0000-000000000000"


def nobodys(locations: Iterable[str], *, uuid: str = NOBODY, name: str = "nobody") -> DomainFacts:
    """A domain that does not exist, with each of these files as a raw disk: a survey of it looks at the files, and at nothing beneath them."""
    disks = tuple(DiskSource(f"file{number}", "file", location, "raw") for number, location in enumerate(locations))
    return DomainFacts(uuid, name, state=DomainState.SHUTOFF, disks=disks)


def found_at(inventory: Inventory, location: str) -> FoundArtefact | None:
    """What the survey found at exactly this path, as a disk."""
    return next((found for found in inventory.artefacts if found.layer.location == location and found.depth == 0 and found.target), None)


def refusals_of(found: FoundArtefact | None, location: str, meaning: str) -> tuple[Refusal, ...]:
    """Why this file cannot be classified so; () if it can. Calling it golden only protects; calling it private lets a wipe destroy it."""
    if found is None:
        return (Refusal(RefusalCode.MISSING, location, "there is no such image"),)
    layer = found.layer
    if layer.problem or layer.identity is None:
        return (refusal_of_problem(layer.problem or str(RefusalCode.UNREADABLE), location, layer.detail or "it cannot be looked at"),)
    if not layer.under_root and not layer.under_protected:
        return (Refusal(RefusalCode.OUTSIDE_ROOTS, location, "it lies under none of [storage] roots"),)
    if meaning != PRIVATE:
        return ()
    owners = sorted(set(found.owners) - {NOBODY})
    refusals = []
    if layer.under_protected:
        refusals.append(Refusal(RefusalCode.PROTECTED_ROOT, location, f"it lies under the protected root {layer.under_protected}"))
    if len(owners) > 1:
        refusals.append(Refusal(RefusalCode.SHARED_BY_DOMAIN, location, "reached by the domains " + ", ".join(owners[:5])))
    if layer.links != 1:
        refusals.append(Refusal(RefusalCode.HARD_LINK, location, f"the file has {layer.links} names"))
    return tuple(refusals)
