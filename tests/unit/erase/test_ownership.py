"""Whose file is it: libvirt's files of two domains, and every way in which one could reach the other's data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.libvirtfiles import Disk, LibvirtFiles
from wiped.erase.ownership import Claims, read_claims, saved_domain
from wiped.errors import InputError
from wiped.model.inventory import FileIdentity

QCOW2 = b"QFI\xfb"


def image(path: Path, content: bytes = b"raw") -> str:
    path.write_bytes(content.ljust(65536, b"\0"))
    return str(path)


def overlay(path: Path, base: str, base_format: str = "raw") -> str:
    """A minimal qcow2 v2 header with a backing file."""
    name = base.encode()
    extension = b"\xe2\x79\x2a\xca" + len(base_format).to_bytes(4, "big") + base_format.encode().ljust(8, b"\0") + bytes(8)
    at = 72 + len(extension)
    numbers = (2).to_bytes(4, "big") + at.to_bytes(8, "big") + len(name).to_bytes(4, "big") + (16).to_bytes(4, "big") + (1 << 20).to_bytes(8, "big")
    rest = (0).to_bytes(4, "big") + (1).to_bytes(4, "big") + (0x30000).to_bytes(8, "big") + (0x10000).to_bytes(8, "big") + (1).to_bytes(4, "big")
    header = QCOW2 + numbers + rest + (0).to_bytes(4, "big") + (0).to_bytes(8, "big")
    assert len(header) == 72
    return image(path, header + extension + name)


def codes(claims: Claims, path: str) -> list[str]:
    found = os.stat(path)
    return sorted(str(refusal.code) for refusal in claims.judge(path, FileIdentity(found.st_dev, found.st_ino)))


def test_a_phones_own_things_are_its_own(libvirt: LibvirtFiles, images: Path) -> None:
    """Disks of inactive, live and snapshot XML, NVRAM, console log and saved state may be erased."""
    disks = [image(images / name) for name in ("a.qcow2", "live.qcow2", "before.qcow2")]
    nvram, log = image(libvirt.state / "nvram/p_VARS.fd"), image(libvirt.logs / "p-serial.log")
    uuid = libvirt.define("p", [Disk(disks[0])], nvram=nvram, log=log)
    libvirt.status("p", uuid, [Disk(disks[1])])
    libvirt.snapshot("p", uuid, [Disk(disks[2])])
    save = str(libvirt.saved("p", uuid))
    claims = read_claims(libvirt.directories, uuid)
    assert {path: codes(claims, path) for path in [*disks, nvram, log, save]} == {path: [] for path in [*disks, nvram, log, save]}
    assert claims.names == {"p"}


def test_rotated_console_logs_are_their_phones(libvirt: LibvirtFiles, images: Path) -> None:
    """What virtlogd and logrotate rotated away beside a phone's own log is its own; look-alikes are not; a neighbour's is its own, also by a link."""
    (images / "there").symlink_to(images)
    mine, theirs, linked = (str(images / name) for name in ("mine.log", "theirs.log", "there/linked.log"))
    uuid = libvirt.define("mine", log=mine)
    libvirt.define("theirs", log=theirs)
    libvirt.define("third", log=linked)
    own = [image(Path(mine + "." + number)) for number in ("0", "1", "10", "2.gz")]
    strange = [image(Path(mine + "." + ending)) for ending in ("00", "01", "-1", "gz", "²", "0.", "x")]
    claims = read_claims(libvirt.directories, uuid)
    assert [codes(claims, path) for path in own] == [[], [], [], []]
    assert {tuple(codes(claims, path)) for path in strange} == {("ambiguous-base",)}
    assert codes(claims, image(Path(theirs + ".0"))) == ["ambiguous-base", "shared-by-domain"]
    assert codes(claims, image(images / "linked.log.2")) == ["ambiguous-base", "shared-by-domain"]
    libvirt.define("nested", log=own[0])
    assert codes(read_claims(libvirt.directories, uuid), own[0]) == ["shared-by-domain"]


def test_a_log_whose_name_is_a_rotated_one_of_a_neighbour_is_refused(libvirt: LibvirtFiles, images: Path) -> None:
    """A log of ours at a place to which virtlogd rotates a neighbour's log may hold the neighbour's console."""
    uuid = libvirt.define("mine", log=image(images / "console.0"))
    assert codes(read_claims(libvirt.directories, uuid), str(images / "console.0")) == []
    libvirt.define("theirs", log=str(images / "console"))
    assert codes(read_claims(libvirt.directories, uuid), str(images / "console.0")) == ["shared-by-domain"]


def test_a_transient_domain_is_known_by_its_status_alone(libvirt: LibvirtFiles, images: Path) -> None:
    """A domain without configuration file owns what its live status names, and protects it."""
    disk = image(images / "t.raw")
    uuid = "11111111-2222-3333-4444-555555555555"
    libvirt.status("t", uuid, [Disk(disk, "raw")])
    other = libvirt.define("p", [Disk(disk, "raw")])
    assert codes(read_claims(libvirt.directories, uuid), disk) == ["shared-by-domain"]
    assert codes(read_claims(libvirt.directories, other), disk) == ["shared-by-domain"]


def test_a_neighbours_disk_is_refused(libvirt: LibvirtFiles, images: Path) -> None:
    """A plan that names another phone's disk meets the owner's XML."""
    mine, theirs = image(images / "mine.qcow2"), image(images / "theirs.qcow2")
    uuid = libvirt.define("mine", [Disk(mine)])
    libvirt.define("theirs", [Disk(theirs)])
    claims = read_claims(libvirt.directories, uuid)
    assert codes(claims, mine) == []
    assert codes(claims, theirs) == ["ambiguous-base", "shared-by-domain"]


def test_a_file_that_nobody_names_is_refused(libvirt: LibvirtFiles, images: Path) -> None:
    """Not named is not owned, even where nobody else names it."""
    uuid = libvirt.define("mine", [Disk(image(images / "mine.qcow2"))])
    assert codes(read_claims(libvirt.directories, uuid), image(images / "stray.qcow2")) == ["ambiguous-base"]


def test_a_header_grants_nothing(libvirt: LibvirtFiles, images: Path) -> None:
    """The base that only the overlay's header names is not the phone's: a guest can write headers."""
    base = image(images / "base.raw")
    top = overlay(images / "top.qcow2", base)
    uuid = libvirt.define("mine", [Disk(top)])
    claims = read_claims(libvirt.directories, uuid)
    assert codes(claims, top) == []
    assert codes(claims, base) == ["ambiguous-base"]


def test_a_neighbours_overlay_protects_its_base(libvirt: LibvirtFiles, images: Path) -> None:
    """A disk of ours on which another phone's chain stands is not ours alone."""
    base = image(images / "base.raw")
    uuid = libvirt.define("mine", [Disk(base, "raw")])
    assert codes(read_claims(libvirt.directories, uuid), base) == []
    middle = overlay(images / "middle.qcow2", base)
    libvirt.define("theirs", [Disk(overlay(images / "top.qcow2", middle, "qcow2"))])
    assert codes(read_claims(libvirt.directories, uuid), base) == ["shared-by-domain"]


