"""Names of other files in VMDK, QED and old qcow images: strictly of the phone's own, liberally of others'."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from wiped.errors import InputError
from wiped.model.inventory import FileIdentity
from wiped.storage.foreign import format_by_magic, names_in
from wiped.storage.image_chain import look_at_layer, names_reached

FLAT = '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="twoGbMaxExtentFlat"\n\nRW 4192256 FLAT "{name}" 0\n'
CHILD = '# Disk DescriptorFile\nparentFileNameHint="{name}"\ncreateType="monolithicSparse"\nRW 2048 SPARSE "self.vmdk"\n'


def sparse(descriptor: str, *, capacity: int = 2048, offset: int = 1) -> bytes:
    """A hosted sparse extent with a descriptor in it."""
    head = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, capacity, 128, offset, 20)
    return head.ljust(512, b"\0") + descriptor.encode().ljust(20 * 512, b"\0")


def qed(name: bytes, *, features: int = 1) -> bytes:
    """A QED header with a backing file's name behind it."""
    head = struct.pack("<4sIIIQQQQQII", b"QED\0", 65536, 4, 1, features, 0, 0, 65536, 1 << 30, 100, len(name))
    return (head.ljust(100, b"\0") + name).ljust(4096, b"\0")


def qcow(name: bytes) -> bytes:
    """A header of the first qcow, with a backing file's name behind it."""
    return (struct.pack(">4sIQII", b"QFI\xfb", 1, 48 if name else 0, len(name), 0).ljust(48, b"\0") + name).ljust(4096, b"\0")


def identity(path: Path) -> FileIdentity:
    """Of an existing file."""
    return FileIdentity(path.stat().st_dev, path.stat().st_ino)


CASES = {
    "flat": ("vmdk", FLAT.format(name="victim").encode()),
    "parent": ("vmdk", CHILD.format(name="victim").encode()),
    "embedded-parent": ("vmdk", sparse(CHILD.format(name="victim"))),
    "embedded-as-descriptor": ("vmdk", sparse(FLAT.format(name="victim"), capacity=0)),
    "qed": ("qed", qed(b"victim")),
    "qcow": ("qcow", qcow(b"victim")),
}


@pytest.mark.parametrize("case", CASES)
def test_an_image_that_names_another_file(tmp_path: Path, case: str) -> None:
    """The phone's own is refused, without a look at the other file; a neighbour's protects it, also without stated format."""
    pool = tmp_path.resolve()
    fmt, data = CASES[case]
    (pool / "victim").write_bytes(b"x")
    (pool / "disk").write_bytes(data)
    layer = look_at_layer(str(pool / "disk"), fmt, roots=[str(pool)], protected=[], libvirt_dirs=[])
    assert (layer.problem, "names another file" in layer.detail) == ("external-data-file", True)
    for stated in (fmt, ""):
        reached = names_reached(str(pool / "disk"), stated)
        assert (identity(pool / "victim") in reached.identities, reached.incomplete) == (True, False)
    assert identity(pool / "victim") not in names_reached(str(pool / "disk"), "raw").identities


@pytest.mark.parametrize(
    ("fmt", "data"),
    [
        ("vmdk", sparse(CHILD.split("\n", 2)[2])),
        ("vmdk", sparse("", offset=0)),
        ("vmdk", os.urandom(4096)),
        ("vmdk", b""),
        ("vmdk", b"COWD" + bytes(4092)),
        ("qed", qed(b"", features=0)),
        ("qed", bytes(4096)),
        ("qcow", qcow(b"")),
        ("vhdx", b"vhdxfile" + bytes(4088)),
        ("vpc", b"conectix" + bytes(504)),
    ],
)
def test_an_image_that_names_none(tmp_path: Path, fmt: str, data: bytes) -> None:
    """All in one file (a sparse VMDK names itself), or half wiped: opaque, and complete for others."""
    pool = tmp_path.resolve()
    (pool / "disk").write_bytes(data)
    layer = look_at_layer(str(pool / "disk"), fmt, roots=[str(pool)], protected=[], libvirt_dirs=[])
    assert (layer.problem, layer.under_root) == ("", str(pool))
    assert not names_reached(str(pool / "disk"), fmt).incomplete


