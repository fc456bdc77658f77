"""The header of a qcow2 file, read with suspicion: a guest may have written it (docs/physics.md 5). Bounded; nothing in it is believed that can be checked.

Source: QEMU's docs/interop/qcow2.txt, and what block/qcow2.c refuses. Only what names other files, and what a certificate tells, is read.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Final

from wiped.errors import InputError, StorageError
from wiped.storage.kernel import translated

MAGIC: Final = b"QFI\xfb"
MAX_NAME: Final = 1023
#: The first cluster is the most that a header and its names may fill: 2 MiB, and a name that begins at its end.
MAX_HEADER: Final = (2 << 20) + MAX_NAME

_V2: Final = struct.Struct(">4sIQIIQIIQQIIQ")
_V3: Final = struct.Struct(">QQQII")
_EXT_BACKING_FORMAT: Final = 0xE2792ACA
_EXT_DATA_FILE: Final = 0x44415441
_EXT_CRYPTO: Final = 0x0537BE77
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED_L2 = (1 << bit for bit in range(5))
_KNOWN: Final = _DIRTY | _CORRUPT | _DATA_FILE | _COMPRESSION | _EXTENDED_L2


@dataclass(frozen=True, slots=True)
class Qcow2Header:
    """What a qcow2 header says. Sizes in bytes; `crypt_method` 0 none, 1 AES, 2 LUKS; `luks_length`: of the LUKS header.

    `unknown_features`: incompatible feature bits that this program does not know. `data_file`: "" when none is named though `external_data` may hold.
    """

    version: int
    virtual_size: int
    cluster_bits: int
    crypt_method: int
    snapshots: int
    backing_file: str = ""
    backing_format: str = ""
    external_data: bool = False
    data_file: str = ""
    luks_length: int = 0
    corrupt: bool = False
    unknown_features: int = 0

    @property
    def encrypted(self) -> bool:
        """Whether the data is encrypted, by whatever method."""
        return self.crypt_method != 0 or self.luks_length != 0


def _bad(reason: str) -> InputError:
    return InputError(f"not a sound qcow2 header: {reason}")


def parse_qcow2_header(data: bytes) -> Qcow2Header:
    """The header at the start of `data` (its first cluster, or as much as there is). Raises InputError for anything that QEMU would not open."""
    if len(data) < _V2.size:
        raise _bad("truncated")
    magic, version, backing_offset, backing_length, cluster_bits, virtual_size, crypt, *_tables, snapshots, _snapshot_table = _V2.unpack_from(data)
    if magic != MAGIC:
        raise _bad("wrong magic")
    if version not in (2, 3):
        raise _bad(f"version {version}")
    if not 9 <= cluster_bits <= 21:
        raise _bad("cluster size")
    if crypt > 2:
        raise _bad("encryption method")
    if virtual_size >= 2**63:
        raise _bad("virtual size")
    cluster = 1 << cluster_bits
    features, length = 0, _V2.size
    if version == 3:
        if len(data) < _V2.size + _V3.size:
            raise _bad("truncated")
        features, _compatible, _autoclear, _refcount_order, length = _V3.unpack_from(data, _V2.size)
        if not _V2.size + _V3.size <= length <= cluster:
            raise _bad("header length")
    if backing_offset and not (length <= backing_offset <= cluster and backing_length <= MAX_NAME):
        raise _bad("place of the backing file's name")
    end = min(backing_offset or cluster, cluster)
    found = _extensions(data, length, end)
    return Qcow2Header(
        version=version,
        virtual_size=virtual_size,
        cluster_bits=cluster_bits,
        crypt_method=crypt,
        snapshots=snapshots,
        backing_file=_name(data, backing_offset, backing_length) if backing_offset and backing_length else "",
        backing_format=found.backing_format,
        external_data=bool(features & _DATA_FILE) or found.has_data_file,
        data_file=found.data_file,
        luks_length=found.luks_length,
        corrupt=bool(features & _CORRUPT),
        unknown_features=features & ~_KNOWN,
    )


@dataclass(slots=True)
class _Extensions:
    backing_format: str = ""
    has_data_file: bool = False
    data_file: str = ""
    luks_length: int = 0


def _extensions(data: bytes, start: int, end: int) -> _Extensions:
    """Walk the header extensions in [start, end). Later ones of a kind win, as in QEMU."""
    found = _Extensions()
    at = start
    while at + 8 <= end:
        if at + 8 > len(data):
            raise _bad("truncated")
        kind, length = struct.unpack_from(">II", data, at)
        at += 8
        if kind == 0:
            break
        if length > end - at:
            raise _bad("an extension longer than the header")
        if kind == _EXT_BACKING_FORMAT:
            if length > 15:
                raise _bad("name of the backing format")
            found.backing_format = _name(data, at, length)
        elif kind == _EXT_DATA_FILE:
            found.has_data_file, found.data_file = True, _name(data, at, length)
        elif kind == _EXT_CRYPTO:
            if length != 16 or at + 16 > len(data):
                raise _bad("place of the encryption header")
            found.luks_length = struct.unpack_from(">QQ", data, at)[1]
        at += (length + 7) & ~7
    return found


def _name(data: bytes, offset: int, length: int) -> str:
    raw = data[offset : offset + length]
    if len(raw) != length:
        raise _bad("truncated")
    raw = raw.partition(b"\0")[0]
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad("a name that is not UTF-8") from error
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise _bad("control characters in a name")
    return name


def read_qcow2_header(fd: int) -> Qcow2Header:
    """The header of an open file; reads at most its first cluster and a name. Raises InputError, StorageError (io-error)."""
    try:
        data = os.pread(fd, 64 << 10, 0)
        if len(data) >= _V2.size and data[:4] == MAGIC:
            cluster_bits = struct.unpack_from(">I", data, 20)[0]
            backing_offset = struct.unpack_from(">Q", data, 8)[0]
            if 16 <= cluster_bits <= 21 and len(data) == 64 << 10:
                wanted = backing_offset + MAX_NAME if backing_offset else 1 << cluster_bits
                if wanted > len(data):
                    data = _read_all(fd, min(wanted, MAX_HEADER))
    except OSError as error:
        raise _failed(error) from error
    return parse_qcow2_header(data)


def _read_all(fd: int, wanted: int) -> bytes:
    data = b""
    while len(data) < wanted and (more := os.pread(fd, wanted - len(data), len(data))):
        data += more
    return data


def _failed(error: OSError) -> Exception:
    failure = translated(error, "the header of an image")
    return failure if isinstance(failure, StorageError) else StorageError(str(failure))
