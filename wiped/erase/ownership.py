"""Whose file is it? Answered from libvirt's own files alone, each time anew; the daemon's plan is not believed (I5).

Positive rule: a file may be erased only if this phone's XML names it *directly*: as the source of a disk (not read-only, cdrom, floppy or
shareable) in its inactive, live, snapshot or checkpoint XML, as its NVRAM, as a console log (with the rotated files that virtlogd leaves beside it), or as
`save/NAME.save` with this UUID inside.
Never because an image's header names it. Negative rule: no other domain reaches it, read as liberally as can be: chains under every disk,
every path mentioned anywhere, directories shared, saved states.

Whatever cannot be read or understood, of any domain, refuses everything (code `unreadable`): a neighbour that we cannot see may own the file.
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal
from xml.etree.ElementTree import tostring

from wiped.errors import InputError, RefusedError
from wiped.model.inventory import DiskSource, DomainFacts, FileIdentity, LibvirtDirectories
from wiped.model.plan import Refusal, RefusalCode
from wiped.storage.chain import names_reached
from wiped.storage.paths import containing_root
from wiped.virt import safe_xml
from wiped.virt.domain_xml import parse_domain, paths_mentioned
from wiped.virt.pool_xml import PoolFacts, parse_pool
from wiped.virt.saved_state import HEADER_BYTES, has_header, head_bytes, parse_saved_state

MAX_FILES: Final = 50_000
_ROUNDS: Final = 20
_OWN_DEVICES: Final = frozenset({"disk", "lun"})

Origin = Literal["live", "inactive", "snapshot", "status"]
#: What tells that a file was replaced or changed: (inode, size, mtime in ns).
Stamp = tuple[int, int, int]


def _unreadable(path: str, why: str) -> RefusedError:
    return RefusedError(f"{path}: {why}; while it cannot be read, any file may be that domain's", codes=[RefusalCode.UNREADABLE])


@dataclass(frozen=True, slots=True)
class _Document:
    """One XML file of libvirt: what it says, and every path it mentions."""

    stamp: Stamp
    origin: Origin
    facts: DomainFacts
    mentioned: frozenset[str]


def _listing(directories: LibvirtDirectories) -> Iterator[tuple[str, Origin]]:
    """Every XML file that libvirt's QEMU driver keeps about domains. Raises RefusedError (unreadable) for a directory that must be there."""
    yield from ((path, "inactive") for path in _xml_files(directories.config, required=True))
    yield from ((path, "status") for path in _xml_files(directories.run, required=True))
    if not os.path.isdir(directories.state):
        raise _unreadable(directories.state, "libvirt's directory is not there")
    for kept in ("snapshot", "checkpoint"):
        for name in _names(os.path.join(directories.state, kept), required=False):
            folder = os.path.join(directories.state, kept, name)
            if os.path.isdir(folder):
                yield from ((path, "snapshot") for path in _xml_files(folder, required=False))


def _names(folder: str, *, required: bool) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError as error:
        if required:
            raise _unreadable(folder, "libvirt's directory is not there") from error
        return []
    except OSError as error:
        raise _unreadable(folder, os.strerror(error.errno or 0)) from error


def _xml_files(folder: str, *, required: bool) -> Iterator[str]:
    """As libvirt chooses them: every name that ends in `.xml`, directories left out."""
    for name in _names(folder, required=required):
        path = os.path.join(folder, name)
        if name.endswith(".xml") and not os.path.isdir(path):
            yield path


