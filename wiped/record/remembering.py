"""The part of the port `Ledger` about what must outlive its moment (`memory`): classified images, remembered files, disposals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from wiped.model.inventory import FileIdentity
from wiped.model.records import CertificateRecord
from wiped.model.sightings import ClassifiedImage, Disposal, Memory, RememberedFile
from wiped.record import asks, memory, wipes
from wiped.record.sql.database import Database

_ABOUT_IMAGES = "images"


class RememberingLedger:
    """Mixed into `SqlLedger`, which owns the database and the vault."""

    _db: Database

    async def _seal(self, uuid: str, generation: int, words: str) -> asks.Sealed:
        raise NotImplementedError

    async def _seal_words(self, about: str, generation: int, words: str) -> asks.Sealed:
        raise NotImplementedError

    async def classify_image(self, image: ClassifiedImage, *, reason: str, approver: str = "") -> ClassifiedImage:
        """See `ports.Ledger`."""
        sealed = await self._seal_words(_ABOUT_IMAGES, 0, reason)
        return await self._db.write(lambda c: memory.classify(c, image, sealed=sealed, approver=approver))

    async def classified_images(self) -> tuple[ClassifiedImage, ...]:
        """See `ports.Ledger`."""
        return await self._db.read(memory.classified)

    async def remember_files(self, seen: Memory, files: Sequence[RememberedFile]) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: memory.remember(c, seen, files))

    async def memories(self, uuid: str = "") -> tuple[Memory, ...]:
        """See `ports.Ledger`."""
        return await self._db.read(lambda c: memory.memory_of(c, uuid))

    async def remembered_files(self, uuid: str, *, ever: bool = False) -> tuple[RememberedFile, ...]:
        """See `ports.Ledger`."""
        return await self._db.read(lambda c: memory.files_of(c, uuid, ever=ever))

    async def remembered_owners(self) -> dict[FileIdentity, frozenset[str]]:
        """See `ports.Ledger`."""
        return await self._db.read(memory.owners_of)

    async def note_migrated(self, uuid: str, now: datetime) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: memory.left_by_migration(c, uuid, now))

    async def wish_disposal(self, asked: Disposal, *, reason: str) -> Disposal:
        """See `ports.Ledger`."""
        wipe = await self._db.read(lambda c: wipes.row_of(c, asked.wipe_id))
        sealed = await self._seal(wipe.uuid, wipe.generation, reason)
        return await self._db.write(lambda c: memory.wish(c, asked, sealed=sealed))

    async def withdraw_disposal(self, wipe_id: str, operator: str, now: datetime) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: memory.withdraw(c, wipe_id, operator, now))

    async def dispose(self, wipe_id: str, certificate: CertificateRecord, now: datetime, *, operator: str, approver: str) -> None:
        """See `ports.Ledger`."""
        await self._db.write(lambda c: memory.dispose(c, wipe_id, certificate, now, operator=operator, approver=approver))
