"""What a domain's disk may reach, read as liberally as can be: only ever used to protect more (I5). Neither writes nor disturbs a running QEMU."""

from __future__ import annotations

import json
import os
import stat as st
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from wiped.errors import InputError, RefusedError, StorageError
from wiped.model.inventory import FileIdentity
from wiped.storage.blockstack import DeviceTree, number_of
from wiped.storage.doubt import Doubt, has_too_many, head_of, paths_in
from wiped.storage.foreign import NAMING, format_by_magic, names_in
from wiped.storage.kernel import identity_of
from wiped.storage.mounts import real_path
from wiped.storage.qcow2 import MAGIC, read_qcow2_header
from wiped.storage.quiet_open import has_protocol, open_quietly

MAX_DEPTH: Final = 64
#: So many images of one disk may be in doubt; one more, and nothing is known.
_MAX_DOUBTS: Final = 8
#: Formats that hold everything in the one file and name no other: erased as they stand, without being understood.
OPAQUE: Final = frozenset({"raw", "luks", "vdi", "iso", "dmg", "cloop", "bochs"})
#: Protocols of QEMU that reach no file of this host by name.
_REMOTE: Final = frozenset({"nbd", "rbd", "ssh", "iscsi", "iser", "http", "https", "ftp", "ftps", "gluster", "nfs", "sheepdog", "vxhs"})


@dataclass(frozen=True, slots=True)
class Reached:
    """Everything that a disk source may reach: identities of what exists, every spelling of every path that was met. `incomplete`: something could
    not be followed to its end, so the answer may lack something; `reason` says what."""

    identities: frozenset[FileIdentity]
    paths: frozenset[str]
    incomplete: bool = False
    reason: str = ""
    doubts: tuple[Doubt, ...] = ()
    """Images that were read and that their stated format cannot open: what they could name is known by their letters."""


def names_reached(path: str, fmt: str, max_depth: int = MAX_DEPTH, tree: DeviceTree | None = None) -> Reached:
    """What a domain's disk reaches, read liberally, to protect it from being erased with another phone (I5). Never raises.

    Follows symbolic links, external data files, `json:` and `file:` names, whatever VMDK descriptors, QED and qcow headers mention, and backing names
    without stated format (by the magic: to protect more, never to erase). A block device brings all devices above and below it, and the files of loop
    devices. What is stated as raw is not parsed. A file that is not there, or one without its format's magic (half wiped), reaches nothing further; one
    that is there and cannot be read makes the answer `incomplete`, and one that is read and not understood is a doubt (`doubt.py`). `tree`: one look at the
    devices for many calls.
    """
    walk = _Liberal(max_depth, tree or DeviceTree())
    walk.follow(path, fmt, 0)
    return Reached(frozenset(walk.identities), frozenset(walk.paths), bool(walk.reason), walk.reason, tuple(walk.doubts))


class _Liberal:
    """One liberal walk. Each identity is parsed once per format, so circles end by themselves."""

    def __init__(self, max_depth: int, tree: DeviceTree) -> None:
        self.max_depth = max_depth
        self.tree = tree
        self.identities: set[FileIdentity] = set()
        self.paths: set[str] = set()
        self.reason = ""
        self.doubts: list[Doubt] = []
        self._parsed: set[tuple[FileIdentity, str]] = set()

    def follow(self, path: str, fmt: str, depth: int) -> None:
        if not os.path.isabs(path) or "\0" in path:
            self.reason = self.reason or "a name that is no absolute path"
            return
        resolved = real_path(path)
        self.paths |= {path, os.path.normpath(path), resolved}
        if depth > self.max_depth:
            self.reason = self.reason or f"deeper than {self.max_depth}"
            return
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self.reason = self.reason or f"{path}: {os.strerror(error.errno or 0)}"
            return
        try:
            stat = os.fstat(fd)
            identity = identity_of(stat)
            self.identities.add(identity)
            if st.S_ISBLK(stat.st_mode):
                self._stack(number_of(stat.st_rdev))
            if (identity, fmt) in self._parsed or fmt in OPAQUE or not (st.S_ISREG(stat.st_mode) or st.S_ISBLK(stat.st_mode)):
                return
            self._parsed.add((identity, fmt))
            names = self._names(fd, path, fmt)
        finally:
            os.close(fd)
        for name, its_format in names:
            self._follow_name(name, its_format, (os.path.dirname(path), os.path.dirname(resolved)), depth + 1)

    def _stack(self, number: str) -> None:
        """A device reaches all devices above and below it, and the files that loop devices among those below show."""
        for each in (number, *self.tree.below(number), *self.tree.above(number)):
            self.identities.add(FileIdentity(os.makedev(*(int(word) for word in each.split(":"))), 0))
        for each in (number, *self.tree.below(number)):
            if shown := self.tree.backing_path(each):
                self.paths |= {shown, real_path(shown)}
            if (identity := self.tree.backing_identity(each)) is not None:
                self.identities.add(identity)

    def _names(self, fd: int, path: str, fmt: str) -> list[tuple[str, str]]:
        """(name, format) of what the image names; nothing for one that does not begin as its format says, unless none is stated."""
        try:
            readable, head = open_quietly(fd, path), b""
            try:
                head = head_of(readable)
                fmt = fmt or format_by_magic(os.pread(readable, 4096, 0))
                if fmt in NAMING:
                    return [(name, "") for name in names_in(readable, fmt, liberal=True)]
                if os.pread(readable, len(MAGIC), 0) != MAGIC:
                    return []
                header = read_qcow2_header(readable)
            finally:
                os.close(readable)
        except InputError as error:
            return self._doubtful(path, head, str(error))
        except (RefusedError, StorageError) as error:
            self.reason = self.reason or f"{path}: {error}"
        except OSError as error:
            self.reason = self.reason or f"{path}: {os.strerror(error.errno or 0)}"
        else:
            return [each for each in ((header.backing_file, header.backing_format), (header.data_file, "raw")) if each[0]]
        return []

    def _doubtful(self, path: str, head: bytes, reason: str) -> list[tuple[str, str]]:
        """Nothing can open this image as it stands. What its letters lead to is reached all the same, and what bears a name that stands in it may be."""
        if has_too_many(head) or len(self.doubts) >= _MAX_DOUBTS:
            self.reason = self.reason or f"{path}: {reason}"
            return []
        self.doubts.append(Doubt(path, reason, head))
        return [(name, "") for name in paths_in(head, os.path.dirname(path)) if os.path.lexists(name)]

    def _follow_name(self, name: str, fmt: str, directories: Sequence[str], depth: int) -> None:
        if not has_protocol(name):
            for directory in dict.fromkeys(directories):
                self.follow(os.path.join(directory, name), fmt, depth)
            return
        protocol, _, rest = name.partition(":")
        if protocol in ("file", "host_device", "host_cdrom"):
            self._follow_name(rest[2:] if rest.startswith("//") else rest, fmt, directories, depth)
        elif protocol == "json":
            try:
                strings = list(_strings(json.loads(rest)))
            except (ValueError, RecursionError):
                self.reason = self.reason or "a json: name that cannot be read"
                return
            for text in strings:
                if "/" in text and not (has_protocol(text) and text.partition(":")[0] in _REMOTE):
                    self._follow_name(text, "", directories, depth)
        elif protocol.partition("+")[0] not in _REMOTE:
            self.reason = self.reason or f"the protocol {protocol!a}"


def _strings(value: Any) -> list[str]:
    """All strings that are values somewhere in a JSON value."""
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in _strings(item)]
