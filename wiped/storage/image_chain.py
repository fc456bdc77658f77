"""Image files and the chains beneath them, one level at a time and with the format stated; nothing is ever probed (docs/physics.md 5).

Two ways of walking, for opposite purposes. `walk_chain` is for what may be *erased*: it ends at the first thing that is not beyond doubt.
`names_reached` (room `reached`) is for what must be *protected*: it follows anything that QEMU might follow. Neither writes, locks, or disturbs a
running QEMU.
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from wiped.errors import InputError, RefusedError, StorageError
from wiped.model.inventory import FileIdentity, ImageLayer
from wiped.model.outcome import ReasonCode
from wiped.model.plan import RefusalCode
from wiped.storage.blockdev import block_facts, block_filesystem, block_protected, block_root, resolve_block
from wiped.storage.blockstack import DeviceTree
from wiped.storage.extents import ExtentMap, read_extents
from wiped.storage.filesystems import filesystem_facts
from wiped.storage.foreign import NAMING, names_in
from wiped.storage.kernel import identity_of
from wiped.storage.locks import is_locked
from wiped.storage.mounts import containing_root
from wiped.storage.paths import open_straight
from wiped.storage.qcow2 import read_qcow2_header
from wiped.storage.quiet_open import has_protocol, open_quietly
from wiped.storage.reached import MAX_DEPTH, OPAQUE, Reached, names_reached
from wiped.storage.shared_extents import GoldenFiles, split

__all__ = ["Reached", "has_protocol", "look_at_layer", "names_reached", "walk_chain"]


def look_at_layer(
    path: str,
    fmt: str,
    *,
    roots: Sequence[str],
    protected: Sequence[str],
    libvirt_dirs: Sequence[str],
    hold: ExitStack | None = None,
    with_extents: bool = False,
    goldens: GoldenFiles | None = None,
) -> ImageLayer:
    """One file, as `fmt` says ("" counts as raw; raw content is never looked at). Never raises: what is wrong stands in `problem` and `detail`.

    `problem` is the first of: missing, unreadable, not-regular, unsupported-artefact, symlink (the facts are then those of the target),
    external-data-file, untrusted-format, hard-link, a reason code of FIEMAP; "" for none. `hold`: keeps an O_PATH descriptor of the file open
    until the stack ends, so that its inode number cannot be given to another file meanwhile. `with_extents`: read the extent map too (writes
    dirty pages out); `goldens`: of a reflinked clone the private part alone, the golden image's being told apart (`extent-shared` for any other).

    A block device is taken by its node below /dev (udev's own links allowed); a claim of somebody else's on it is a problem: mounted, in-use, ....
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
        layer = _look(fd, layer, problems, _Wanted(with_extents, goldens, tuple(roots), tuple(protected)))
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


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What of a layer is asked for."""

    with_extents: bool
    goldens: GoldenFiles | None
    roots: tuple[str, ...]
    protected: tuple[str, ...]


def _open_for_looking(path: str, problems: list[tuple[str, str]]) -> int:
    """An O_PATH descriptor; through symbolic links too, but then with a problem noted."""
    try:
        return open_straight(path)
    except RefusedError as error:
        if error.codes[0] != RefusalCode.SYMLINK:
            raise
        if (node := _node_behind(path)) >= 0:
            return node
    problems.append((RefusalCode.SYMLINK.value, f"{_first_link(path)} is a symbolic link"))
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise StorageError(f"{path}: no such file", reason=ReasonCode.VANISHED) from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be followed", reason=ReasonCode.IO_ERROR) from error


def _node_behind(path: str) -> int:
    """An O_PATH descriptor of the block device that udev's links lead to; -1 where they do not."""
    try:
        return open_straight(resolve_block(path))
    except (RefusedError, StorageError):
        return -1


def _first_link(path: str) -> str:
    parts = path.strip("/").split("/")
    for count in range(1, len(parts) + 1):
        name = "/" + "/".join(parts[:count])
        if os.path.islink(name):
            return name
    return path


def _look(fd: int, layer: ImageLayer, problems: list[tuple[str, str]], wanted: _Wanted) -> ImageLayer:
    stat = os.fstat(fd)
    layer = replace(layer, identity=identity_of(stat), size_bytes=stat.st_size, allocated_bytes=stat.st_blocks * 512, links=stat.st_nlink)
    if st.S_ISBLK(stat.st_mode):
        return _look_at_device(fd, layer, problems, wanted)
    if not st.S_ISREG(stat.st_mode):
        raise RefusedError(f"{layer.location}: not a regular file", codes=[RefusalCode.NOT_REGULAR])
    layer = replace(layer, virtual_bytes=stat.st_size, filesystem=filesystem_facts(fd))
    if stat.st_nlink != 1:
        problems.append((RefusalCode.HARD_LINK.value, f"{stat.st_nlink} names (hard links) lead to the file"))
    readable = open_quietly(fd, layer.location)
    try:
        layer = replace(layer, in_use=is_locked(readable))
        layer = _look_inside(readable, layer, problems)
        if wanted.with_extents:
            try:
                layer = _mapped(readable, layer, problems, wanted.goldens)
            except StorageError as error:
                problems.append((error.reason, str(error)))
    finally:
        os.close(readable)
    return layer


def _look_inside(fd: int, layer: ImageLayer, problems: list[tuple[str, str]]) -> ImageLayer:
    """What the format says. Only qcow2 is understood; the others are opaque, unless they name another file."""
    if layer.format == "qcow2":
        layer = _read_header(fd, layer, problems)
    elif layer.format in NAMING:
        try:
            if names := names_in(fd, layer.format):
                detail = f"the {layer.format} image names another file ({ascii(names[0])[1:-1]})"
                problems.append((RefusalCode.EXTERNAL_DATA_FILE.value, detail))
        except InputError as error:
            problems.append((RefusalCode.UNTRUSTED_FORMAT.value, str(error)))
    elif layer.format not in OPAQUE:
        problems.append((RefusalCode.UNSUPPORTED_ARTEFACT.value, f"the format {layer.format!a} is not known to this version"))
    return replace(layer, encrypted=layer.encrypted or layer.format == "luks")


def _mapped(fd: int, layer: ImageLayer, problems: list[tuple[str, str]], goldens: GoldenFiles | None) -> ImageLayer:
    """The extent map's facts; of a clone on XFS, taken apart."""
    extents = read_extents(fd)
    if goldens is None or "shared" not in extents.flag_counts or layer.identity is None or layer.filesystem is None or layer.filesystem.fs_type != "xfs":
        return replace(layer, extents=extents.facts())
    parts = split(extents, layer.identity, goldens)
    if parts.foreign:
        detail = "it shares blocks with another file that is not its golden image (a clone, a backup by reflink)"
        problems.append((ReasonCode.EXTENT_SHARED.value, detail))
        return replace(layer, extents=extents.facts())
    retained = parts.retained.facts() if parts.retained is not None else None
    return replace(layer, extents=parts.private.facts(), retained_extents=retained, golden=parts.golden)


def _look_at_device(fd: int, layer: ImageLayer, problems: list[tuple[str, str]], wanted: _Wanted) -> ImageLayer:
    """A block device: everything from sysfs. Its content is looked at only as far as its stated format asks for."""
    resolve_block(layer.location)  # a node elsewhere than below /dev is not taken
    tree = DeviceTree()
    block = block_facts(fd, tree)
    layer = replace(
        layer,
        block=block,
        size_bytes=block.size_bytes,
        virtual_bytes=block.size_bytes,
        allocated_bytes=block.size_bytes,
        links=1,
        under_root=block_root(layer.location, wanted.roots),
        under_protected=layer.under_protected or block_protected(layer.location, block, wanted.protected),
        libvirt_owned=False,
        filesystem=block_filesystem(fd, tree),
    )
    if block.claims:
        code, detail = block.claims[0]
        problems.append((code, detail))
    if layer.format not in OPAQUE and block.size_bytes:
        readable = open_quietly(fd, layer.location)
        try:
            layer = _look_inside(readable, layer, problems)
        finally:
            os.close(readable)
    if wanted.with_extents and block.size_bytes:
        whole = ExtentMap()
        whole.append(0, 0, block.size_bytes)
        layer = replace(layer, extents=whole.facts())
    return layer


def _read_header(fd: int, layer: ImageLayer, problems: list[tuple[str, str]]) -> ImageLayer:
    """The facts that a qcow2 header adds; what is doubtful in it becomes a problem."""
    try:
        header = read_qcow2_header(fd)
    except InputError as error:
        problems.append((RefusalCode.UNTRUSTED_FORMAT.value, str(error)))
        return layer
    if header.external_data:
        problems.append((RefusalCode.EXTERNAL_DATA_FILE.value, "the image keeps its data in another file"))
    if header.corrupt:
        detail = "the image is marked corrupt: what its tables say cannot be trusted (qemu-img check -r all repairs it)"
        problems.append((RefusalCode.UNTRUSTED_FORMAT.value, detail))
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
    goldens: GoldenFiles | None = None,
) -> tuple[ImageLayer, ...]:
    """The chain from the top image down, top first. The format of each layer is stated: the top's by `fmt`, the others' by the header above.

    The walk ends at a layer without backing file, or at the first whose problem leaves doubt about what lies beneath: the last layer then has it in
    `problem`. A circle and a chain deeper than `max_depth` are `untrusted-format`. With `with_extents`, the map of every layer is read.
    """
    layers: list[ImageLayer] = []
    seen: set[FileIdentity] = set()
    while True:
        layer = look_at_layer(path, fmt, roots=roots, protected=protected, libvirt_dirs=libvirt_dirs, hold=hold, with_extents=with_extents, goldens=goldens)
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
