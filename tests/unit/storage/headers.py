"""Builds qcow2 headers byte by byte, sound and unsound, from the format's specification (independently of the reader)."""

from __future__ import annotations

import struct

BACKING_FORMAT = 0xE2792ACA
DATA_FILE = 0x44415441
CRYPTO = 0x0537BE77


def qcow2(
    *,
    version: int = 3,
    size: int = 1 << 30,
    cluster_bits: int = 16,
    backing: bytes = b"",
    backing_format: bytes = b"",
    features: int = 0,
    crypt: int = 0,
    snapshots: int = 0,
    extensions: tuple[tuple[int, bytes], ...] = (),
    header_length: int = 104,
    backing_offset: int | None = None,
    backing_length: int | None = None,
    padding: int = 65536,
) -> bytes:
    """A qcow2 header and what belongs to its first cluster, padded with zeros."""
    tail = b""
    for kind, body in (*(((BACKING_FORMAT, backing_format),) if backing_format else ()), *extensions):
        tail += struct.pack(">II", kind, len(body)) + body.ljust((len(body) + 7) & ~7, b"\0")
    tail += bytes(8)
    start = header_length if version == 3 else 72
    where = backing_offset if backing_offset is not None else (start + len(tail) if backing else 0)
    length = backing_length if backing_length is not None else len(backing)
    head = b"QFI\xfb" + struct.pack(">IQIIQIIQQIIQ", version, where, length, cluster_bits, size, crypt, 16, 196608, 65536, 1, snapshots, 0)
    if version == 3:
        head += struct.pack(">QQQII", features, 0, 0, 4, header_length)
    return (head.ljust(start, b"\0") + tail + backing).ljust(padding, b"\0")