@pytest.mark.parametrize(
    ("fmt", "data"),
    [
        ("vmdk", b"KDMV"),
        ("vmdk", sparse("", offset=1 << 60)),
        ("qed", b"QED\0"),
        ("qed", qed(b"x" * 10).replace(struct.pack("<II", 100, 10), struct.pack("<II", 100, 1 << 30))),
        ("qcow", b"QFI\xfb"),
        ("qcow", b"QFI\xfb\0\0\0\3" + bytes(100)),
        ("cow", b"OOOM"),
    ],
)
def test_a_header_that_cannot_be_understood(tmp_path: Path, fmt: str, data: bytes) -> None:
    """The own one is untrusted; a neighbour's is in doubt."""
    pool = tmp_path.resolve()
    (pool / "disk").write_bytes(data)
    with (pool / "disk").open("rb") as file, pytest.raises(InputError):
        names_in(file.fileno(), fmt)
    assert look_at_layer(str(pool / "disk"), fmt, roots=[str(pool)], protected=[], libvirt_dirs=[]).problem == "untrusted-format"
    assert [doubt.place for doubt in names_reached(str(pool / "disk"), fmt).doubts] == [str(pool / "disk")]


def test_liberal_reading_takes_every_string(tmp_path: Path) -> None:
    """Devices, absolute paths, comments: whatever stands in quotes in a neighbour's descriptor is protected."""
    pool = tmp_path.resolve()
    for name in ("one", "two", "three"):
        (pool / name).write_bytes(b"x")
    text = f'# Disk DescriptorFile\nRW 1 VMFS "one"\n# was "{pool}/two"\nddb.comment = "three"\nRW 1 FLAT "/dev/null" 0\n'
    (pool / "disk").write_text(text)
    reached = names_reached(str(pool / "disk"), "vmdk")
    assert {identity(pool / name) for name in ("one", "two", "three")} <= reached.identities
    assert "/dev/null" in reached.paths


def test_magic() -> None:
    """What QEMU's probing would say."""
    heads = [CASES["flat"][1], CASES["embedded-parent"][1], qed(b""), qcow(b""), b"QFI\xfb\0\0\0\3", b"", b"RIFF"]
    assert [format_by_magic(head) for head in heads] == ["vmdk", "vmdk", "qed", "qcow", "qcow2", "", ""]


@pytest.mark.parametrize(
    "part", ["\n", " ", "RW\n", "RW 1 ", "RW 1 FLAT\n", "parentFileNameHint\n", "parentFileNameHint =\n", 'RW 1 FLAT "', '"', "RW 1 " + "x" * 50, "\t\n\r"]
)
@pytest.mark.parametrize("liberal", [False, True])
def test_no_descriptor_takes_more_than_linear_time(tmp_path: Path, part: str, liberal: bool) -> None:
    """As large as QEMU reads it; what took hours ends before the suite's own patience does."""
    text = "# Disk DescriptorFile\n" + part * ((1 << 20) // len(part))
    path = tmp_path / "hostile.vmdk"
    path.write_text(text[: (1 << 20) - 100] + '\nRW 1 FLAT "found.vmdk" 0\n')
    fd = os.open(path, os.O_RDONLY)
    try:
        found = names_in(fd, "vmdk", liberal=liberal)
    finally:
        os.close(fd)
    if not liberal and '"' not in part:
        assert "found.vmdk" in found


def test_an_extent_over_several_lines_is_seen(tmp_path: Path) -> None:
    """QEMU's sscanf takes a line end for white space."""
    path = tmp_path / "lines.vmdk"
    path.write_text('# Disk DescriptorFile\n\n  RW\n 4192256\nFLAT\n\n"data.vmdk" 0\n \n\tparentFileNameHint\n=\n"base.vmdk"\n')
    fd = os.open(path, os.O_RDONLY)
    try:
        assert names_in(fd, "vmdk") == ("data.vmdk", "base.vmdk")
    finally:
        os.close(fd)
