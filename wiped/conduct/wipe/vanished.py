"""A due phone whose domain is gone: the plan of what was remembered of it, frozen and looked at again like any other.

Nothing is stopped and nothing undefined; the fence stands by its UUID and by what is still there, so that nobody starts on its disks meanwhile.
"""

from __future__ import annotations

from wiped.conduct import survey
from wiped.conduct.wipe import fence, intent
from wiped.conduct.world import World
from wiped.model.plan import Plan
from wiped.model.records import WipeRecord


async def is_gone(world: World, uuid: str) -> bool:
    """Whether both a complete answer of libvirt's (the ledger) and libvirt now say that there is no such domain. Raises HypervisorError."""
    phone = await world.ledger.phones.get(uuid)
    return phone is not None and not phone.present and await world.hypervisor.domain(uuid) is None


async def freeze(world: World, wipe: WipeRecord) -> Plan:
    """Steps 1 and 2: plan, snapshot and intent, durable; then the fence. Raises as `survey.look_at_vanished`."""
    inventory, plan = await survey.look_at_vanished(world, wipe.uuid, wipe.name, wipe.generation)
    await intent.intend(world, wipe, inventory, plan, was_running=False, was_autostart=False)
    await world.milestones.reached("vanished-intent", wipe.id)
    return plan


async def put_fence(world: World, wipe: WipeRecord, plan: Plan) -> None:
    """The fence file, marked."""
    await fence.put(world, wipe.uuid, plan, None)
    await world.milestones.reached("fence-put", wipe.id)
    await world.ledger.phones.mark(wipe.uuid, fenced=True, reason="wipe")
