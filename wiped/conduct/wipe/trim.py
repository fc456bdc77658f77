"""Blocks that left the phone's files before its wipe lie in the free space of their filesystems (docs/physics.md 3). After the last removal, and before the
verdict, the eraser is asked to make that free space unreadable: once per filesystem, by the last of the wipes that run on it.

It never fails a wipe: what was not proven leaves the residual `freed-blocks-untraced`. It is repeated after a crash, which changes nothing.
"""

from __future__ import annotations

import asyncio

import structlog

from wiped.conduct.world import World
from wiped.errors import RefusedError, WipedError
from wiped.model.inventory import ArtefactKind
from wiped.model.plan import Plan
from wiped.model.records import ArtefactState, WipeRecord, WipeStep
from wiped.ports.helpers import EraserSession
from wiped.wire.messages import Trimmed

_log = structlog.get_logger(__name__)

#: How long one filesystem may take, seconds: then the wipe goes on with its residual.
PATIENCE = 900.0
#: How many directories of one filesystem are offered to the eraser, which may refuse one.
_OFFERED = 3
_HANDS = frozenset({WipeStep.ERASING, WipeStep.VERIFYING, WipeStep.REMOVING})


def directories(plan: Plan) -> dict[int, tuple[str, ...]]:
    """Filesystems (by device number) of the plan's files, with directories on them; block devices have no free space of their own."""
    found: dict[int, dict[str, None]] = {}
    for step in plan.steps:
        if step.kind is not ArtefactKind.BLOCK_DEVICE and step.filesystem.local:
            found.setdefault(step.identity.device, {})[step.location.rpartition("/")[0] or "/"] = None
    return {device: tuple(known)[:_OFFERED] for device, known in found.items()}


async def make_unreadable(world: World, wipe_id: str, plan: Plan, session: EraserSession) -> None:
    """After the removals of one attempt. Nothing is done while an artefact is still in place (a retry comes back), or while another wipe is between its
    last word and its last removal on the same filesystem (that one does it). Raises LedgerError."""
    wipe = await world.ledger.wipes.get(wipe_id)
    if wipe is None or any(item.state is not ArtefactState.REMOVED for item in wipe.artefacts) or not (world.rules.trim or world.rules.fill_free_space):
        return
    world.conditions.emptied.add(wipe_id)
    known = await world.ledger.free_space.methods(wipe_id)
    for device, places in directories(plan).items():
        if known.get(device) or await _another_follows(world, wipe, device):
            continue
        await world.milestones.reached("trimming", wipe_id)
        answer = await _ask(world, device, places, session)
        if not answer.method:
            _log.info("free space stays readable", wipe_id=wipe_id, uuid=wipe.uuid, detail=answer.detail)
        await world.ledger.free_space.record(wipe_id, device, answer)
        await world.milestones.reached("trimmed", wipe_id)


async def _another_follows(world: World, wipe: WipeRecord, device: int) -> bool:
    """Whether another wipe frees blocks there yet. Two that end together do not wait for each other: each has said that it is empty before it looks."""
    running = await world.ledger.wipes.find(unfinished=True)
    world.conditions.emptied &= {other.id for other in running if other.step in _HANDS}
    return any(
        other.id != wipe.id
        and other.step in _HANDS
        and other.id not in world.conditions.emptied
        and other.plan is not None
        and any(step.identity.device == device for step in other.plan.steps)
        for other in running
    )


async def _ask(world: World, device: int, places: tuple[str, ...], session: EraserSession) -> Trimmed:
    """The eraser's answer; a failure of any kind is an answer too, in words."""
    answer = Trimmed("", "", 0, "no directory of this filesystem could be asked for")
    turn = world.conditions.trimming.setdefault(device, asyncio.Lock())
    try:
        async with asyncio.timeout(PATIENCE), turn:
            for place in places:
                try:
                    return await session.trim(place)
                except RefusedError as error:
                    answer = Trimmed(place, "", 0, str(error))
    except TimeoutError:
        answer = Trimmed(places[0], "", 0, f"it took longer than {PATIENCE:.0f} s")
    except WipedError as error:
        answer = Trimmed(places[0], "", 0, str(error))
    return answer
