"""Files that phones were last seen to have. Functions that take a connection run within its transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from wiped.model.inventory import ArtefactKind, FileIdentity
from wiped.model.sightings import Memory, RememberedFile
from wiped.record import audit
from wiped.record.phones import known, row_of
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database


def remember(connection: Connection, memory: Memory, files: Sequence[RememberedFile]) -> None:
    """`SightingStore.remember`."""
    phone = row_of(connection, memory.uuid)
    if phone is None or phone.generation != memory.generation or not phone.present:
        return  # it changed hands, or vanished, while it was looked at
    values = {"generation": memory.generation, "at": memory.at, "digest": memory.digest, "migrated": memory.migrated}
    connection.execute(tables.memories.insert().prefix_with("OR REPLACE").values(uuid=memory.uuid, **values))
    first = {
        (row.device, row.inode): row.first_seen
        for row in connection.execute(
            select(tables.remembered.c.device, tables.remembered.c.inode, tables.remembered.c.first_seen).where(tables.remembered.c.uuid == memory.uuid)
        )
    }
    rows = [
        {
            "uuid": memory.uuid,
            "device": device,
            "inode": inode,
            "location": file.location,
            "kind": str(file.kind),
            "local": file.local,
            "first_seen": first.get((device, inode), memory.at),
            "last_seen": memory.at,
        }
        for (device, inode), file in {(file.identity.device, file.identity.inode): file for file in files}.items()
    ]
    if rows:
        connection.execute(tables.remembered.insert().prefix_with("OR REPLACE"), rows)


def memory_of(connection: Connection, uuid: str = "") -> tuple[Memory, ...]:
    """`SightingStore.find`."""
    query = select(tables.memories)
    if uuid:
        query = query.where(tables.memories.c.uuid == uuid)
    return tuple(Memory(row.uuid, row.generation, row.at, row.digest, row.migrated) for row in connection.execute(query))


def files_of(connection: Connection, uuid: str, *, ever: bool = False) -> tuple[RememberedFile, ...]:
    """`SightingStore.files`."""
    query = select(tables.remembered).where(tables.remembered.c.uuid == uuid).order_by(tables.remembered.c.device, tables.remembered.c.inode)
    if not ever:
        query = query.where(tables.remembered.c.last_seen == select(tables.memories.c.at).where(tables.memories.c.uuid == uuid).scalar_subquery())
    return tuple(
        RememberedFile(ArtefactKind(row.kind), row.location, FileIdentity(row.device, row.inode), row.local, row.first_seen, row.last_seen)
        for row in connection.execute(query)
    )


def owners_of(connection: Connection) -> dict[FileIdentity, frozenset[str]]:
    """`SightingStore.owners`: what each phone ever had in its generation counts, not its newest look alone."""
    found: dict[FileIdentity, set[str]] = {}
    for row in connection.execute(select(tables.remembered.c.uuid, tables.remembered.c.device, tables.remembered.c.inode)):
        found.setdefault(FileIdentity(row.device, row.inode), set()).add(row.uuid)
    return {identity: frozenset(uuids) for identity, uuids in found.items()}


def forget(connection: Connection, uuid: str) -> None:
    """Nothing is remembered of a phone whose generation ended."""
    connection.execute(delete(tables.remembered).where(tables.remembered.c.uuid == uuid))
    connection.execute(delete(tables.memories).where(tables.memories.c.uuid == uuid))


def left_by_migration(connection: Connection, uuid: str, now: datetime) -> None:
    """`SightingStore.note_migrated`."""
    phone = known(connection, uuid)
    row = connection.execute(select(tables.memories).where(tables.memories.c.uuid == uuid)).first()
    if row is not None and row.migrated:
        return
    if row is None:
        connection.execute(tables.memories.insert().values(uuid=uuid, generation=phone.generation, at=now, digest="", migrated=True))
    else:
        connection.execute(update(tables.memories).where(tables.memories.c.uuid == uuid).values(migrated=True))
    audit.append(connection, "migrated-away", {"uuid": uuid, "generation": phone.generation}, now)


class SqlSightings:
    """`ports.ledger.SightingStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def remember(self, memory: Memory, files: Sequence[RememberedFile]) -> None:
        """See the port."""
        await self._db.write(lambda c: remember(c, memory, files))

    async def find(self, uuid: str = "") -> tuple[Memory, ...]:
        """See the port."""
        return await self._db.read(lambda c: memory_of(c, uuid))

    async def files(self, uuid: str, *, ever: bool = False) -> tuple[RememberedFile, ...]:
        """See the port."""
        return await self._db.read(lambda c: files_of(c, uuid, ever=ever))

    async def owners(self) -> dict[FileIdentity, frozenset[str]]:
        """See the port."""
        return await self._db.read(owners_of)

    async def note_migrated(self, uuid: str, now: datetime) -> None:
        """See the port."""
        await self._db.write(lambda c: left_by_migration(c, uuid, now))
