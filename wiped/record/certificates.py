"""Certificates and incident records, as they were signed."""

from __future__ import annotations

from sqlalchemy import Connection, select

from wiped.model.records import CertificateRecord
from wiped.record.sql import schema as tables
from wiped.record.sql.database import Database
from wiped.record.sql.rows import certificate_of


class SqlCertificates:
    """`ports.ledger.CertificateStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def get(self, certificate_id: str) -> CertificateRecord | None:
        """See the port."""

        def look(connection: Connection) -> CertificateRecord | None:
            row = connection.execute(select(tables.certificates).where(tables.certificates.c.id == certificate_id)).first()
            if row is None:
                newest = (tables.certificates.c.issued_at.desc(), tables.certificates.c.id.desc())
                row = connection.execute(select(tables.certificates).where(tables.certificates.c.wipe_id == certificate_id).order_by(*newest).limit(1)).first()
            return None if row is None else certificate_of(row)

        return await self._db.read(look)
