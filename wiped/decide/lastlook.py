"""The look before the end: does the phone, wiped as planned, reach anything still? Then nothing is signed and nothing undefined."""

from __future__ import annotations

from wiped.model.inventory import QEMU_LOG_CLAIM, ArtefactKind
from wiped.model.plan import Plan, Refusal, RefusalCode


def appeared(wiped: Plan, seen: Plan) -> tuple[Refusal, ...]:
    """What a fresh plan of a wiped phone still finds; () when only the places of what was removed are left (docs/design.md, step 10).

    A file that the phone reaches now was attached, or made anew, while it was being wiped: its domain is not undefined, since then nobody would know whose
    the file was. A place that is missing now was wiped; a block device stays where it is, overwritten, and is the same while its number is; every other
    thing that cannot be planned may hide a file. QEMU's log does not count: the phone was off and fenced, and libvirt notes each start that the fence
    refused there, so that whoever tries to start it would keep the wipe from ever ending.
    """
    stay = {(step.location, step.identity) for step in wiped.steps if step.kind is ArtefactKind.BLOCK_DEVICE}
    removed = {step.location for step in wiped.steps}
    found = [
        Refusal(RefusalCode.DRIFT, step.location, "the phone reaches it now, and its wipe did not have it")
        for step in seen.steps
        if (step.kind is not ArtefactKind.BLOCK_DEVICE or (step.location, step.identity) not in stay)
        and (step.kind, step.reason) != (ArtefactKind.CONSOLE_LOG, QEMU_LOG_CLAIM)
    ]
    found.extend(refusal for refusal in seen.refusals if refusal.code is not RefusalCode.MISSING or (refusal.location and refusal.location not in removed))
    return tuple(found)
