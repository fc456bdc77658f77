"""libvirt's own files, read by the eraser with its own eyes: domains, snapshots, checkpoints, saved states, pools, secrets, qemu.conf.

Nothing is concluded here. Whatever cannot be read or understood, of any domain, is a RefusedError (`unreadable`): a neighbour that we cannot see may
own the very file that is to be erased.
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from xml.etree.ElementTree import tostring

from wiped.errors import InputError, RefusedError
from wiped.model.inventory import DomainFacts, LibvirtDirectories
from wiped.model.plan import RefusalCode
from wiped.storage.doubt import Doubt, has_too_many
from wiped.virt import safe_xml
from wiped.virt.domain_xml import parse_domain, paths_mentioned
from wiped.virt.places import QemuConf, SecretFacts, parse_qemu_conf, parse_secret
from wiped.virt.pool_xml import PoolFacts, parse_pool
from wiped.virt.saved_state import DOUBTFUL_BYTES, HEADER_BYTES, doubtful_head, head_bytes, parse_saved_state, saved_xml

MAX_FILES: Final = 50_000
_ROUNDS: Final = 20

Origin = Literal["live", "inactive", "snapshot", "status"]
#: What tells that a file was replaced or changed: (inode, size, mtime in ns, ctime in ns).
Stamp = tuple[int, int, int, int]


def unreadable(path: str, why: str) -> RefusedError:
    """The error that refuses a whole plan."""
    return RefusedError(f"{path}: {why}; while it cannot be read, any file may be that domain's", codes=[RefusalCode.UNREADABLE])


@dataclass(frozen=True, slots=True)
class Document:
    """One XML file about a domain: what it says, every path that it mentions, and every word that may name a secret."""

    stamp: Stamp
    origin: Origin
    facts: DomainFacts
    mentioned: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Secret:
    """A libvirt secret's definition. Its value (`<uuid>.base64` beside it) is never read here."""

    stamp: Stamp
    facts: SecretFacts


@dataclass(frozen=True, slots=True)
class Shelf:
    """Everything read at one moment. `stamps`: of all XML files that a change must be seen of. `host_words`: words of pools and qemu.conf that may name a
    secret. `folders`: stamps of the directories that hold the files, which libvirt changes with every file that it writes (it renames)."""

    documents: Mapping[str, Document]
    pools: Mapping[str, tuple[PoolFacts, ...]]
    secrets: Mapping[str, Secret]
    conf: QemuConf
    host_words: frozenset[str] = frozenset()
    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    folders: Mapping[str, Stamp] = field(default_factory=dict)


def read_shelf(directories: LibvirtDirectories, uuid: str, previous: Shelf | None = None) -> Shelf:
    """All documents, pools and secrets as they stand now; of this phone's own documents the mentions are left out (they are not needed).

    `previous`: what was read before for the same phone; files that did not change are not parsed again. Raises RefusedError (unreadable).
    """
    folders = folder_stamps(directories)  # before the files: a change in between is then seen as one
    documents = _documents(directories, uuid, previous.documents if previous else {})
    secrets = _secrets(directories, previous.secrets if previous else {})
    pools, words, pool_stamps = _pools(directories)
    conf, conf_words, conf_stamp = _conf(directories)
    stamps = {path: document.stamp for path, document in documents.items()} | {path: secret.stamp for path, secret in secrets.items()}
    return Shelf(documents, pools, secrets, conf, words | conf_words, stamps | pool_stamps | conf_stamp, folders)


def is_current(shelf: Shelf, directories: LibvirtDirectories) -> bool:
    """Whether all these files are still those that were read (they are only looked at). False also when they cannot be listed."""
    try:
        return {path: stamp_of(os.stat(path)) for path in _every_path(directories)} == dict(shelf.stamps)
    except (OSError, RefusedError):
        return False


def are_folders_current(shelf: Shelf, directories: LibvirtDirectories) -> bool:
    """The same by the directories alone, for a glance that is cheap whatever the number of domains: sees every file that came, went or was replaced,
    which is how libvirt writes, but not one that somebody edits in place."""
    return folder_stamps(directories) == dict(shelf.folders)


def folder_stamps(directories: LibvirtDirectories) -> dict[str, Stamp]:
    """Stamps of the directories themselves. One that is not there has none. (Those in which artefacts are removed one by one are left out.)"""
    found = {}
    kept = [os.path.join(directories.state, name) for name in ("snapshot", "checkpoint")]
    each = [os.path.join(folder, name) for folder in kept for name in names_in(folder, required=False)]
    beside = [os.path.join(os.path.dirname(base.rstrip("/")), "storage") for base in (directories.run, directories.config)]
    for folder in (directories.config, directories.run, directories.classified, *kept, *each, *beside):
        try:
            found[folder] = stamp_of(os.stat(folder))
        except OSError:
            continue
    return found