def test_a_neighbours_snapshot_protects(libvirt: LibvirtFiles, images: Path) -> None:
    """What only a snapshot of another domain names is still that domain's."""
    disk = image(images / "d.qcow2")
    uuid = libvirt.define("mine", [Disk(disk)])
    libvirt.snapshot("theirs", libvirt.define("theirs"), [Disk(disk)])
    assert codes(read_claims(libvirt.directories, uuid), disk) == ["shared-by-domain"]


def test_a_link_to_our_disk_in_a_neighbours_xml_protects(libvirt: LibvirtFiles, images: Path) -> None:
    """Another spelling of the path is the same file."""
    disk = image(images / "d.raw")
    (images / "link").symlink_to(disk)
    uuid = libvirt.define("mine", [Disk(disk, "raw")])
    libvirt.define("theirs", [Disk(str(images / "link"), "raw")])
    assert codes(read_claims(libvirt.directories, uuid), disk) == ["shared-by-domain"]


@pytest.mark.parametrize(
    "devices",
    [
        "<serial type='file'><source path='{}'/></serial>",
        "<filesystem type='mount'><source dir='{folder}'/><target dir='x'/></filesystem>",
        "<disk type='dir' device='floppy'><driver type='fat'/><source dir='{folder}'/><target dev='fda'/></disk>",
        "<controller type='scsi'><x:arg xmlns:x='y' value='-drive' other='file={},format=raw'/></controller>",
        "<disk type='file'><driver type='raw'/><source file='/nowhere'/><mirror type='file' file='{}'><source file='{}'/></mirror><target dev='vdz'/></disk>",
        "<memory model='nvdimm'><source><path>{}</path></source></memory>",
    ],
    ids=["console", "virtiofs", "vvfat", "arguments", "mirror", "nvdimm"],
)
def test_any_mention_by_a_neighbour_protects(libvirt: LibvirtFiles, images: Path, devices: str) -> None:
    """Every other way in which another domain's XML reaches a file counts."""
    disk = image(images / "d.raw")
    uuid = libvirt.define("mine", [Disk(disk, "raw")])
    libvirt.define("theirs", devices=devices.replace("{}", disk).replace("{folder}", str(images)))
    assert codes(read_claims(libvirt.directories, uuid), disk) == ["shared-by-domain"]


