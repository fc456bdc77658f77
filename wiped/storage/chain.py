"""Image files and the chains beneath them, one level at a time and with the format stated; nothing is ever probed (PHYSICS 5).

Two ways of walking, for opposite purposes. `walk_chain` is for what may be *erased*: it ends at the first thing that is not beyond doubt.
`names_reached` is for what must be *protected*: it follows anything that QEMU might follow. Neither writes, locks, or disturbs a running QEMU.
"""

from __future__ import annotations

import json
import os
import stat as st
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Final

from wiped.errors import InputError, RefusedError, StorageError
from wiped.model.inventory import FileIdentity, ImageLayer
from wiped.model.outcome import ReasonCode
from wiped.model.plan import RefusalCode
from wiped.storage.extents import read_extents
from wiped.storage.filesystems import filesystem_facts
from wiped.storage.kernel import identity_of
from wiped.storage.locks import is_locked
from wiped.storage.mounts import containing_root
from wiped.storage.paths import open_straight, reopen
from wiped.storage.qcow2 import MAGIC, Qcow2Header, read_qcow2_header

MAX_DEPTH: Final = 64
#: Formats that hold everything in the one file and name no other: erased as they stand, without being understood.
_OPAQUE: Final = frozenset({"raw", "luks", "vdi", "iso", "dmg", "cloop", "bochs"})
#: Formats that can name other files (parents, extents), which this program cannot read.
_NAMING: Final = frozenset({"vmdk", "qed", "qcow", "cow", "vhdx", "vpc", "parallels", "ploop"})
#: Protocols of QEMU that reach no file of this host by name.
_REMOTE: Final = frozenset({"nbd", "rbd", "ssh", "iscsi", "iser", "http", "https", "ftp", "ftps", "gluster", "nfs", "sheepdog", "vxhs"})


def look_at_layer(
    path: str,
    fmt: str,
    *,
    roots: Sequence[str],
    protected: Sequence[str],
    libvirt_dirs: Sequence[str],
    hold: ExitStack | None = None,
    with_extents: bool = False,
) -> ImageLayer:
    """One file, as `fmt` says ("" counts as raw; raw content is never looked at). Never raises: what is wrong stands in `problem` and `detail`.

    `problem` is the first of: missing, unreadable, not-regular, unsupported-artefact, symlink (the facts are then those of the target),
    external-data-file, untrusted-format, hard-link, a reason code of FIEMAP; "" for none. `hold`: keeps an O_PATH descriptor of the file open
    until the stack ends, so that its inode number cannot be given to another file meanwhile. `with_extents`: read the extent map too (writes
    dirty pages out).
    """
    fmt = fmt or "raw"
    layer = ImageLayer(location=path, format=fmt)
    if not os.path.isabs(path) or any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in path):
        return replace(layer, location=ascii(path)[1:-1], problem=RefusalCode.UNTRUSTED_FORMAT.value, detail="not an absolute path of a file")
    layer = replace(
        layer,
        under_root=containing_root(path, roots),
        under_protected=containing_root(path, protected),
        libvirt_owned=bool(containing_root(path, libvirt_dirs)),
    )
    problems: list[tuple[str, str]] = []
    fd = -1
    try:
        fd = _open_for_looking(path, problems)
        if not problems:
            layer = replace(layer, location=os.path.normpath(path))
        layer = _look(fd, layer, problems, with_extents)
        if hold is not None:
            hold.callback(os.close, os.dup(fd))
    except RefusedError as error:
        problems.append((error.codes[0], str(error)))
    except StorageError as error:
        code = RefusalCode.MISSING.value if error.reason == ReasonCode.VANISHED else RefusalCode.UNREADABLE.value
        problems.append((code, str(error)))
    finally:
        if fd >= 0:
            os.close(fd)
    if problems:
        order = [str(code) for code in _PROBLEM_ORDER]
        code, detail = min(problems, key=lambda item: order.index(item[0]) if item[0] in order else len(order))
        layer = replace(layer, problem=str(code), detail=detail)
    return layer


_PROBLEM_ORDER: Final = (
    RefusalCode.MISSING,
    RefusalCode.UNREADABLE,
    RefusalCode.NOT_REGULAR,
    RefusalCode.UNSUPPORTED_ARTEFACT,
    RefusalCode.SYMLINK,
    RefusalCode.EXTERNAL_DATA_FILE,
    RefusalCode.UNTRUSTED_FORMAT,
    RefusalCode.HARD_LINK,
)


