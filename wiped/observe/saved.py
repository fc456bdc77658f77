"""libvirt's saved states: whose RAM is in a `.save` file. The file is keyed by the domain's *name*, so the XML inside is asked for the UUID.

Source: struct _virQEMUSaveHeader in libvirt's src/qemu/qemu_saveimage.h: 16 bytes of magic, then five 32-bit numbers in the host's byte order
(version, length of what follows the header, was-running, compression, offset of a cookie), 56 unused bytes, then the domain's XML, NUL-terminated.
"""

from __future__ import annotations

import os
import struct

from wiped.errors import InputError
from wiped.model.inventory import DomainFacts
from wiped.virt.domain_xml import parse_domain

#: The second magic stands while the state is being written; RAM may be in the file already.
MAGICS = (b"LibvirtQemudSave", b"LibvirtQemudPart")
_NUMBERS = struct.Struct("5I")
HEADER_BYTES = 16 + _NUMBERS.size + 56
#: A larger XML is no domain of libvirt's.
MAX_XML_BYTES = 8 << 20


def read_saved_domain(fd: int) -> DomainFacts:
    """The domain in the head of an open saved state (its disks count as `live`: it is what was running).

    Raises InputError when it is not a saved state that can be understood; OSError when it cannot be read.
    """
    return parse_saved_domain(_read(fd, HEADER_BYTES + MAX_XML_BYTES))


def parse_saved_domain(data: bytes) -> DomainFacts:
    """The domain in the first bytes of a saved state; `data` may be longer or cut off. Raises InputError."""
    if len(data) < HEADER_BYTES or data[:16] not in MAGICS:
        raise InputError("has not the header of libvirt's saved states", where="saved state")
    version, length, *_ = _NUMBERS.unpack_from(data, 16)
    if version > 0xFFFF:  # written on a host of the other byte order: libvirt swaps, and so do we
        length = int.from_bytes(length.to_bytes(4, "little"), "big")
    if not 0 < length <= MAX_XML_BYTES:
        raise InputError("states an impossible length of its XML", where="saved state")
    xml = data[HEADER_BYTES : HEADER_BYTES + length].partition(b"\0")[0]
    return parse_domain(xml, origin="live")


def _read(fd: int, wanted: int) -> bytes:
    """The first bytes of a file, fewer only at its end; first the header alone, so that a file of another kind is not read in megabytes."""
    data = os.pread(fd, 1 << 16, 0)
    if data[:16] not in MAGICS:
        return data
    length = max(_NUMBERS.unpack_from(data, 16)[1], 0) if len(data) >= HEADER_BYTES else 0
    wanted = min(wanted, HEADER_BYTES + length)
    while len(data) < wanted and (more := os.pread(fd, min(wanted - len(data), 1 << 20), len(data))):
        data += more
    return data