def test_a_neighbours_volume_of_a_pool_protects(libvirt: LibvirtFiles, images: Path) -> None:
    """A disk given as pool and volume is resolved from the storage driver's own files."""
    disk = image(images / "d.raw")
    uuid = libvirt.define("mine", [Disk(disk, "raw")])
    volume = "<disk type='volume' device='disk'><driver type='raw'/><source pool='p' volume='d.raw'/><target dev='vda'/></disk>"
    libvirt.define("theirs", devices=volume)
    assert codes(read_claims(libvirt.directories, uuid), disk) == ["unreadable"]
    libvirt.define("theirs", devices=volume.replace("d.raw", "other.raw"))
    assert codes(read_claims(libvirt.directories, uuid), disk) == []
    libvirt.define("theirs", devices=volume)
    libvirt.pool("p", str(images))
    assert codes(read_claims(libvirt.directories, uuid), disk) == ["shared-by-domain"]


def test_our_own_volume_of_a_pool_is_ours(libvirt: LibvirtFiles, images: Path) -> None:
    """The same resolution serves the positive rule."""
    disk = image(images / "d.raw")
    volume = "<disk type='volume' device='disk'><driver type='raw'/><source pool='p' volume='d.raw'/><target dev='vda'/></disk>"
    uuid = libvirt.define("mine", devices=volume)
    libvirt.pool("p", str(images))
    assert codes(read_claims(libvirt.directories, uuid), disk) == []


@pytest.mark.parametrize(
    ("disk", "code"),
    [
        (Disk("", extra="<readonly/>"), "ambiguous-base"),
        (Disk("", device="cdrom"), "ambiguous-base"),
        (Disk("", device="floppy"), "ambiguous-base"),
        (Disk("", extra="<shareable/>"), "shareable-disk"),
    ],
    ids=["readonly", "cdrom", "floppy", "shareable"],
)
def test_media_are_lent(libvirt: LibvirtFiles, images: Path, disk: Disk, code: str) -> None:
    """Read-only media and shareable disks are never erased, even if the phone names the same file as a disk of its own too."""
    path = image(images / "media")
    uuid = libvirt.define("mine", [Disk(path, "raw"), Disk(path, "raw", disk.device, disk.extra)])
    assert codes(read_claims(libvirt.directories, uuid), path) == [code]


def test_a_neighbours_saved_state_is_refused(libvirt: LibvirtFiles) -> None:
    """`save/NAME.save` belongs to the domain of that name, and to nobody else."""
    uuid = libvirt.define("mine")
    theirs = libvirt.define("theirs")
    save = str(libvirt.saved("theirs", theirs))
    claims = read_claims(libvirt.directories, uuid)
    assert codes(claims, save) == ["ambiguous-base", "shared-by-domain"]
    assert claims.is_save(save)


def test_disks_in_a_neighbours_saved_state_are_protected(libvirt: LibvirtFiles, images: Path) -> None:
    """A restore goes by the XML in the saved state, so its disks count."""
    disk = image(images / "d.raw")
    uuid = libvirt.define("mine", [Disk(disk, "raw")])
    libvirt.saved("theirs", libvirt.define("theirs"), [Disk(disk, "raw")])
    assert codes(read_claims(libvirt.directories, uuid), disk) == ["shared-by-domain"]


def test_a_half_wiped_saved_state_of_a_neighbour_stops_nobody(libvirt: LibvirtFiles, images: Path) -> None:
    """Another wipe in progress must not refuse ours."""
    disk = image(images / "d.raw")
    uuid = libvirt.define("mine", [Disk(disk, "raw")])
    image(libvirt.state / "save/theirs.save", os.urandom(8192))
    assert codes(read_claims(libvirt.directories, uuid), disk) == []


def test_the_uuid_inside_a_saved_state(libvirt: LibvirtFiles, tmp_path: Path) -> None:
    """The header tells whose state it is; something else has none; a header without XML is an error."""
    cases = {"state": libvirt.saved("p", "11111111-2222-3333-4444-555555555555"), "other": tmp_path / "other", "cut": tmp_path / "cut"}
    cases["other"].write_bytes(os.urandom(8192))
    cases["cut"].write_bytes(cases["state"].read_bytes()[:200])
    found = {}
    for name, path in cases.items():
        with path.open("rb") as file:
            try:
                facts = saved_domain(file.fileno())
                found[name] = facts.uuid if facts else "none"
            except InputError:
                found[name] = "error"
    assert found == {"state": "11111111-2222-3333-4444-555555555555", "other": "none", "cut": "error"}
