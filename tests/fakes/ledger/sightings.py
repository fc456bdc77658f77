"""Files that phones were last seen to have, in the fake ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tests.fakes.ledger.state import Memo
from wiped.model.inventory import FileIdentity
from wiped.model.sightings import Memory, RememberedFile


class FakeSightings:
    """`ports.ledger.SightingStore` in memory."""

    def __init__(self, state: Memo) -> None:
        self._state = state

    async def remember(self, memory: Memory, files: Sequence[RememberedFile]) -> None:
        self._state.write()
        phone = self._state.phones.get(memory.uuid)
        if phone is None or not phone.present or phone.generation != memory.generation:
            return
        known = self._state.files.setdefault(memory.uuid, {})
        for file in files:
            first = known[file.identity].first_seen if file.identity in known else memory.at
            known[file.identity] = replace(file, first_seen=first, last_seen=memory.at)
        self._state.memories[memory.uuid] = memory

    async def find(self, uuid: str = "") -> tuple[Memory, ...]:
        return tuple(memory for memory in self._state.memories.values() if not uuid or memory.uuid == uuid)

    async def files(self, uuid: str, *, ever: bool = False) -> tuple[RememberedFile, ...]:
        memory = self._state.memories.get(uuid)
        return tuple(file for file in self._state.files.get(uuid, {}).values() if ever or (memory is not None and file.last_seen == memory.at))

    async def owners(self) -> dict[FileIdentity, frozenset[str]]:
        found: dict[FileIdentity, set[str]] = {}
        for uuid, files in self._state.files.items():
            for identity in files:
                found.setdefault(identity, set()).add(uuid)
        return {identity: frozenset(uuids) for identity, uuids in found.items()}

    async def note_migrated(self, uuid: str, now: datetime) -> None:
        self._state.write()
        known = self._state.memories.get(uuid, Memory(uuid, self._state.phones[uuid].generation, now, ""))
        if not known.migrated:
            self._state.memories[uuid] = replace(known, migrated=True)
            self._state.log("migrated-away", {"uuid": uuid}, now)
