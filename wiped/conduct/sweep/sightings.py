"""Looking at phones while they are there, so that a phone that disappears is known by what it had: the least urgent part of a sweep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from wiped.conduct import survey
from wiped.conduct.world import World
from wiped.decide.vanished import facts_digest, files_to_remember, lasting
from wiped.errors import HelperError, RefusedError, StorageError
from wiped.model.inventory import DomainFacts
from wiped.model.records import PhoneRecord
from wiped.model.sightings import Memory
from wiped.model.subscription import State

_log = structlog.get_logger(__name__)

#: A phone that did not change is looked at again after this.
OLD_AFTER = timedelta(hours=1)
#: At most so many looks in one sweep, and for at most so many seconds.
LOOKS, LOOK_SECONDS = 16, 5.0
#: A phone that could not be looked at waits so many seconds, so that the others are.
AGAIN_AFTER = 300.0
#: A wipe changes the files of a phone by itself: nothing is learnt from looking then.
_NOT_LOOKED_AT = frozenset({State.ERASING, State.VERIFYING, State.WIPED, State.QUARANTINED, State.RELEASED, State.RECYCLED, State.DISPOSED})


@dataclass(frozen=True, slots=True)
class _Look:
    """What a phone was when it was last looked at by this daemon, or found in the ledger."""

    facts: DomainFacts
    generation: int
    at: datetime


class Remembering:
    """`busy`: whether work on a phone is in progress. While no phone changed and none is old, nothing is asked of anybody."""

    def __init__(self, world: World, busy: Callable[[str], bool]) -> None:
        self._world = world
        self._busy = busy
        self._turn = asyncio.Lock()
        self._looks: dict[str, _Look] = {}
        self._failed: dict[str, float] = {}
        """When a phone that could not be looked at is asked again, seconds of the clock's boot time."""

    def bound_anew(self, uuid: str, generation: int) -> None:
        """A phone was decided: another generation than the one that was looked at is looked at again."""
        look = self._looks.get(uuid)
        if look is not None and look.generation != generation:
            del self._looks[uuid]

    async def look(self, domains: Mapping[str, DomainFacts]) -> int:
        """Look at the phones that changed, then at those not looked at for longest; how many were. A helper that fails is asked again by the next sweep.

        Raises LedgerError.
        """
        if self._turn.locked():
            return 0
        async with self._turn:
            self._looks = {uuid: look for uuid, look in self._looks.items() if uuid in domains}
            self._failed = {uuid: at for uuid, at in self._failed.items() if uuid in domains}
            now = self._world.clock.now()
            wanted = [uuid for uuid, domain in domains.items() if self._is_wanted(uuid, domain, now)]
            return await self._look_at(wanted, domains) if wanted else 0

    def _is_wanted(self, uuid: str, domain: DomainFacts, now: datetime) -> bool:
        look = self._looks.get(uuid)
        return look is None or now - look.at >= OLD_AFTER or look.facts != lasting(domain)

    async def _look_at(self, wanted: list[str], domains: Mapping[str, DomainFacts]) -> int:
        began, looked = self._world.clock.boottime(), 0
        for phone, domain in await self._order(wanted, domains):
            if looked >= LOOKS or self._world.clock.boottime() - began > LOOK_SECONDS:
                break
            if self._busy(phone.uuid) or began < self._failed.get(phone.uuid, 0.0):
                continue
            try:
                await self._one(phone, domain, tuple(other for uuid, other in domains.items() if uuid != phone.uuid))
            except (HelperError, StorageError, RefusedError) as error:
                _log.warning("a phone could not be looked at; what is remembered of it grows old", uuid=phone.uuid, code=error.code, detail=str(error))
                self._failed[phone.uuid] = self._world.clock.boottime() + AGAIN_AFTER
            else:
                self._failed.pop(phone.uuid, None)
            looked += 1
        return looked

    async def _order(self, wanted: list[str], domains: Mapping[str, DomainFacts]) -> list[tuple[PhoneRecord, DomainFacts]]:
        known = {memory.uuid: memory for memory in await self._world.ledger.sightings.find()}
        phones = {phone.uuid: phone for phone in await self._world.ledger.phones.find()}
        now = self._world.clock.now()
        never = datetime.min.replace(tzinfo=now.tzinfo)
        found: list[tuple[bool, datetime, PhoneRecord, DomainFacts]] = []
        for uuid in wanted:
            domain, phone, memory = domains[uuid], phones.get(uuid), known.get(uuid)
            if phone is None or not phone.present:
                continue
            if phone.state in _NOT_LOOKED_AT:
                self._looks[uuid] = _Look(lasting(domain), phone.generation, now)
                continue
            changed = memory is None or memory.generation != phone.generation or memory.digest != facts_digest(domain)
            at = never if memory is None else memory.at
            if changed or now - at >= OLD_AFTER:
                found.append((not changed, at, phone, domain))
            else:
                self._looks[uuid] = _Look(lasting(domain), phone.generation, at)
        found.sort(key=lambda item: (item[0], item[1], item[2].uuid))
        return [(phone, domain) for _, _, phone, domain in found]

    async def _one(self, phone: PhoneRecord, domain: DomainFacts, others: tuple[DomainFacts, ...]) -> None:
        world = self._world
        inventory = await world.observer.survey(domain, others, with_extents=False)
        files = files_to_remember(inventory, world.rules)
        files += await survey.former_logs(world, domain, others, phone.generation, files)
        again = await world.ledger.phones.get(phone.uuid)
        if again is None or again.generation != phone.generation or again.state in _NOT_LOOKED_AT or self._busy(phone.uuid):
            return
        memory = Memory(phone.uuid, phone.generation, world.clock.now(), facts_digest(domain))
        # The file first: a ledger that is behind only looks again.
        await world.sheets.remember(memory, files)
        await world.milestones.reached("remembered", "")
        await world.ledger.sightings.remember(memory, files)
        self._looks[phone.uuid] = _Look(lasting(domain), phone.generation, memory.at)