def _open_for_looking(path: str, problems: list[tuple[str, str]]) -> int:
    """An O_PATH descriptor; through symbolic links too, but then with a problem noted."""
    try:
        return open_straight(path)
    except RefusedError as error:
        if error.codes[0] != RefusalCode.SYMLINK:
            raise
    problems.append((RefusalCode.SYMLINK.value, f"{_first_link(path)} is a symbolic link"))
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise StorageError(f"{path}: no such file", reason=ReasonCode.VANISHED) from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be followed", reason=ReasonCode.IO_ERROR) from error


def _first_link(path: str) -> str:
    parts = path.strip("/").split("/")
    for count in range(1, len(parts) + 1):
        name = "/" + "/".join(parts[:count])
        if os.path.islink(name):
            return name
    return path


def _look(fd: int, layer: ImageLayer, problems: list[tuple[str, str]], with_extents: bool) -> ImageLayer:
    stat = os.fstat(fd)
    layer = replace(layer, identity=identity_of(stat), size_bytes=stat.st_size, allocated_bytes=stat.st_blocks * 512, links=stat.st_nlink)
    if st.S_ISBLK(stat.st_mode):
        raise RefusedError(f"{layer.location}: a block device, which this version does not wipe", codes=[RefusalCode.UNSUPPORTED_ARTEFACT])
    if not st.S_ISREG(stat.st_mode):
        raise RefusedError(f"{layer.location}: not a regular file", codes=[RefusalCode.NOT_REGULAR])
    layer = replace(layer, virtual_bytes=stat.st_size, filesystem=filesystem_facts(fd))
    if stat.st_nlink != 1:
        problems.append((RefusalCode.HARD_LINK.value, f"{stat.st_nlink} names (hard links) lead to the file"))
    readable = _reopen_for_reading(fd, layer.location)
    try:
        layer = replace(layer, in_use=is_locked(readable))
        if layer.format == "qcow2":
            layer = _read_header(readable, layer, problems)
        elif layer.format not in _OPAQUE:
            words = "can name other files" if layer.format in _NAMING else "is not known to this version"
            problems.append((RefusalCode.UNSUPPORTED_ARTEFACT.value, f"the format {layer.format!a} {words}"))
        layer = replace(layer, encrypted=layer.encrypted or layer.format == "luks")
        if with_extents:
            try:
                layer = replace(layer, extents=read_extents(readable).facts())
            except StorageError as error:
                problems.append((error.reason, str(error)))
    finally:
        os.close(readable)
    return layer


def _reopen_for_reading(fd: int, path: str) -> int:
    """Open for reading without touching the access time. An eraser's lease of an instant is waited out (100 ms at most)."""
    for attempt in range(5):
        try:
            try:
                return reopen(fd, os.O_RDONLY | os.O_NOATIME, path)
            except RefusedError as error:
                if error.codes[0] != RefusalCode.UNREADABLE:
                    raise
                return reopen(fd, os.O_RDONLY, path)  # O_NOATIME is the owner's right
        except RefusedError as error:
            if error.codes[0] != RefusalCode.IN_USE or attempt == 4:
                raise
            time.sleep(0.025)
    raise AssertionError("unreachable")


def _read_header(fd: int, layer: ImageLayer, problems: list[tuple[str, str]]) -> ImageLayer:
    """The facts that a qcow2 header adds; what is doubtful in it becomes a problem."""
    try:
        header = read_qcow2_header(fd)
    except InputError as error:
        problems.append((RefusalCode.UNTRUSTED_FORMAT.value, str(error)))
        return layer
    if header.external_data:
        problems.append((RefusalCode.EXTERNAL_DATA_FILE.value, "the image keeps its data in another file"))
    if header.unknown_features:
        problems.append((RefusalCode.UNTRUSTED_FORMAT.value, f"features that this version does not know ({header.unknown_features:#x})"))
    backing = ""
    if header.backing_file:
        if has_protocol(header.backing_file):
            problems.append((RefusalCode.UNTRUSTED_FORMAT.value, "the backing file is named by a protocol, not by a path"))
        elif not header.backing_format:
            problems.append((RefusalCode.UNTRUSTED_FORMAT.value, "a backing file without a stated format"))
        backing = header.backing_file if has_protocol(header.backing_file) else os.path.join(os.path.dirname(layer.location), header.backing_file)
    return replace(
        layer,
        virtual_bytes=header.virtual_size,
        backing_location=backing,
        backing_format=header.backing_format,
        encrypted=header.encrypted,
        internal_snapshots=header.snapshots,
    )


def has_protocol(name: str) -> bool:
    """Whether QEMU would read `name` as `protocol:...` and not as a path: a colon before any slash (path_has_protocol in block.c)."""
    colon = name.find(":")
    return colon >= 0 and "/" not in name[:colon]


