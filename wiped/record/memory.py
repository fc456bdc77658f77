"""What the ledger remembers beside phones and wipes: classified images, phones' files, wishes to dispose. Functions run within a transaction.

Paths never reach the audit log: it tells an image by the SHA-256 of its path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from wiped.errors import InvariantError
from wiped.model.inventory import ArtefactKind, FileIdentity
from wiped.model.records import CertificateRecord, WipeStep
from wiped.model.sightings import PRIVATE, ClassifiedImage, Disposal, Memory, RememberedFile
from wiped.model.subscription import State
from wiped.record import audit
from wiped.record.asks import Sealed, keep_note
from wiped.record.phones import known, row_of, set_state
from wiped.record.sql.rows import AnyRow
from wiped.record.sql.schema import certificates, classifications, disposals, memories, ranges, remembered, wipes
from wiped.record.wipes import row_of as wipe_row


def path_key(path: str) -> str:
    """SHA-256 of a path, hex: its name in the audit log and of its record file."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()


# -- classified images
def classify(connection: Connection, image: ClassifiedImage, *, sealed: Sealed, approver: str = "") -> ClassifiedImage:
    """`Ledger.classify_image`."""
    key = path_key(image.path)
    before = connection.execute(select(classifications).where(classifications.c.key == key)).first()
    if before is not None and (before.device, before.inode, before.meaning) == (image.identity.device, image.identity.inode, image.meaning):
        return _image(before)
    if image.meaning == PRIVATE and approver in ("", image.operator):
        raise InvariantError("R14", "calling an image private takes two people")
    values = {"device": image.identity.device, "inode": image.identity.inode, "meaning": image.meaning, "at": image.at, "operator": image.operator}
    values |= {"pseudonym": sealed[0] if sealed else "", "sealed": sealed[1] if sealed else None}
    if before is None:
        connection.execute(classifications.insert().values(key=key, path=image.path, **values))
    else:
        connection.execute(update(classifications).where(classifications.c.key == key).values(**values))
    body = {"image_sha256": key, "as": image.meaning, "was": before.meaning if before else "", "operator": image.operator, "approver": approver}
    audit.append(connection, "classified", {**body, "device": image.identity.device, "inode": image.identity.inode}, image.at)
    return image


def classified(connection: Connection) -> tuple[ClassifiedImage, ...]:
    """`Ledger.classified_images`."""
    return tuple(_image(row) for row in connection.execute(select(classifications).order_by(classifications.c.at, classifications.c.key)))


def _image(row: AnyRow) -> ClassifiedImage:
    return ClassifiedImage(row.path, FileIdentity(row.device, row.inode), row.meaning, row.at, row.operator)


