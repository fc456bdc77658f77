"""What `tests.fakes.ledger.MemoryLedger` remembers beside phones and wipes, and the port Sheets in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from wiped.errors import InvariantError
from wiped.model.inventory import FileIdentity
from wiped.model.records import CertificateRecord, PhoneRecord, WipeRecord, WipeStep
from wiped.model.sightings import PRIVATE, ClassifiedImage, Disposal, Memory, RememberedFile
from wiped.model.subscription import State


class RememberingFake:
    """Mixed into the fake ledger."""

    _phones: dict[str, PhoneRecord]
    _wipes: dict[str, WipeRecord]
    _certificates: list[CertificateRecord]

    def __init__(self) -> None:
        super().__init__()
        self._images: dict[str, ClassifiedImage] = {}
        self._memories: dict[str, Memory] = {}
        self._files: dict[str, dict[FileIdentity, RememberedFile]] = {}
        self._disposals: dict[str, Disposal] = {}

    def _write(self) -> None:
        raise NotImplementedError

    def _log(self, kind: str, body: dict[str, Any], now: datetime | None = None) -> Any:
        raise NotImplementedError

    async def classify_image(self, image: ClassifiedImage, *, reason: str, approver: str = "") -> ClassifiedImage:
        self._write()
        before = self._images.get(image.path)
        if before is not None and (before.identity, before.meaning) == (image.identity, image.meaning):
            return before
        if image.meaning == PRIVATE and approver in ("", image.operator):
            raise InvariantError("R14", "calling an image private takes two people")
        self._images[image.path] = image
        self._log("classified", {"as": image.meaning, "was": before.meaning if before else "", "operator": image.operator}, image.at)
        return image

    async def classified_images(self) -> tuple[ClassifiedImage, ...]:
        return tuple(self._images.values())

    async def remember_files(self, memory: Memory, files: Sequence[RememberedFile]) -> None:
        self._write()
        phone = self._phones.get(memory.uuid)
        if phone is None or not phone.present or phone.generation != memory.generation:
            return
        known = self._files.setdefault(memory.uuid, {})
        for file in files:
            first = known[file.identity].first_seen if file.identity in known else memory.at
            known[file.identity] = replace(file, first_seen=first, last_seen=memory.at)
        self._memories[memory.uuid] = memory

    async def memories(self, uuid: str = "") -> tuple[Memory, ...]:
        return tuple(memory for memory in self._memories.values() if not uuid or memory.uuid == uuid)

    async def remembered_files(self, uuid: str, *, ever: bool = False) -> tuple[RememberedFile, ...]:
        memory = self._memories.get(uuid)
        return tuple(file for file in self._files.get(uuid, {}).values() if ever or (memory is not None and file.last_seen == memory.at))

    async def remembered_owners(self) -> dict[FileIdentity, frozenset[str]]:
        found: dict[FileIdentity, set[str]] = {}
        for uuid, files in self._files.items():
            for identity in files:
                found.setdefault(identity, set()).add(uuid)
        return {identity: frozenset(uuids) for identity, uuids in found.items()}

    def _forget(self, uuid: str) -> None:
        self._memories.pop(uuid, None)
        self._files.pop(uuid, None)

    async def note_migrated(self, uuid: str, now: datetime) -> None:
        self._write()
        known = self._memories.get(uuid, Memory(uuid, self._phones[uuid].generation, now, ""))
        if not known.migrated:
            self._memories[uuid] = replace(known, migrated=True)
            self._log("migrated-away", {"uuid": uuid}, now)

    async def wish_disposal(self, asked: Disposal, *, reason: str) -> Disposal:
        self._write()
        if asked.wipe_id not in self._disposals:
            self._disposals[asked.wipe_id] = asked
            self._log("disposal-asked", {"wipe_id": asked.wipe_id, "operator": asked.operator}, asked.at)
        return self._disposals[asked.wipe_id]

    async def withdraw_disposal(self, wipe_id: str, operator: str, now: datetime) -> None:
        if self._disposals.pop(wipe_id, None):
            self._log("disposal-withdrawn", {"wipe_id": wipe_id, "operator": operator}, now)

    async def dispose(self, wipe_id: str, certificate: CertificateRecord, now: datetime, *, operator: str, approver: str) -> None:
        self._write()
        wipe = self._wipes[wipe_id]
        if wipe.step is WipeStep.DISPOSED:
            return
        asked = self._disposals.get(wipe_id)
        if wipe.step is not WipeStep.QUARANTINED or certificate.kind != "incident":
            raise InvariantError("I3", "only what waits in quarantine is disposed of")
        if asked is None or asked.operator != operator or operator == approver:
            raise InvariantError("I3", "disposal takes two people")
        self._certificates.append(certificate)
        self._wipes[wipe_id] = replace(wipe, step=WipeStep.DISPOSED, certificate_id=certificate.id, finished_at=now, retry_at=None)
        self._phones[wipe.uuid] = replace(self._phones[wipe.uuid], state=State.DISPOSED, next_at=None)
        self._forget(wipe.uuid)
        self._log("disposed", {"wipe_id": wipe_id, "operator": operator, "approver": approver}, now)


class FakeSheets:
    """Port Sheets: outlives power cuts, as files do."""

    def __init__(self) -> None:
        self.images: dict[str, ClassifiedImage] = {}
        self.phones: dict[str, tuple[Memory, tuple[RememberedFile, ...]]] = {}

    async def classify(self, image: ClassifiedImage) -> None:
        self.images[image.path] = image

    async def remember(self, memory: Memory, files: Sequence[RememberedFile]) -> None:
        self.phones[memory.uuid] = (memory, tuple(files))

    async def forget(self, uuid: str) -> None:
        self.phones.pop(uuid, None)