def _read(path: str) -> tuple[bytes, Stamp]:
    """A bounded read. Raises FileNotFoundError (libvirt removed it meanwhile), RefusedError (unreadable)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        if os.path.islink(path):
            raise _unreadable(path, "a symbolic link to nowhere") from None
        raise
    except OSError as error:
        raise _unreadable(path, os.strerror(error.errno or 0)) from error
    try:
        found = os.fstat(fd)
        if not st.S_ISREG(found.st_mode):
            raise _unreadable(path, "not a regular file")
        if found.st_size > safe_xml.MAX_BYTES:
            raise _unreadable(path, f"larger than {safe_xml.MAX_BYTES} bytes")
        data = bytearray()
        while len(data) <= safe_xml.MAX_BYTES and (piece := os.read(fd, 1 << 20)):
            data += piece
        return bytes(data), _stamp(found)
    except OSError as error:
        raise _unreadable(path, os.strerror(error.errno or 0)) from error
    finally:
        os.close(fd)


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _documents(directories: LibvirtDirectories, uuid: str) -> dict[str, _Document]:
    """All documents by path; of this phone's own ones the mentioned paths are left out (they are not needed).

    libvirt adds and removes files meanwhile: the directories are listed again until nothing is new. Raises RefusedError (unreadable).
    """
    documents: dict[str, _Document] = {}
    for _ in range(_ROUNDS):
        listed = dict(_listing(directories))
        if len(listed) > MAX_FILES:
            raise _unreadable(directories.config, f"more than {MAX_FILES} files")
        for gone in documents.keys() - listed.keys():
            del documents[gone]
        fresh = listed.keys() - documents.keys()
        if not fresh:
            return documents
        for path in fresh:
            try:
                data, stamp = _read(path)
            except FileNotFoundError:
                continue
            try:
                facts = parse_domain(data, origin=listed[path])
                mentioned = frozenset[str]() if facts.uuid == uuid else paths_mentioned(data)
            except InputError as error:
                raise _unreadable(path, str(error)) from error
            documents[path] = _Document(stamp, listed[path], facts, mentioned)
    raise _unreadable(directories.run, "libvirt's files change faster than they can be read")


def _pools(directories: LibvirtDirectories) -> dict[str, PoolFacts]:
    """Storage pools by name, from the storage driver's own files beside the QEMU driver's. Raises RefusedError (unreadable)."""
    found: dict[str, PoolFacts] = {}
    for base in (directories.run, directories.config):
        for path in _xml_files(os.path.join(os.path.dirname(base.rstrip("/")), "storage"), required=False):
            try:
                root = safe_xml.parse(_read(path)[0], what="pool XML")
                inner = root.find("pool") if root.tag == "poolstate" else root
                pool = parse_pool(tostring(inner if inner is not None else root))
            except FileNotFoundError:
                continue
            except InputError as error:
                raise _unreadable(path, str(error)) from error
            found[pool.name] = pool
    return found


def save_path(directories: LibvirtDirectories, name: str) -> str:
    """Where libvirt keeps the managed-save image of a domain of that name."""
    return os.path.join(directories.state, "save", f"{name}.save")


def saved_domain(fd: int) -> DomainFacts | None:
    """The domain whose state stands in an open managed-save image (libvirt's or a partial one's header); None where there is no such header.

    Raises InputError for a header that promises XML which is not there.
    """
    head = os.pread(fd, HEADER_BYTES, 0)
    if len(head) < HEADER_BYTES or not has_header(head):
        return None
    return parse_saved_state(os.pread(fd, max(head_bytes(head), HEADER_BYTES), 0))


@dataclass(slots=True)
class Claims:
    """What libvirt's files say about one phone and everybody else at one moment; made by `read_claims`."""

    uuid: str
    directories: LibvirtDirectories
    names: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    """Paths that this phone's XML names directly as its own."""
    own_logs: set[str] = field(default_factory=set)
    """Those of `own` that are console logs: their rotated files are this phone's too."""
    lent: dict[str, RefusalCode] = field(default_factory=dict)
    """Paths that this phone uses but that are not its own: media, shareable disks."""
    lent_identities: dict[FileIdentity, RefusalCode] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    """Paths that others reach, with one UUID of them."""
    identities: dict[FileIdentity, str] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    """Console logs of others, with one UUID of them: whoever writes a log has its rotated files too."""
    trees: dict[str, str] = field(default_factory=dict)
    """Directories that others share with their guests."""
    stamps: dict[str, Stamp] = field(default_factory=dict)

    def judge(self, location: str, identity: FileIdentity) -> tuple[Refusal, ...]:
        """Why this file must not be erased as this phone's; () if it may. `location`: absolute and normal."""
        out = []
        real = os.path.realpath(location)
        other = self.identities.get(identity) or self.paths.get(location) or self.paths.get(real)
        other = other or self.logs.get(_rotated_from(location)) or self.logs.get(_rotated_from(real))
        if not other and self.trees and (tree := containing_root(location, tuple(self.trees))):
            other = self.trees[tree]
        if other:
            out.append(Refusal(RefusalCode.SHARED_BY_DOMAIN, location, f"the domain {other} reaches it too"))
        code = self.lent_identities.get(identity) or self.lent.get(location)
        if code is not None:
            out.append(Refusal(code, location, "the phone uses it as shared or read-only media: it is not its own"))
        elif location not in self.own and _rotated_from(location) not in self.own_logs:
            out.append(Refusal(RefusalCode.AMBIGUOUS_BASE, location, "libvirt's files do not name it as this phone's own"))
        return tuple(out)

    def is_save(self, location: str) -> bool:
        """Whether the file is a managed-save image by its place, so that the UUID inside must be looked at."""
        return os.path.dirname(location) == os.path.join(self.directories.state, "save")

    def is_current(self) -> bool:
        """Whether libvirt's files are still those that were read (cheap: only looked at). False also when they cannot be listed."""
        try:
            return {path: _stamp(os.stat(path)) for path, _ in _listing(self.directories)} == self.stamps
        except (OSError, RefusedError):
            return False


