"""Which files under the roots no domain reaches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fakes.clock import START
from tests.lab.libvirtfiles import LibvirtFiles
from wiped.model.images import ClassifiedImage
from wiped.model.inventory import DiskSource, DomainFacts, FileIdentity
from wiped.model.policy import StorageRules
from wiped.observe.orphans import find_orphans
from wiped.record.helper_files import SheetFiles
from wiped.wire.messages import OrphansFound

UUID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def libvirt(tmp_path: Path) -> LibvirtFiles:
    """Directories of a libvirt."""
    return LibvirtFiles(tmp_path / "host")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one phone's disk and one lost file."""
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    (root / "phone.raw").write_bytes(b"x" * 4096)
    (root / "deep" / "lost.raw").write_bytes(b"x" * 8192)
    return root


def phone(*paths: Path) -> DomainFacts:
    """A domain with these disks."""
    return DomainFacts(UUID, "phone", disks=tuple(DiskSource(f"vd{n}", "file", str(path), "raw") for n, path in enumerate(paths)))


def found(libvirt: LibvirtFiles, root: Path, *domains: DomainFacts, **rules: object) -> OrphansFound:
    """The answer."""
    return find_orphans(domains, StorageRules(roots=(str(root),), **rules), libvirt.directories)  # type: ignore[arg-type]


def names(answer: OrphansFound) -> list[str]:
    """The files alone."""
    return [os.path.basename(item.location) for item in answer.orphans]


def test_what_no_domain_reaches_is_told(libvirt: LibvirtFiles, root: Path) -> None:
    """With size, identity and time; a phone's own disk is not."""
    answer = found(libvirt, root, phone(root / "phone.raw"))
    (lost,) = answer.orphans
    status = (root / "deep" / "lost.raw").stat()
    assert (lost.location, lost.size_bytes, lost.identity) == (str(root / "deep" / "lost.raw"), 8192, FileIdentity(status.st_dev, status.st_ino))
    assert lost.modified.endswith("Z")
    assert not answer.truncated
    assert names(found(libvirt, root)) == ["phone.raw", "lost.raw"]


def test_links_devices_and_other_names_are_no_files_of_their_own(libvirt: LibvirtFiles, root: Path) -> None:
    """A link is not followed, a pipe is nothing, a second name of a phone's disk is the phone's."""
    (root / "link.raw").symlink_to(root / "deep" / "lost.raw")
    (root / "outside").symlink_to("/etc")
    os.mkfifo(root / "pipe")
    os.link(root / "phone.raw", root / "second.raw")
    assert names(found(libvirt, root, phone(root / "phone.raw"))) == ["lost.raw"]


def test_protected_and_golden_images_are_missed_by_nobody(libvirt: LibvirtFiles, root: Path) -> None:
    """A protected root within the root, the whole root protected, and one that a person called golden."""
    domain = phone(root / "phone.raw")
    assert names(found(libvirt, root, domain, protected=(str(root / "deep"),))) == []
    assert names(found(libvirt, root, domain, protected=(str(root),))) == []


async def test_a_classified_golden_image_is_no_orphan(libvirt: LibvirtFiles, root: Path) -> None:
    """A private one is."""
    path = root / "deep" / "lost.raw"
    status = path.stat()
    for meaning, expected in (("golden", []), ("private", ["lost.raw"])):
        await SheetFiles(libvirt.directories).classify(ClassifiedImage(str(path), FileIdentity(status.st_dev, status.st_ino), meaning, START, "ann"))
        assert names(found(libvirt, root, phone(root / "phone.raw"))) == expected


def test_a_listing_has_an_end(libvirt: LibvirtFiles, root: Path) -> None:
    """And says that there is more."""
    rules = StorageRules(roots=(str(root),))
    answer = find_orphans((), rules, libvirt.directories, max_orphans=1)
    assert (len(answer.orphans), answer.truncated) == (1, True)
    assert find_orphans((), rules, libvirt.directories, max_files=1).truncated


def test_a_root_that_is_not_there_holds_nothing(libvirt: LibvirtFiles, root: Path) -> None:
    """No error either."""
    assert found(libvirt, root / "none") == OrphansFound(())


def test_a_file_beneath_a_phones_shared_directory_is_the_phones(libvirt: LibvirtFiles, root: Path) -> None:
    """The guest reaches it."""
    domain = DomainFacts(UUID, "phone", shared_directories=(str(root / "deep"),))
    assert names(found(libvirt, root, domain)) == ["phone.raw"]
