"""The head of libvirt's saved states: whose RAM is in the file. Pure: bytes in, `DomainFacts` out; the one reading of that form for both root helpers.

A managed save (`save/NAME.save`), the file of `virsh save` and the memory file of an external snapshot all begin with it, and the first is keyed by
the domain's *name*, so the XML inside is asked for the UUID. Form (struct _virQEMUSaveHeader, libvirt's src/qemu/qemu_saveimage.h): 16 bytes of magic, then
five 32-bit numbers in the byte order of the host that wrote it (version, length of what follows the header, was-running, compression, offset of a
cookie), 56 unused bytes, then the domain's XML, NUL-terminated.
"""

from __future__ import annotations

import struct
from typing import Final

from wiped.errors import InputError
from wiped.model.inventory import DomainFacts
from wiped.virt import safe_xml
from wiped.virt.domain_xml import parse_domain

#: The second magic stands while the state is being written; RAM may be in the file already.
MAGICS: Final = (b"LibvirtQemudSave", b"LibvirtQemudPart")
_NUMBERS: Final = struct.Struct("5I")
HEADER_BYTES: Final = 16 + _NUMBERS.size + 56
#: A longer XML is no domain of libvirt's.
MAX_XML_BYTES: Final = safe_xml.MAX_BYTES
#: So much of a saved state that is not understood may hold its XML, whose names are then looked for; ordinary XML is a tenth of it.
DOUBTFUL_BYTES: Final = 64 << 10
#: Version 3 came with QEMU's mapped-ram; the header is the same.
_VERSIONS: Final = range(1, 4)


def has_header(data: bytes) -> bool:
    """Whether the first bytes of a file are those of a saved state."""
    return data[:16] in MAGICS


def head_bytes(data: bytes) -> int:
    """How many bytes, from the first on, `parse_saved_state` needs of the file that begins with `data` (at least HEADER_BYTES of it).

    0 for what has not the header or states an impossible length: nothing more of such a file is worth reading.
    """
    if len(data) < HEADER_BYTES or not has_header(data):
        return 0
    version, length = _version_and_length(data)
    return HEADER_BYTES + length if version in _VERSIONS and 0 < length <= MAX_XML_BYTES else 0


def parse_saved_state(data: bytes) -> DomainFacts:
    """The domain in the first bytes of a saved state, whose disks count as `live` (it is what was running). `data` may be longer.

    Raises InputError: no such header, an unknown version, an impossible length, XML that is cut off, absent, or no domain's.
    """
    return parse_domain(saved_xml(data), origin="live")


def saved_xml(data: bytes) -> bytes:
    """The XML in the first bytes of a saved state. Raises InputError for what has not the header of one of a known form."""
    wanted = head_bytes(data)
    if not wanted:
        raise InputError("has not the header of a saved state of a known form", where="saved state")
    return data[HEADER_BYTES:wanted].partition(b"\0")[0]


def doubtful_head(data: bytes) -> bytes:
    """Of a saved state that is not understood (a newer form, damage), all bytes that may be its XML: as many as the header states. b"" where that is no length
    of an XML, or more than DOUBTFUL_BYTES: it may then name any file. `data`: the file's first HEADER_BYTES + DOUBTFUL_BYTES bytes, or all."""
    _, length = _version_and_length(data) if len(data) >= HEADER_BYTES else (0, 0)
    return data[: HEADER_BYTES + length] if 0 < length <= DOUBTFUL_BYTES else b""


def _version_and_length(data: bytes) -> tuple[int, int]:
    version, length, *_ = _NUMBERS.unpack_from(data, 16)
    if version > 0xFFFF:  # written on a host of the other byte order: libvirt swaps, and so do we
        version, length = (int.from_bytes(number.to_bytes(4, "little"), "big") for number in (version, length))
    return version, length