def read_claims(directories: LibvirtDirectories, uuid: str) -> Claims:
    """Read all of libvirt's files and follow every other domain's chains. About a second for 500 domains. Raises RefusedError (unreadable)."""
    documents = _documents(directories, uuid)
    pools = _pools(directories)
    claims = Claims(uuid, directories, stamps={path: document.stamp for path, document in documents.items()})
    walked: set[tuple[str, str]] = set()
    for path, document in documents.items():
        facts = document.facts
        if facts.uuid == uuid:
            _claim_own(claims, document, pools)
        else:
            _claim_other(claims, path, document, pools, walked)
    _claim_saved(claims, walked, pools)
    for name in (name for name in claims.names if "/" not in name):
        claims.own.add(os.path.normpath(save_path(directories, name)))
    return claims


def _claim_own(claims: Claims, document: _Document, pools: dict[str, PoolFacts]) -> None:
    facts = document.facts
    if document.origin != "snapshot" and facts.name:
        claims.names.add(facts.name)
    for disk in facts.disks:
        location = _location(disk, pools, "")
        if not location.startswith("/"):
            continue
        location = os.path.normpath(location)
        lent = RefusalCode.SHAREABLE_DISK if disk.shareable else RefusalCode.AMBIGUOUS_BASE if disk.readonly or disk.device not in _OWN_DEVICES else None
        if lent is None:
            claims.own.add(location)
        else:
            claims.lent[location] = lent
            if (identity := _identity(location)) is not None:
                claims.lent_identities[identity] = lent
    for named in (facts.nvram, *facts.former_nvram, *facts.console_logs):
        if named.startswith("/"):
            claims.own.add(os.path.normpath(named))
    claims.own_logs.update(os.path.normpath(log) for log in facts.console_logs if log.startswith("/"))


def _claim_other(claims: Claims, path: str, document: _Document, pools: dict[str, PoolFacts], walked: set[tuple[str, str]]) -> None:
    facts = document.facts
    owner = facts.uuid or f"of {os.path.basename(path)}"
    if facts.name and document.origin != "snapshot":
        _claim_mentioned(claims, owner, (save_path(claims.directories, facts.name),))
    _claim_mentioned(claims, owner, document.mentioned)
    for log in facts.console_logs:
        for spelling in (os.path.normpath(log), os.path.realpath(log)):
            claims.logs.setdefault(spelling, owner)
    for shared in facts.shared_directories:
        claims.trees.setdefault(shared, owner)
    for disk in facts.disks:
        location = _location(disk, pools, path)
        if disk.type == "dir" and location:
            claims.trees.setdefault(location, owner)
        elif location and (location, disk.format) not in walked:
            walked.add((location, disk.format))
            reached = names_reached(location, disk.format)
            if reached.incomplete:
                raise _unreadable(path, f"what its disk {disk.target} reaches cannot be followed to the end ({reached.reason})")
            for identity in reached.identities:
                claims.identities.setdefault(identity, owner)
            for name in reached.paths:
                claims.paths.setdefault(name, owner)


def _claim_mentioned(claims: Claims, owner: str, mentioned: Iterable[str]) -> None:
    for name in mentioned:
        normal = os.path.normpath(name)
        if normal not in claims.paths and "\0" not in name:
            claims.paths[normal] = owner
            if (identity := _identity(name)) is not None:
                claims.identities.setdefault(identity, owner)


def _claim_saved(claims: Claims, walked: set[tuple[str, str]], pools: dict[str, PoolFacts]) -> None:
    """Saved states hold XML too, which a restore goes by. One that cannot be understood claims nothing but itself: it may be half wiped."""
    folder = os.path.join(claims.directories.state, "save")
    for name in _names(folder, required=False):
        path = os.path.normpath(os.path.join(folder, name))
        if not path.endswith(".save") or path in {os.path.normpath(save_path(claims.directories, own)) for own in claims.names}:
            continue
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            facts = saved_domain(fd)
        except (InputError, OSError):
            continue
        finally:
            os.close(fd)
        if facts is not None and facts.uuid != claims.uuid:
            every = [disk.location for disk in facts.disks] + [facts.nvram, *facts.console_logs]
            mentioned = frozenset(location for location in every if location.startswith("/"))
            _claim_other(claims, path, _Document((0, 0, 0), "inactive", facts, mentioned), pools, walked)


def _rotated_from(location: str) -> str:
    """The log from which virtlogd rotated this file away (its name, a dot, a number without leading zeros); "" when it has no such name."""
    log, dot, number = location.rpartition(".")
    plain = number.isascii() and number.isdigit() and (number == "0" or number[0] != "0")
    return log if dot and plain and not log.endswith("/") else ""


def _location(disk: DiskSource, pools: dict[str, PoolFacts], path: str) -> str:
    """Where a disk stands; "" for storage that is no file of this host. A volume of an unknown pool: RefusedError (unreadable) unless `path` is ""."""
    if disk.location or disk.type != "volume":
        return disk.location
    pool = pools.get(disk.pool)
    if pool is None:
        if path:
            raise _unreadable(path, f"its disk {disk.target} is a volume of a pool that libvirt's files do not know")
        return ""
    return pool.volume_path(disk.volume)


def _identity(path: str) -> FileIdentity | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return FileIdentity(device=found.st_dev, inode=found.st_ino)
