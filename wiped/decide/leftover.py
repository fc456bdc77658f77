"""Files that were a phone's own alone when it was last looked at, and that nothing names today: a block copy pivoted away from, a disk that was plugged
into the running phone only, a log or seed that its definition dropped.

A log in libvirt's own directory that no other domain's name claims is the phone's still: libvirt leaves one under the old name of every phone that is
renamed after it ran, and it is erased with the phone.

Any other such file still holds the phone's data too. It is not taken into the plan (what nothing names is nobody's to erase while its phone is there); it
refuses the plan, so that no certificate says `clear` beside it, until somebody names it, removes it, or says that it is everybody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wiped.decide.classify import found_at
from wiped.model.images import GOLDEN
from wiped.model.inventory import ArtefactKind, FoundArtefact, Inventory
from wiped.model.plan import Plan, Refusal, RefusalCode
from wiped.model.sightings import RememberedFile

_WAYS = (
    "name it in the phone's persistent definition and it is erased with the phone, remove it yourself, or say that it is everybody's: wipectl images "
    "classify PATH golden"
)


def unnamed(plan: Plan, files: Sequence[RememberedFile]) -> tuple[RememberedFile, ...]:
    """Those of the phone's remembered `files` that its plan neither erases, keeps nor refuses: they are to be looked at."""
    known = {step.identity for step in plan.steps} | {kept.identity for kept in plan.retained}
    refused = {refusal.location for refusal in plan.refusals}
    return tuple(file for file in files if file.identity not in known and file.location not in refused)


def own_logs(inventory: Inventory, files: Sequence[RememberedFile]) -> tuple[FoundArtefact, ...]:
    """Those of the files that are the phone's logs under a former name: the same file at the same place, in libvirt's own directories, reached by nobody
    else. `inventory`: a survey of them (`classify.nobodys` under the phone's UUID)."""
    own = []
    for file in files:
        seen = found_at(inventory, file.location)
        if file.kind is not ArtefactKind.CONSOLE_LOG or seen is None or seen.layer.problem or seen.layer.identity != file.identity or seen.classified:
            continue
        if seen.layer.libvirt_owned and not set(seen.owners) - {inventory.domain.uuid}:
            own.append(replace(seen, kind=file.kind, target="", owners=(inventory.domain.uuid,), claim="a log of the phone under a former name"))
    return tuple(own)


def left_over(inventory: Inventory, files: Sequence[RememberedFile]) -> tuple[Refusal, ...]:
    """Those that are still the same file at the same place, as refusals. `inventory`: a survey of them (`classify.nobodys` under the phone's UUID).

    One that is gone, or another file by now (a log was rotated, the guest removed what it shared), is left to the residual `freed-blocks-untraced`; one
    that a person classified as golden is nobody's.
    """
    found: list[Refusal] = []
    for file in files:
        seen = found_at(inventory, file.location)
        if seen is None or seen.layer.problem == RefusalCode.MISSING or seen.classified == GOLDEN:
            continue
        if seen.layer.identity is None:
            if seen.layer.problem not in (RefusalCode.SYMLINK, RefusalCode.NOT_REGULAR):
                detail = f"it was the phone's own, nothing names it now, and it cannot be looked at: {seen.layer.detail or seen.layer.problem}"
                found.append(Refusal(RefusalCode.UNREADABLE, file.location, detail))
        elif seen.layer.identity == file.identity:
            others = sorted(set(seen.owners) - {inventory.domain.uuid})
            where = f"the domain {others[0]} reaches it now" if others else "nothing names it now"
            found.append(Refusal(RefusalCode.UNKNOWN_FILE, file.location, f"it was the phone's own alone, is still there, and {where}: {_WAYS}"))
    return tuple(found)