# -- remembered files
def remember(connection: Connection, memory: Memory, files: Sequence[RememberedFile]) -> None:
    """`Ledger.remember_files`."""
    phone = row_of(connection, memory.uuid)
    if phone is None or phone.generation != memory.generation or not phone.present:
        return  # it changed hands, or vanished, while it was looked at
    values = {"generation": memory.generation, "at": memory.at, "digest": memory.digest, "migrated": memory.migrated}
    connection.execute(memories.insert().prefix_with("OR REPLACE").values(uuid=memory.uuid, **values))
    first = {
        (row.device, row.inode): row.first_seen
        for row in connection.execute(select(remembered.c.device, remembered.c.inode, remembered.c.first_seen).where(remembered.c.uuid == memory.uuid))
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
        connection.execute(remembered.insert().prefix_with("OR REPLACE"), rows)


def memory_of(connection: Connection, uuid: str = "") -> tuple[Memory, ...]:
    """`Ledger.memories`."""
    query = select(memories)
    if uuid:
        query = query.where(memories.c.uuid == uuid)
    return tuple(Memory(row.uuid, row.generation, row.at, row.digest, row.migrated) for row in connection.execute(query))


def files_of(connection: Connection, uuid: str, *, ever: bool = False) -> tuple[RememberedFile, ...]:
    """`Ledger.remembered_files`."""
    query = select(remembered).where(remembered.c.uuid == uuid).order_by(remembered.c.device, remembered.c.inode)
    if not ever:
        query = query.where(remembered.c.last_seen == select(memories.c.at).where(memories.c.uuid == uuid).scalar_subquery())
    return tuple(
        RememberedFile(ArtefactKind(row.kind), row.location, FileIdentity(row.device, row.inode), row.local, row.first_seen, row.last_seen)
        for row in connection.execute(query)
    )


def owners_of(connection: Connection) -> dict[FileIdentity, frozenset[str]]:
    """`Ledger.remembered_owners`: what each phone ever had in its generation counts, not its newest look alone."""
    found: dict[FileIdentity, set[str]] = {}
    for row in connection.execute(select(remembered.c.uuid, remembered.c.device, remembered.c.inode)):
        found.setdefault(FileIdentity(row.device, row.inode), set()).add(row.uuid)
    return {identity: frozenset(uuids) for identity, uuids in found.items()}


def forget(connection: Connection, uuid: str) -> None:
    """Nothing is remembered of a phone whose generation ended."""
    connection.execute(delete(remembered).where(remembered.c.uuid == uuid))
    connection.execute(delete(memories).where(memories.c.uuid == uuid))


def left_by_migration(connection: Connection, uuid: str, now: datetime) -> None:
    """`Ledger.note_migrated`."""
    phone = known(connection, uuid)
    row = connection.execute(select(memories).where(memories.c.uuid == uuid)).first()
    if row is not None and row.migrated:
        return
    if row is None:
        connection.execute(memories.insert().values(uuid=uuid, generation=phone.generation, at=now, digest="", migrated=True))
    else:
        connection.execute(update(memories).where(memories.c.uuid == uuid).values(migrated=True))
    audit.append(connection, "migrated-away", {"uuid": uuid, "generation": phone.generation}, now)


# -- disposal
def wish(connection: Connection, asked: Disposal, *, sealed: Sealed) -> Disposal:
    """`Ledger.wish_disposal`."""
    row = connection.execute(select(disposals).where(disposals.c.wipe_id == asked.wipe_id)).first()
    if row is not None:
        return Disposal(row.wipe_id, row.operator, row.uid, row.reference, row.at)
    wipe = wipe_row(connection, asked.wipe_id)
    connection.execute(
        disposals.insert().values(wipe_id=asked.wipe_id, operator=asked.operator, uid=asked.uid, reference=asked.reference, at=asked.at),
    )
    keep_note(connection, wipe.uuid, "disposal", asked.wipe_id, sealed)
    audit.append(connection, "disposal-asked", {"wipe_id": asked.wipe_id, "uuid": wipe.uuid, "operator": asked.operator}, asked.at)
    return asked


def withdraw(connection: Connection, wipe_id: str, operator: str, now: datetime) -> None:
    """`Ledger.withdraw_disposal`."""
    if connection.execute(delete(disposals).where(disposals.c.wipe_id == wipe_id)).rowcount:
        audit.append(connection, "disposal-withdrawn", {"wipe_id": wipe_id, "operator": operator}, now)


def dispose(connection: Connection, wipe_id: str, certificate: CertificateRecord, now: datetime, *, operator: str, approver: str) -> None:
    """`Ledger.dispose`. The generation's term is not ended: nobody is bound to this phone again."""
    row = wipe_row(connection, wipe_id)
    if row.step == WipeStep.DISPOSED:
        return
    if row.step != WipeStep.QUARANTINED or certificate.kind != "incident":
        raise InvariantError("I3", f"a wipe at {row.step} cannot be disposed of")
    if not operator or not approver or operator == approver:
        raise InvariantError("R14", "a disposal takes two different people")
    connection.execute(
        certificates.insert().values(
            id=certificate.id, wipe_id=wipe_id, uuid=row.uuid, kind=certificate.kind, issued_at=certificate.issued_at, envelope=certificate.envelope
        )
    )
    values = {"step": str(WipeStep.DISPOSED), "finished_at": now, "retry_at": None, "certificate_id": certificate.id}
    connection.execute(update(wipes).where(wipes.c.id == wipe_id).values(**values))
    connection.execute(delete(ranges).where(ranges.c.wipe_id == wipe_id))
    forget(connection, row.uuid)
    set_state(connection, row.uuid, State.DISPOSED, now)
    body = {
        "wipe_id": wipe_id,
        "uuid": row.uuid,
        "generation": row.generation,
        "outcome": row.outcome,
        "reasons": row.reasons,
        "operator": operator,
        "approver": approver,
        "certificate_id": certificate.id,
        "certificate_sha256": hashlib.sha256(certificate.envelope).hexdigest(),
    }
    audit.append(connection, "disposed", body, now)
