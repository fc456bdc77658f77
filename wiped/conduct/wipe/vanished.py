"""A due phone whose domain is gone: the plan of what was remembered of it, frozen and looked at again like any other.

Nothing is stopped and nothing undefined; the fence stands by its UUID and by what is still there, so that nobody starts on its disks meanwhile.
"""

from __future__ import annotations

from wiped.conduct.wipe import fence, prepare
from wiped.conduct.world import World
from wiped.decide import classify
from wiped.decide.plan import drift
from wiped.decide.vanished import make_vanished_plan, with_earlier
from wiped.errors import HelperError, RefusedError
from wiped.model.inventory import Inventory
from wiped.model.plan import Plan, Refusal, RefusalCode
from wiped.model.records import WipeRecord


async def is_gone(world: World, uuid: str) -> bool:
    """Whether both a complete answer of libvirt's (the ledger) and libvirt now say that there is no such domain. Raises HypervisorError."""
    phone = await world.ledger.phones.get(uuid)
    return phone is not None and not phone.present and await world.hypervisor.domain(uuid) is None


async def look(world: World, uuid: str, name: str, generation: int) -> tuple[Inventory, Plan]:
    """A survey of what was remembered, and the plan of it.

    Raises RefusedError (drift: it is defined again; unreadable: a neighbour that cannot be followed may own any file), HypervisorError, HelperError,
    StorageError.
    """
    others = await world.hypervisor.domains()
    if any(other.uuid == uuid for other in others):
        raise RefusedError("the phone is defined again", codes=(RefusalCode.DRIFT,))
    # What an earlier generation had was forgotten with its end: an older number is of the time before this term was recorded.
    remembered = [memory for memory in await world.ledger.sightings.find(uuid) if memory.generation <= generation]
    files = await world.ledger.sightings.files(uuid) if remembered else ()
    newest = {file.identity for file in files}
    # Of an older look than the newest one: what a block copy left, say. The eraser's record does not have it, so that it is told and not touched.
    earlier = [file for file in await world.ledger.sightings.files(uuid, ever=True) if file.identity not in newest] if remembered else []
    owners = await world.ledger.sightings.owners()
    subject = classify.nobodys(dict.fromkeys(file.location for file in (*files, *earlier)), uuid=uuid, name=name)
    try:
        inventory = await world.observer.survey(subject, others, with_extents=True)
    except HelperError as error:
        world.conditions.helper_fault = str(error)
        raise
    world.conditions.helper_fault = ""
    unclear = [detail for code, _, detail in inventory.problems if code == RefusalCode.UNREADABLE]
    if unclear and files:
        raise RefusedError(f"nothing is wiped by memory while {unclear[0]}", codes=(RefusalCode.UNREADABLE,))
    return inventory, with_earlier(make_vanished_plan(inventory, files, owners, generation, world.rules), inventory, earlier)


async def freeze(world: World, wipe: WipeRecord) -> Plan:
    """Steps 1 and 2: plan, snapshot and intent, durable; then the fence. Raises as `look`."""
    inventory, plan = await look(world, wipe.uuid, wipe.name, wipe.generation)
    await prepare.intend(world, wipe, inventory, plan, was_running=False, was_autostart=False)
    await world.milestones.reached("vanished-intent", wipe.id)
    return plan


async def put_fence(world: World, wipe: WipeRecord, plan: Plan) -> None:
    """The fence file, marked."""
    await fence.put(world, wipe.uuid, plan, None)
    await world.milestones.reached("fence-put", wipe.id)
    await world.ledger.phones.mark(wipe.uuid, fenced=True, reason="wipe")


async def changes(world: World, wipe: WipeRecord, planned: Plan) -> tuple[Refusal, ...]:
    """Step 4 for a vanished phone: what differs from the frozen plan now. Raises as `look`."""
    _, seen = await look(world, wipe.uuid, wipe.name, wipe.generation)
    gone = {step.artefact_id for step in planned.steps if step.gone} ^ {step.artefact_id for step in seen.steps if step.gone}
    found = [Refusal(RefusalCode.DRIFT, step.location, "it came or went since the plan was made") for step in planned.steps if step.artefact_id in gone]
    return (*drift(planned, seen), *found)