def walk_chain(
    path: str,
    fmt: str,
    *,
    roots: Sequence[str],
    protected: Sequence[str],
    libvirt_dirs: Sequence[str],
    max_depth: int = MAX_DEPTH,
    with_extents: bool = False,
    hold: ExitStack | None = None,
) -> tuple[ImageLayer, ...]:
    """The chain from the top image down, top first. The format of each layer is stated: the top's by `fmt`, the others' by the header above.

    The walk ends at a layer without backing file, or at the first whose problem leaves doubt about what lies beneath: the last layer then has it in
    `problem`. A circle and a chain deeper than `max_depth` are `untrusted-format`. With `with_extents`, the map of every layer is read.
    """
    layers: list[ImageLayer] = []
    seen: set[FileIdentity] = set()
    while True:
        layer = look_at_layer(path, fmt, roots=roots, protected=protected, libvirt_dirs=libvirt_dirs, hold=hold, with_extents=with_extents)
        if layer.identity is not None and layer.identity in seen:
            layers[-1] = _doubtful(layers[-1], "the backing chain is circular")
            break
        layers.append(layer)
        if layer.identity is not None:
            seen.add(layer.identity)
        if not layer.backing_location or layer.problem not in ("", RefusalCode.SYMLINK, RefusalCode.HARD_LINK):
            break
        if has_protocol(layer.backing_location) or not layer.backing_format:
            break  # hidden behind the symlink's problem
        if len(layers) >= max_depth:
            layers[-1] = _doubtful(layer, f"the backing chain is deeper than {max_depth}")
            break
        path, fmt = layer.backing_location, layer.backing_format
    return tuple(layers)


def _doubtful(layer: ImageLayer, detail: str) -> ImageLayer:
    return replace(layer, problem=RefusalCode.UNTRUSTED_FORMAT.value, detail=detail)


@dataclass(frozen=True, slots=True)
class Reached:
    """Everything that a disk source may reach: identities of what exists, every spelling of every path that was met. `incomplete`: something could
    not be followed to its end, so the answer may lack something; `reason` says what."""

    identities: frozenset[FileIdentity]
    paths: frozenset[str]
    incomplete: bool = False
    reason: str = ""


def names_reached(path: str, fmt: str, max_depth: int = MAX_DEPTH) -> Reached:
    """What a domain's disk reaches, read liberally, to protect it from being erased with another phone (I5). Never raises.

    Follows symbolic links, external data files, `json:` and `file:` names, and backing names without stated format (as qcow2 if the magic says so:
    to protect more, never to erase). A file stated as raw is not parsed. A file that is not there, or a qcow2 without its magic (half wiped), reaches
    nothing further; one that is there and cannot be read or understood makes the answer `incomplete`.
    """
    walk = _Liberal(max_depth)
    walk.follow(path, fmt, 0)
    return Reached(frozenset(walk.identities), frozenset(walk.paths), bool(walk.reason), walk.reason)


class _Liberal:
    """One liberal walk. Each identity is parsed once per format, so circles end by themselves."""

    def __init__(self, max_depth: int) -> None:
        self.max_depth = max_depth
        self.identities: set[FileIdentity] = set()
        self.paths: set[str] = set()
        self.reason = ""
        self._parsed: set[tuple[FileIdentity, str]] = set()

    def follow(self, path: str, fmt: str, depth: int) -> None:
        if not os.path.isabs(path) or "\0" in path:
            self.reason = self.reason or "a name that is no absolute path"
            return
        resolved = os.path.realpath(path)
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
            if (identity, fmt) in self._parsed or fmt in _OPAQUE or not (st.S_ISREG(stat.st_mode) or st.S_ISBLK(stat.st_mode)):
                return
            self._parsed.add((identity, fmt))
            if st.S_ISBLK(stat.st_mode):
                if fmt != "":
                    self.reason = self.reason or f"{path}: a chain on a block device"
                return
            header = self._header(fd, path, fmt)
        finally:
            os.close(fd)
        if header is None:
            return
        for name, its_format in ((header.backing_file, header.backing_format), (header.data_file, "raw")):
            if name:
                self._follow_name(name, its_format, (os.path.dirname(path), os.path.dirname(resolved)), depth + 1)

    def _header(self, fd: int, path: str, fmt: str) -> Qcow2Header | None:
        if fmt in _NAMING:
            self.reason = self.reason or f"{path}: the format {fmt} can name other files"
            return None
        try:
            readable = _reopen_for_reading(fd, path)
            try:
                if os.pread(readable, len(MAGIC), 0) != MAGIC:
                    return None
                return read_qcow2_header(readable)
            finally:
                os.close(readable)
        except (InputError, RefusedError, StorageError) as error:
            self.reason = self.reason or f"{path}: {error}"
        except OSError as error:
            self.reason = self.reason or f"{path}: {os.strerror(error.errno or 0)}"
        return None

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
