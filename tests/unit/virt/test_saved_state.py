"""The head of saved states."""

from __future__ import annotations

import struct

import pytest

from wiped.errors import InputError
from wiped.virt.saved_state import DOUBTFUL_BYTES, HEADER_BYTES, MAX_XML_BYTES, doubtful_head, has_header, head_bytes, parse_saved_state, saved_xml

UUID = "5f3c1f9e-0000-4000-8000-0000000000aa"
XML = f"<domain type='qemu'><name>phone</name><uuid>{UUID}</uuid></domain>".encode()


def state(xml: bytes = XML, *, magic: bytes = b"LibvirtQemudSave", version: int = 2, order: str = "=", length: int | None = None) -> bytes:
    """A saved state as libvirt 9.0 writes it: the XML, its NUL, padding, then RAM."""
    padded = xml + b"\0" * 7
    return magic + struct.pack(f"{order}5I", version, len(padded) if length is None else length, 1, 0, 0) + b"\0" * 56 + padded + b"RAM" * 100


@pytest.mark.parametrize("data", [
    state(), state(magic=b"LibvirtQemudPart"), state(version=1), state(version=3), state(order="<"), state(order=">"),
])  # fmt: skip
def test_domain_inside(data: bytes) -> None:
    """Both magics, every version known, either byte order."""
    assert has_header(data)
    assert head_bytes(data[:HEADER_BYTES]) == HEADER_BYTES + len(XML) + 7
    facts = parse_saved_state(data)
    assert (facts.uuid, facts.name) == (UUID, "phone")
    assert parse_saved_state(data[: head_bytes(data)]) == facts


@pytest.mark.parametrize("data", [
    b"", state()[:15], state()[: HEADER_BYTES - 1], state()[:HEADER_BYTES], state()[: HEADER_BYTES + 20], state(magic=b"LibvirtQemudXXXX"),
    state(length=0), state(length=2**32 - 1), state(length=MAX_XML_BYTES + 1), state(version=0), state(version=4), state(version=0xFFFF), state(b"garbage"),
    state(b"\0" + XML), state(length=10), b"QFI\xfb" + bytes(200),
])  # fmt: skip
def test_what_is_no_saved_state(data: bytes) -> None:
    """Cut off, foreign, impossible or of an unknown version: an InputError, and never a length that would have gigabytes read."""
    assert head_bytes(data) <= HEADER_BYTES + MAX_XML_BYTES
    with pytest.raises(InputError):
        parse_saved_state(data)


def test_the_xml_of_one_that_is_not_understood() -> None:
    """Of whatever version, exactly as many bytes as its header states, in either byte order; none where that is no length, or too much to look through."""
    for order in "<>":
        assert doubtful_head(state(version=9, order=order)) == state(version=9, order=order)[: HEADER_BYTES + len(XML) + 7]
    assert saved_xml(state()) == XML
    most = state(version=9, length=DOUBTFUL_BYTES) + bytes(DOUBTFUL_BYTES)
    assert len(doubtful_head(most)) == HEADER_BYTES + DOUBTFUL_BYTES
    for length in (0, DOUBTFUL_BYTES + 1, MAX_XML_BYTES, 0xFFFFFFFF):
        assert doubtful_head(state(version=9, length=length) + bytes(DOUBTFUL_BYTES)) == b""
    assert doubtful_head(state()[: HEADER_BYTES - 1]) == b""
