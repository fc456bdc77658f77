"""Images as people classified them. Functions that take a connection run within its transaction.

Paths never reach the audit log: it names an image by the SHA-256 of its path.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, select, update

from wiped.decide import gate
from wiped.decide.gate import Act, Condition
from wiped.errors import InvariantError
from wiped.model.images import PRIVATE, ClassifiedImage
from wiped.model.inventory import FileIdentity
from wiped.record import audit
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import AnyRow
from wiped.record.words import Sealed, Sealer


def path_key(path: str) -> str:
    """SHA-256 of a path, hex: its name in the audit log and of its record file."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()


def classify(connection: Connection, image: ClassifiedImage, *, sealed: Sealed | None, approver: str = "") -> ClassifiedImage:
    """`ImageStore.classify`."""
    key = path_key(image.path)
    before = connection.execute(select(tables.classifications).where(tables.classifications.c.key == key)).first()
    if before is not None and (before.device, before.inode, before.meaning) == (image.identity.device, image.identity.inode, image.meaning):
        return _image(before)
    agreed = approver not in ("", image.operator)
    if image.meaning == PRIVATE and not gate.ask(Act.CLASSIFY, () if agreed else {Condition.NEEDS_APPROVAL}).go:
        raise InvariantError("R14", "calling an image private takes two people")
    values = {"device": image.identity.device, "inode": image.identity.inode, "meaning": image.meaning, "at": image.at, "operator": image.operator}
    values |= {"pseudonym": sealed[0] if sealed else "", "sealed": sealed[1] if sealed else None}
    if before is None:
        connection.execute(tables.classifications.insert().values(key=key, path=image.path, **values))
    else:
        connection.execute(update(tables.classifications).where(tables.classifications.c.key == key).values(**values))
    body = {"image_sha256": key, "as": image.meaning, "was": before.meaning if before else "", "operator": image.operator, "approver": approver}
    audit.append(connection, "classified", {**body, "device": image.identity.device, "inode": image.identity.inode}, image.at)
    return image


def classified(connection: Connection) -> tuple[ClassifiedImage, ...]:
    """`ImageStore.classified`."""
    return tuple(_image(row) for row in connection.execute(select(tables.classifications).order_by(tables.classifications.c.at, tables.classifications.c.key)))


def _image(row: AnyRow) -> ClassifiedImage:
    return ClassifiedImage(row.path, FileIdentity(row.device, row.inode), row.meaning, row.at, row.operator)


class SqlImages:
    """`ports.ledger.ImageStore` over SQLite."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._db = database
        self._sealer = sealer

    async def classify(self, image: ClassifiedImage, *, reason: str, approver: str = "") -> ClassifiedImage:
        """See the port."""
        sealed = await self._sealer.own_note("images", reason)
        return await self._db.write(lambda c: classify(c, image, sealed=sealed, approver=approver))

    async def classified(self) -> tuple[ClassifiedImage, ...]:
        """See the port."""
        return await self._db.read(classified)
