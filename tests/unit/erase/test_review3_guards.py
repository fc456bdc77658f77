"""Review of issue 3's guards: other phones' templated files, credentials of storage elsewhere, inodes that were given to a new file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.libvirtfiles import Disk, LibvirtFiles
from tests.unit.erase.test_kinds import KEY, MINE, THEIRS, Host, encrypted
from tests.unit.erase.test_ownership import image, overlay
from tests.unit.erase.test_remembered import codes, lock, remember

GONE_LONG_AGO = 1_000_000_000


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "images").mkdir()
    return Host(LibvirtFiles(tmp_path / "libvirt"), tmp_path / "images")


@pytest.mark.parametrize("template", ["extra_artefacts", "phone_directories"])
@pytest.mark.parametrize("named", ["disk", "shared"])
def test_what_a_template_makes_another_phones_is_not_this_phones(host: Host, template: str, named: str) -> None:
    """By its own XML as a disk, or within a directory that it shares with its guest; whether or not libvirt knows the other phone."""
    held = f"{host.images}/kept/{{uuid}}"
    host.rules = {template: (held if template == "phone_directories" else f"{held}/*.img",)}
    (host.images / "kept" / THEIRS).mkdir(parents=True)
    path = image(host.images / "kept" / THEIRS / "backup.img")
    mine = {
        "disk": Disk(path, "raw").xml(0),
        "shared": f"<filesystem type='mount'><source dir='{host.images}/kept'/><target dir='k'/></filesystem>",
    }[named]
    host.files.define("mine", uuid=MINE, devices=mine)
    assert "shared-by-domain" in host.codes(path)


@pytest.mark.parametrize("kind", ["ceph", "iscsi", "tls"])
def test_credentials_of_storage_elsewhere_are_the_hosts(host: Host, kind: str) -> None:
    """Named by this phone alone, today: what opens a cluster, a target or a connection is not the phone's own data."""
    value = host.files.secret(KEY, usage=(kind, "cluster"))
    host.files.define("mine", uuid=MINE, devices=f"<disk type='network'><auth><secret type='{kind}' uuid='{KEY}'/></auth></disk>")
    assert host.codes(value) != []


def test_a_volumes_passphrase_stays_the_phones(host: Host) -> None:
    """The same by a secret without usage, and of a volume."""
    disk = image(host.images / "d.luks")
    for usage in (("", ""), ("volume", disk), ("vtpm", "phone")):
        value = host.files.secret(KEY, usage=usage)
        host.files.define("mine", uuid=MINE, devices=encrypted(disk, f"<secret type='passphrase' uuid='{KEY}'/>"))
        assert host.codes(value) == []


def test_a_base_made_after_the_classification_is_another(host: Host) -> None:
    """A golden image published under the path, and the inode, of one that was called private and wiped long ago."""
    base = image(host.images / "base.raw")
    record = host.files.classify(base, "private")
    host.files.define("mine", [Disk(overlay(host.images / "top.qcow2", base))], uuid=MINE)
    assert host.codes(base) == []
    os.utime(record, (GONE_LONG_AGO, GONE_LONG_AGO))
    assert host.codes(base) == ["ambiguous-base"]


def test_a_medium_made_after_the_classification_is_another(host: Host) -> None:
    """The same of a CD."""
    medium = image(host.images / "seed.iso")
    record = host.files.classify(medium, "private")
    host.files.define("mine", [Disk(medium, "raw", "cdrom", "<readonly/>")], uuid=MINE)
    assert host.codes(medium) == []
    os.utime(record, (GONE_LONG_AGO, GONE_LONG_AGO))
    assert host.codes(medium) == ["ambiguous-base"]


def test_golden_stays_golden(host: Host) -> None:
    """Whatever the age of the record: it protects."""
    disk = image(host.images / "d.raw")
    os.utime(host.files.classify(disk, "golden"), (GONE_LONG_AGO, GONE_LONG_AGO))
    host.files.define("mine", [Disk(disk, "raw")], uuid=MINE)
    assert "protected-root" in host.codes(disk)


async def test_a_file_made_after_a_phone_vanished_is_not_that_phones(tmp_path: Path) -> None:
    """The next phone's disk, not defined yet, under the path and the inode number of the one that was deleted."""
    libvirt = LibvirtFiles(tmp_path / "host")
    (tmp_path / "root").mkdir()
    disk = tmp_path / "root" / "slot-1.raw"
    disk.write_bytes(b"\0" * 4096)
    await remember(libvirt, disk)
    assert codes(libvirt, lock(disk), disk.parent) == []
    (record,) = Path(libvirt.directories.remembered).iterdir()
    os.utime(record, (GONE_LONG_AGO, GONE_LONG_AGO))
    assert codes(libvirt, lock(disk), disk.parent) == ["ambiguous-base"]


def test_a_saved_state_under_this_phones_name_tells_what_its_owner_reaches(host: Host) -> None:
    """A hot-plugged disk that only the other's saved state names."""
    disk = image(host.images / "d.raw")
    host.files.define("mine", [Disk(disk, "raw")], uuid=MINE)
    host.files.define("theirs", uuid=THEIRS)
    save = host.files.saved("mine", THEIRS, [Disk(disk, "raw")])
    assert "shared-by-domain" in host.codes(disk)
    assert "shared-by-domain" in host.codes(save)
