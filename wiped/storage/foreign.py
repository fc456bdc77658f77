"""Image formats other than qcow2, read only for the names of other files in them: VMDK descriptors, QED and old qcow headers (docs/physics.md 5).

Such an image of a phone's own is opaque: overwritten whole, whatever it holds. If it names another file, part of the data may be there. An image of
somebody else is read liberally: whatever its descriptor mentions is protected. VHDX, VHD, Parallels and ploop images name nothing that QEMU follows.
Sources: QEMU's block/vmdk.c, block/qed.h (docs/interop/qed_spec.txt), block/qcow.c.
"""

from __future__ import annotations

import os
import re
import struct
from typing import Final

from wiped.errors import InputError, StorageError
from wiped.storage.kernel import translated

#: Formats whose files may name others, or did in some version.
NAMING: Final = frozenset({"vmdk", "qed", "qcow", "cow", "vhdx", "vpc", "parallels", "ploop"})
_NAMELESS: Final = frozenset({"vhdx", "vpc", "parallels", "ploop"})
#: As much of a descriptor as QEMU reads.
_MAX_DESCRIPTOR: Final = (1 << 20) - 1
_MAX_NAME: Final = 4096
_VMDK4: Final = struct.Struct("<4sIIQQQQ")
_QED: Final = struct.Struct("<4sIIIQQQQQII")
_QCOW1: Final = struct.Struct(">4sIQI")
_SECTOR: Final = 512
#: Tried at the first word of each line alone, and without going back (`++`): no descriptor takes more than linear time. White space may hold line ends,
#: as in QEMU's sscanf.
_EXTENT: Final = re.compile(r'(?:RW|RDONLY|NOACCESS)\s++\d++\s++\S++\s++"([^"\n]*+)"')
_PARENT: Final = re.compile(r'parentFileNameHint\s*+=\s*+"([^"\n]*+)"')
_FIRST_WORD: Final = re.compile(r"^[^\S\n]*+(?=\S)", re.MULTILINE)
_QUOTED: Final = re.compile(r'"([^"\n]+)"')


def format_by_magic(head: bytes) -> str:
    """What QEMU's probing would take a file for that begins so: one of the formats that can name others; "" for all else."""
    if head[:4] == b"QFI\xfb":
        return "qcow" if head[4:8] == b"\0\0\0\1" else "qcow2"
    if head[:4] in (b"KDMV", b"COWD") or head.lstrip(b"#\r\n\t ")[:19] == b"Disk DescriptorFile" or b"# Disk DescriptorFile" in head[:1024]:
        return "vmdk"
    return "qed" if head[:4] == b"QED\0" else ""


def names_in(fd: int, fmt: str, *, liberal: bool = False) -> tuple[str, ...]:
    """The other files that an image of format `fmt` (one of NAMING) names. `liberal`: every string that could be one. A file that does not begin as its
    format says names none: nothing would follow it. Raises InputError for one that cannot be understood, StorageError (io-error)."""
    if fmt in _NAMELESS:
        return ()
    if fmt == "cow":
        raise InputError("the format cow has not been readable for years: what it names cannot be told")
    try:
        head = os.pread(fd, 4096, 0)
        names = {"vmdk": _vmdk, "qed": _qed, "qcow": _qcow}[fmt](fd, head, liberal)
    except OSError as error:
        failure = translated(error, "the header of an image")
        raise failure if isinstance(failure, StorageError) else StorageError(str(failure)) from error
    return tuple(dict.fromkeys(name for name in names if name))


def _at_lines(form: re.Pattern[str], text: str) -> list[str]:
    """The first group of `form` wherever it fits at the first word of a line."""
    found = (form.match(text, line.end()) for line in _FIRST_WORD.finditer(text))
    return [match[1] for match in found if match is not None]


def _vmdk(fd: int, head: bytes, liberal: bool) -> list[str]:
    embedded = head[:4] == b"KDMV"
    if head[:4] == b"COWD":
        return _QUOTED.findall(_text(os.pread(fd, _MAX_DESCRIPTOR, 0))) if liberal else []
    if not embedded:
        if format_by_magic(head) != "vmdk":
            return []
        text = _text(os.pread(fd, _MAX_DESCRIPTOR, 0))
        return _QUOTED.findall(text) if liberal else [*_at_lines(_EXTENT, text), *_at_lines(_PARENT, text)]
    if len(head) < _VMDK4.size:
        raise InputError("not a sound vmdk header: truncated")
    _, _, _, capacity, _, offset, size = _VMDK4.unpack_from(head)
    if offset == 0:
        return []
    if offset * _SECTOR > 1 << 50:
        raise InputError("not a sound vmdk header: place of the descriptor")
    text = _text(os.pread(fd, min(max(size * _SECTOR, 20 * _SECTOR), _MAX_DESCRIPTOR), offset * _SECTOR))
    if liberal:
        return _QUOTED.findall(text)
    # with a capacity the one extent is this file, whatever it was called when it was made
    return [*(_at_lines(_EXTENT, text) if capacity == 0 else []), *_at_lines(_PARENT, text)]


def _qed(fd: int, head: bytes, liberal: bool) -> list[str]:
    if head[:4] != b"QED\0":
        return []
    if len(head) < _QED.size:
        raise InputError("not a sound QED header: truncated")
    features, offset, length = head_fields = (_QED.unpack_from(head)[4], *_QED.unpack_from(head)[9:11])
    if not features & 1 and not (liberal and all(head_fields[1:])):
        return []
    return [_name(fd, offset, length, "QED")]


def _qcow(fd: int, head: bytes, liberal: bool) -> list[str]:
    if head[:4] != b"QFI\xfb":
        return []
    if len(head) < _QCOW1.size:
        raise InputError("not a sound qcow header: truncated")
    _, version, offset, length = _QCOW1.unpack_from(head)
    if version != 1:
        raise InputError(f"a qcow header of version {version} where version 1 is stated")
    return [_name(fd, offset, length, "qcow")] if offset else []


def _name(fd: int, offset: int, length: int, what: str) -> str:
    if length > _MAX_NAME or offset > 1 << 40:
        raise InputError(f"not a sound {what} header: place of the backing file's name")
    return _text(os.pread(fd, length, offset))


def _text(data: bytes) -> str:
    """Names are bytes to the kernel: kept as such."""
    return os.fsdecode(data.partition(b"\0")[0])
