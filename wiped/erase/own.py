"""The positive rule, document by document: what this phone's own XML, and its UUID, make its own. Never because an image's header says so.

Disks that are not read-only and not shareable, with what libvirt wrote beside them for `<transient/>`; CD, floppy and read-only images that bear the phone's
UUID, are listed as seeds by its directory's profile, or were classified as private; NVRAM; console logs; the memory files of its snapshots (with its UUID
inside); directories that its guest may write; its TPM's directory.
A base beneath its own disk only where it was classified as private *and* the chain, walked strictly with stated formats, leads to it (docs/physics.md 5).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from wiped.erase.bounds import below
from wiped.erase.claims import Claims, Grant, Why
from wiped.erase.libvirt_files import Document
from wiped.erase.pools import one_location
from wiped.erase.remembered import read_records
from wiped.model.images import PRIVATE
from wiped.model.inventory import DiskSource, FileIdentity
from wiped.model.plan import RefusalCode
from wiped.storage.classified import classified_as
from wiped.storage.image_chain import walk_chain
from wiped.storage.kernel import identity_of
from wiped.virt.devices import refused_devices
from wiped.virt.places import transient_overlays

#: `nvdimm`: a memory device whose bytes are a file and stay after the guest.
_DISKS: Final = frozenset({"disk", "lun", "nvdimm"})
_MEDIA: Final = frozenset({"cdrom", "floppy"})
#: What a chain's top says when its header is gone: half wiped, or removed.
_LOST: Final = frozenset({RefusalCode.MISSING, RefusalCode.UNTRUSTED_FORMAT})


def claim_own(claims: Claims, document: Document) -> None:
    """Note everything that one document about this phone makes its own, and everything that it only borrows."""
    facts = document.facts
    if document.origin == "snapshot":
        claims.former.update(name for name in (facts.name, *facts.former_names) if name)
    elif facts.name:
        claims.names.add(facts.name)
        claims.former.update(facts.former_names)
    claims.unaccounted.update((*facts.unaccounted, *refused_devices(facts.host_devices, claims.rules.harmless_host_devices)))
    names = {name for name in (facts.name, *facts.former_names) if name}
    for disk in facts.disks:
        _claim_disk(claims, disk, names)
    for named, why in ((facts.nvram, Why.NVRAM), *((path, Why.NVRAM) for path in facts.former_nvram), *((log, Why.LOG) for log in facts.console_logs)):
        if named.startswith("/"):
            claims.grant(named, why)
    claims.own_logs.update(os.path.normpath(log) for log in facts.console_logs if log.startswith("/"))
    for path in facts.snapshot_memory_files:
        if path.startswith("/"):
            claims.grant(path, Why.MEMORY)
    for directory in facts.shared_directories:
        plain = os.path.normpath(directory)
        if directory not in facts.shared_readonly and below(plain, claims.rules.roots):  # never a root itself, never outside
            claims.own_trees[plain] = Grant(Why.SHARED)


def claim_by_uuid(claims: Claims) -> None:
    """What is the phone's by its UUID alone."""
    claims.own_trees[os.path.join(claims.directories.swtpm, claims.uuid)] = Grant(Why.TPM, claims.directories.swtpm)
    for name in claims.names:
        if "/" not in name:
            claims.grant(os.path.join(claims.directories.state, "save", f"{name}.save"), Why.SAVE, claims.directories.state)


def _claim_disk(claims: Claims, disk: DiskSource, names: Collection[str]) -> None:
    location = one_location(disk, claims.shelf.pools)
    if not location.startswith("/"):
        return
    location = os.path.normpath(location)
    if disk.type in ("block", "volume"):
        claims.block_disks.add(location)
    lent = _lent(claims, disk, location)
    if lent is not None:
        claims.lent[location] = lent
        if (identity := _identity(location)) is not None:
            claims.lent_identities[identity] = lent
        return
    if disk.device in _MEDIA or disk.readonly:
        claims.grant(location, Why.MEDIUM)
        return
    for path in (location, *transient_overlays(location, names)):
        claims.grant(path, Why.DISK)


def _lent(claims: Claims, disk: DiskSource, location: str) -> RefusalCode | None:
    """Why the phone only borrows a disk; None for its own."""
    if disk.shareable:
        return RefusalCode.SHAREABLE_DISK
    if disk.device in _MEDIA or disk.readonly:
        private = classified_as(claims.classified, location, _identity(location)) == PRIVATE
        bears_uuid = claims.uuid in location.lower()
        return None if private or bears_uuid or claims.templated.is_seed(location) else RefusalCode.AMBIGUOUS_BASE
    return None if disk.device in _DISKS else RefusalCode.AMBIGUOUS_BASE


def claim_bases(claims: Claims, known: Mapping[str, FileIdentity], *, resumed: bool) -> None:
    """Grant the bases classified as private to which a chain of this phone's own disks leads.

    `known`: bases that were found so before, on the same connection: their overlays may be erased by now. `resumed`: erasing had begun before this
    connection: where the header of one of the phone's own overlays is gone, the classification must do, beside what was remembered of the phones; every
    guard against others stays.
    """
    private = {record.path: identity for identity, record in claims.classified.items() if record.as_ == PRIVATE}
    if not private:
        return
    claims.bases.update({path: identity for path, identity in known.items() if private.get(path) == identity})
    lost = False
    for location, fmt in _tops(claims):
        if Grant(Why.DISK) not in claims.own.get(location, ()):
            continue
        layers = walk_chain(location, fmt, roots=(), protected=(), libvirt_dirs=())
        lost = lost or layers[0].problem in _LOST
        for layer in layers:
            if layer.problem or layer.identity is None:
                break  # a link, a second name, a header that is not understood: what lies beneath is not believed
            if layer is not layers[0] and private.get(layer.location) == layer.identity:
                claims.bases[layer.location] = layer.identity
    if resumed and lost:
        claims.bases.update(_as_remembered(claims, private))


def _as_remembered(claims: Claims, private: Mapping[str, FileIdentity]) -> dict[str, FileIdentity]:
    """Those of the private bases that may be this phone's by what was remembered of all phones: in its own record where it has one, else in nobody's."""
    records = read_records(claims.directories.remembered, claims.directories.records_uid)
    own = records.pop(claims.uuid, None)
    mine = None if own is None else {(file.path, file.identity) for file in own}
    others = {file.identity for files in records.values() for file in files}
    return {path: identity for path, identity in private.items() if identity not in others and (mine is None or (path, identity) in mine)}


def _tops(claims: Claims) -> Iterator[tuple[str, str]]:
    """(path, format) of the own disks that can have a base, where every document that names one states the same format."""
    stated: dict[str, set[str]] = {}
    for document in claims.shelf.documents.values():
        if document.facts.uuid == claims.uuid:
            for disk in document.facts.disks:
                if (location := one_location(disk, claims.shelf.pools)).startswith("/"):
                    stated.setdefault(os.path.normpath(location), set()).add(disk.format or "raw")
    yield from ((location, next(iter(formats))) for location, formats in stated.items() if len(formats) == 1 and formats != {"raw"})


def _identity(path: str) -> FileIdentity | None:
    try:
        return identity_of(os.stat(path))
    except (OSError, ValueError):
        return None
