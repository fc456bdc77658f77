"""libvirt's own files as the eraser reads them: whole or refused, seen when they change, little work on a full host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.libvirtfiles import Disk, LibvirtFiles
from tests.patience import Work
from tests.unit.erase.test_ownership import QCOW2, codes, image, overlay
from wiped.erase.ownership import read_claims
from wiped.errors import RefusedError
from wiped.model.inventory import LibvirtDirectories
from wiped.storage.kernel import identity_of


def broken(libvirt: LibvirtFiles, how: str) -> None:
    path = libvirt.config / "theirs.xml"
    match how:
        case "garbage":
            path.write_text("<domain><name>x</na")
        case "no uuid":
            path.write_text("<domain><name>x</name></domain>")
        case "another document":
            path.write_text("<network/>")
        case "too large":
            with path.open("wb") as file:
                file.truncate(17 << 20)
        case "pipe":
            os.mkfifo(path)
        case "dangling link":
            path.symlink_to("/nowhere")
        case "entity":
            path.write_text("<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain>&x;</domain>")
        case "status":
            (libvirt.run / "theirs.xml").write_text("<domstatus/>")
        case "snapshot":
            libvirt.snapshot("theirs", "x", []).write_text("<domainsnapshot><name>s</name></domainsnapshot>")
        case "no run":
            (libvirt.run).rmdir()


HOWS = ["garbage", "no uuid", "another document", "too large", "pipe", "dangling link", "entity", "status", "snapshot", "no run"]


@pytest.mark.parametrize("how", HOWS)
def test_a_neighbour_that_cannot_be_understood_refuses_everything(libvirt: LibvirtFiles, images: Path, how: str) -> None:
    """Fail closed: a file of any domain that cannot be read may name ours."""
    uuid = libvirt.define("mine", [Disk(image(images / "d.raw"), "raw")])
    read_claims(libvirt.directories, uuid)
    broken(libvirt, how)
    with pytest.raises(RefusedError) as caught:
        read_claims(libvirt.directories, uuid)
    assert caught.value.codes == ("unreadable",)


@pytest.mark.parametrize(("fmt", "head"), [("cow", b"OOOM"), ("qcow2", QCOW2 + b"\xff" * 100)])
def test_a_neighbours_image_in_doubt_refuses_what_it_may_name(libvirt: LibvirtFiles, images: Path, fmt: str, head: bytes) -> None:
    """Its owner may want back what lay beneath: a file whose name stands in its head is not erased; other phones are."""
    mine, named = image(images / "mine.img"), image(images / "named.raw")
    uuid = libvirt.define("mine", [Disk(mine, "raw"), Disk(named, "raw")])
    image(libvirt.base / "broken", head + b"\xff" * 5000 + b"named.raw" + b"\xff")
    libvirt.define("theirs", [Disk(str(libvirt.base / "broken"), fmt)])
    claims = read_claims(libvirt.directories, uuid)
    assert ["unreadable" in {str(each.code) for each in claims.judge(path, identity_of(os.stat(path)))} for path in (mine, named)] == [False, True]


def test_a_host_without_libvirts_directories_refuses_everything(tmp_path: Path) -> None:
    """Wrong directories would show an empty host, on which everything is ours."""
    nowhere = LibvirtDirectories(*(str(tmp_path / name) for name in "abcd"))
    with pytest.raises(RefusedError) as caught:
        read_claims(nowhere, "11111111-2222-3333-4444-555555555555")
    assert caught.value.codes == ("unreadable",)


def test_names_count_only_from_definitions(libvirt: LibvirtFiles) -> None:
    """A phone that was renamed still has its old name in a snapshot: that name's saved state may be another's by now."""
    uuid = libvirt.define("new-name")
    libvirt.snapshot("old-name", uuid, [])
    libvirt.snapshot("old-name", uuid, []).write_text(
        (libvirt.config / "new-name.xml").read_text().replace("new-name", "old-name").replace("<domain ", "<domainsnapshot><name>s</name><domain ")
        + "</domainsnapshot>"
    )
    other = libvirt.define("old-name")
    save = str(libvirt.saved("old-name", other))
    assert codes(read_claims(libvirt.directories, uuid), save) == ["ambiguous-base", "shared-by-domain"]


def test_changes_are_seen(libvirt: LibvirtFiles, images: Path) -> None:
    """A new, changed or removed file of libvirt makes the answer old."""
    uuid = libvirt.define("mine", [Disk(image(images / "d.raw"), "raw")])
    for change in (
        lambda: libvirt.define("new"),
        lambda: libvirt.define("new", [Disk("/x")]),
        (libvirt.config / "new.xml").unlink,
        lambda: libvirt.status("mine", uuid),
        lambda: libvirt.snapshot("mine", uuid, []),
    ):
        claims = read_claims(libvirt.directories, uuid)
        assert claims.is_current()
        change()
        assert not claims.is_current()


def test_five_hundred_domains_are_little_work(libvirt: LibvirtFiles, images: Path) -> None:
    """A host full of running phones over one golden image, each with a snapshot: a second of an idle machine."""
    golden = image(images / "golden.raw")
    for number in range(500):
        disk = Disk(overlay(images / f"{number}.qcow2", golden))
        uuid = libvirt.define(f"phone-{number}", [disk], log=f"/var/log/x/{number}.log")
        libvirt.status(f"phone-{number}", uuid, [disk])
        libvirt.snapshot(f"phone-{number}", uuid, [disk])
    with Work() as work:
        claims = read_claims(libvirt.directories, uuid)
    assert codes(claims, str(images / "499.qcow2")) == []
    assert codes(claims, golden) == ["ambiguous-base", "shared-by-domain"]
    assert work.units < 200
