"""The qcow2 header reader: bounded, sceptical, and never crashing on what a guest wrote."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from tests.unit.storage.headers import BACKING_FORMAT, CRYPTO, DATA_FILE, qcow2
from wiped.errors import InputError
from wiped.storage.qcow2 import MAX_HEADER, Qcow2Header, parse_qcow2_header, read_qcow2_header


def test_plain_header() -> None:
    """A version 3 image without backing file."""
    assert parse_qcow2_header(qcow2(size=5 << 30, snapshots=2)) == Qcow2Header(version=3, virtual_size=5 << 30, cluster_bits=16, crypt_method=0, snapshots=2)


@pytest.mark.parametrize("version", [2, 3])
def test_backing_file_and_format(version: int) -> None:
    """Name and stated format of the backing file, in both versions."""
    header = parse_qcow2_header(qcow2(version=version, backing=b"/srv/golden/base.qcow2", backing_format=b"qcow2"))
    assert (header.version, header.backing_file, header.backing_format) == (version, "/srv/golden/base.qcow2", "qcow2")


def test_backing_without_format() -> None:
    """A backing file whose format nobody stated keeps an empty format."""
    header = parse_qcow2_header(qcow2(backing=b"base"))
    assert (header.backing_file, header.backing_format) == ("base", "")


@pytest.mark.parametrize("data", [qcow2(features=4), qcow2(extensions=((DATA_FILE, b"/etc/shadow"),)), qcow2(features=4, extensions=((DATA_FILE, b"x"),))])
def test_external_data_file(data: bytes) -> None:
    """The feature bit or the name alone is enough to call the data external (CVE-2024-32498)."""
    assert parse_qcow2_header(data).external_data


def test_luks_header_place() -> None:
    """The encryption extension gives offset and length of the LUKS header."""
    place = (196608).to_bytes(8, "big") + (2 << 20).to_bytes(8, "big")
    header = parse_qcow2_header(qcow2(crypt=2, extensions=((CRYPTO, place),)))
    assert (header.encrypted, header.luks_length) == (True, 2 << 20)


def test_feature_bits() -> None:
    """Dirty and corrupt are told apart from bits that are unknown to us."""
    header = parse_qcow2_header(qcow2(features=0b11 | 1 << 40 | 1 << 3))
    assert (header.corrupt, header.unknown_features) == (True, 1 << 40)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"QFI\xfb",
        qcow2()[:71],
        qcow2()[:103],
        b"QFI\xfa" + qcow2()[4:],
        qcow2(version=2)[:4] + b"\0\0\0\1" + qcow2(version=2)[8:],
        qcow2()[:4] + b"\0\0\0\4" + qcow2()[8:],
        qcow2(cluster_bits=8),
        qcow2(cluster_bits=22),
        qcow2(crypt=3),
        qcow2(size=2**63),
        qcow2(header_length=96),
        qcow2(cluster_bits=9, header_length=1024),
        qcow2(backing=b"x" * 1024),
        qcow2(backing=b"x", backing_offset=1 << 40),
        qcow2(backing=b"x", backing_offset=50),
        qcow2(backing=b"x", backing_offset=65536, backing_length=10),
        qcow2(backing=b"a\nb", backing_format=b"raw"),
        qcow2(backing=b"\xff\xfe", backing_format=b"raw"),
        qcow2(extensions=((BACKING_FORMAT, b"x" * 16),)),
        qcow2(extensions=((CRYPTO, b"x" * 8),)),
        qcow2(extensions=((0x12345678, b""),))[:108] + (1 << 31).to_bytes(4, "big") + bytes(65536),
        qcow2(extensions=((0x12345678, b"x" * 100),))[:150],
    ],
)
def test_unsound_headers(data: bytes) -> None:
    """Each thing that QEMU would not open is bad input, and never another exception."""
    with pytest.raises(InputError):
        parse_qcow2_header(data)


@given(some.binary(max_size=4096))
@example(qcow2())
def test_any_bytes(data: bytes) -> None:
    """Arbitrary bytes give a header or InputError, whatever they are."""
    with contextlib.suppress(InputError):
        parse_qcow2_header(data)


@given(some.data())
def test_mutated_header(data: some.DataObject) -> None:
    """A sound header with a few changed bytes gives a header or InputError, with names that are bounded and printable."""
    place = (196608).to_bytes(8, "big") * 2
    raw = bytearray(qcow2(backing=b"base.img", backing_format=b"raw", extensions=((CRYPTO, place), (DATA_FILE, b"data")), padding=1024))
    for _ in range(data.draw(some.integers(1, 6))):
        raw[data.draw(some.integers(0, 260))] = data.draw(some.integers(0, 255))
    try:
        header = parse_qcow2_header(bytes(raw))
    except InputError:
        return
    for name in (header.backing_file, header.backing_format, header.data_file):
        assert len(name) <= 1023
        assert name.isprintable() or any(ord(letter) > 127 for letter in name)


def test_read_is_bounded(tmp_path: Path) -> None:
    """From a 1 TiB sparse file only the first cluster is read, and a name near its end is found."""
    path = tmp_path / "big"
    data = qcow2(cluster_bits=21, backing=b"late", backing_format=b"raw", backing_offset=(1 << 21) - 4, padding=0)
    tail_at = data.rindex(b"late")
    path.write_bytes(data[:tail_at])
    with path.open("r+b") as file:
        file.seek((1 << 21) - 4)
        file.write(b"late")
        file.truncate(1 << 40)
    fd = os.open(path, os.O_RDONLY)
    try:
        assert read_qcow2_header(fd).backing_file == "late"
    finally:
        os.close(fd)
    assert MAX_HEADER < 3 << 20