def _every_path(directories: LibvirtDirectories) -> Iterator[str]:
    yield from (path for path, _ in _listing(directories))
    yield from _xml_files(directories.secrets, required=False)
    yield from _pool_files(directories)
    if os.path.lexists(directories.qemu_conf):
        yield directories.qemu_conf


# -- documents about domains


def _listing(directories: LibvirtDirectories) -> Iterator[tuple[str, Origin]]:
    """Every XML file that libvirt's QEMU driver keeps about domains. Raises RefusedError (unreadable) for a directory that must be there."""
    yield from ((path, "inactive") for path in _xml_files(directories.config, required=True))
    yield from ((path, "status") for path in _xml_files(directories.run, required=True))
    if not os.path.isdir(directories.state):
        raise unreadable(directories.state, "libvirt's directory is not there")
    for kept in ("snapshot", "checkpoint"):
        for name in names_in(os.path.join(directories.state, kept), required=False):
            folder = os.path.join(directories.state, kept, name)
            if os.path.isdir(folder):
                yield from ((path, "snapshot") for path in _xml_files(folder, required=False))


def names_in(folder: str, *, required: bool) -> list[str]:
    """The names in a directory; [] for one that is not there and need not be. Raises RefusedError (unreadable)."""
    try:
        return os.listdir(folder)
    except FileNotFoundError as error:
        if required:
            raise unreadable(folder, "libvirt's directory is not there") from error
        return []
    except OSError as error:
        raise unreadable(folder, os.strerror(error.errno or 0)) from error


def _xml_files(folder: str, *, required: bool) -> Iterator[str]:
    """As libvirt chooses them: every name that ends in `.xml`, directories left out."""
    for name in names_in(folder, required=required):
        path = os.path.join(folder, name)
        if name.endswith(".xml") and not os.path.isdir(path):
            yield path


def _read(path: str) -> tuple[bytes, Stamp]:
    """A bounded read. Raises FileNotFoundError (libvirt removed it meanwhile), RefusedError (unreadable)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        if os.path.islink(path):
            raise unreadable(path, "a symbolic link to nowhere") from None
        raise
    except OSError as error:
        raise unreadable(path, os.strerror(error.errno or 0)) from error
    try:
        found = os.fstat(fd)
        if not st.S_ISREG(found.st_mode):
            raise unreadable(path, "not a regular file")
        if found.st_size > safe_xml.MAX_BYTES:
            raise unreadable(path, f"larger than {safe_xml.MAX_BYTES} bytes")
        data = bytearray()
        while len(data) <= safe_xml.MAX_BYTES and (piece := os.read(fd, 1 << 20)):
            data += piece
        return bytes(data), stamp_of(found)
    except OSError as error:
        raise unreadable(path, os.strerror(error.errno or 0)) from error
    finally:
        os.close(fd)


def stamp_of(found: os.stat_result) -> Stamp:
    """What a later look is compared with."""
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _documents(directories: LibvirtDirectories, uuid: str, known: Mapping[str, Document]) -> dict[str, Document]:
    """All documents by path. libvirt adds and removes files meanwhile: the directories are listed again until nothing is new."""
    documents: dict[str, Document] = {}
    for _ in range(_ROUNDS):
        listed = dict(_listing(directories))
        if len(listed) > MAX_FILES:
            raise unreadable(directories.config, f"more than {MAX_FILES} files")
        for gone in documents.keys() - listed.keys():
            del documents[gone]
        fresh = listed.keys() - documents.keys()
        if not fresh:
            return documents
        for path in fresh:
            try:
                documents[path] = _unchanged(path, known) or _document(path, listed[path], uuid)
            except FileNotFoundError:
                continue
    raise unreadable(directories.run, "libvirt's files change faster than they can be read")


def _unchanged(path: str, known: Mapping[str, Document]) -> Document | None:
    document = known.get(path)
    return document if document is not None and document.stamp == stamp_of(os.stat(path)) else None


def _document(path: str, origin: Origin, uuid: str) -> Document:
    data, stamp = _read(path)
    try:
        facts = parse_domain(data, origin=origin)
        if facts.uuid == uuid:
            return Document(stamp, origin, facts)
        return Document(stamp, origin, facts, paths_mentioned(data), _words(data, "domain XML"))
    except InputError as error:
        raise unreadable(path, str(error)) from error


def _words(data: bytes, what: str) -> frozenset[str]:
    """Every attribute and text of a document that is short enough to be a secret's UUID or usage, liberally: a mention anywhere counts."""
    found = {text.strip() for element in safe_xml.parse(data, what=what).iter() for text in (element.text or "", *element.attrib.values())}
    return frozenset(text for text in found if text and len(text) <= 4096)


# -- saved states


def saved_domain(fd: int) -> DomainFacts | None:
    """The domain whose state stands in an open saved state (managed save, or a snapshot's memory); None where there is no such header.

    Raises InputError for a header that promises XML which is not there, OSError.
    """
    head = os.pread(fd, HEADER_BYTES, 0)
    if len(head) < HEADER_BYTES or head[:16] not in (b"LibvirtQemudSave", b"LibvirtQemudPart"):
        return None
    wanted = head_bytes(head)
    if not wanted:
        raise InputError("is not a saved state of a known form", where="saved state")
    return parse_saved_state(os.pread(fd, wanted, 0))


@dataclass(frozen=True, slots=True)
class Saved:
    """What a saved state says, and every path that it mentions."""

    facts: DomainFacts
    mentioned: frozenset[str]


def saved_domain_at(path: str) -> Saved | Doubt | None:
    """The same of a file by its path, with every path that is mentioned. A Doubt where it has the header and no domain that can be understood (a newer form,
    damage): it may name whatever stands where its XML stood. Without the header it names nothing: it is half wiped. Raises RefusedError (unreadable) for
    one that is there and cannot be read, and for one of which nobody can tell where its XML ends: that may name anything."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, os.strerror(error.errno or 0)) from error
    try:
        try:
            facts = saved_domain(fd)
            return None if facts is None else Saved(facts, paths_mentioned(saved_xml(os.pread(fd, head_bytes(os.pread(fd, HEADER_BYTES, 0)), 0))))
        except InputError as error:
            why = f"a saved state that is not understood: {error}"
        head = doubtful_head(os.pread(fd, HEADER_BYTES + DOUBTFUL_BYTES, 0))
        if not head or has_too_many(head):
            raise unreadable(path, f"{why}, and may name any file")
        return Doubt(path, why, head)
    except OSError as error:
        raise unreadable(path, os.strerror(error.errno or 0)) from error
    finally:
        os.close(fd)


# -- pools, secrets, qemu.conf


def _pool_files(directories: LibvirtDirectories) -> Iterator[str]:
    for base in (directories.run, directories.config):
        yield from _xml_files(os.path.join(os.path.dirname(base.rstrip("/")), "storage"), required=False)


def _pools(directories: LibvirtDirectories) -> tuple[dict[str, tuple[PoolFacts, ...]], frozenset[str], dict[str, Stamp]]:
    """Storage pools by name, from the storage driver's own files beside the QEMU driver's; the words that they mention; stamps."""
    found: dict[str, tuple[PoolFacts, ...]] = {}
    words: set[str] = set()
    stamps: dict[str, Stamp] = {}
    for path in _pool_files(directories):
        try:
            data, stamp = _read(path)
            root = safe_xml.parse(data, what="pool XML")
            inner = root.find("pool") if root.tag == "poolstate" else root
            pool = parse_pool(tostring(inner if inner is not None else root))
        except FileNotFoundError:
            continue
        except InputError as error:
            raise unreadable(path, str(error)) from error
        found[pool.name] = (*found.get(pool.name, ()), pool)
        stamps[path] = stamp
        words |= _words(data, "pool XML")
    return found, frozenset(words), stamps


def _secrets(directories: LibvirtDirectories, known: Mapping[str, Secret]) -> dict[str, Secret]:
    """Secret definitions by path. Raises RefusedError (unreadable)."""
    found: dict[str, Secret] = {}
    for path in _xml_files(directories.secrets, required=False):
        try:
            if path in known and known[path].stamp == stamp_of(os.stat(path)):
                found[path] = known[path]
                continue
            data, stamp = _read(path)
            found[path] = Secret(stamp, parse_secret(data))
        except FileNotFoundError:
            continue
        except InputError as error:
            raise unreadable(path, str(error)) from error
    return found


def _conf(directories: LibvirtDirectories) -> tuple[QemuConf, frozenset[str], dict[str, Stamp]]:
    """What qemu.conf says about places, and its quoted words; the defaults where there is no such file. Raises RefusedError (unreadable)."""
    try:
        data, stamp = _read(directories.qemu_conf)
        text = data.decode("utf-8", "surrogateescape")
        words = frozenset(part for line in text.splitlines() if not line.lstrip().startswith("#") for part in line.split('"')[1::2])
        return parse_qemu_conf(text, state=directories.state), words, {directories.qemu_conf: stamp}
    except FileNotFoundError:
        return parse_qemu_conf("", state=directories.state), frozenset(), {}
    except InputError as error:
        raise unreadable(directories.qemu_conf, str(error)) from error
