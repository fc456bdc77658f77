"""Record files that the helpers read."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.clock import START
from wiped.errors import InputError, StorageError
from wiped.model.images import ClassifiedImage
from wiped.model.inventory import ArtefactKind, FileIdentity, LibvirtDirectories
from wiped.model.sightings import Memory, RememberedFile
from wiped.record.helper_files import SheetFiles
from wiped.storage.classified import classified_as, read_classified

IMAGE = ClassifiedImage("/srv/b\udcffse.qcow2", FileIdentity(2, 3), "private", START, "ann")


@pytest.fixture
def places(folder: Path) -> LibvirtDirectories:
    """Directories of a test's own, not made yet."""
    return LibvirtDirectories(classified=str(folder / "wiped" / "classified"), remembered=str(folder / "wiped" / "remembered"))


UUID = "00000000-0000-4000-8000-000000000001"


async def test_a_classified_image_is_what_the_reader_reads(places: LibvirtDirectories) -> None:
    """For this file at this path; classified anew, the last word counts."""
    sheets = SheetFiles(places)
    await sheets.classify(IMAGE)
    found = read_classified(places.classified)
    assert classified_as(found, IMAGE.path, IMAGE.identity) == "private"
    assert classified_as(found, IMAGE.path, FileIdentity(2, 4)) == ""
    await sheets.classify(replace(IMAGE, meaning="golden"))
    assert classified_as(read_classified(places.classified), "/elsewhere", IMAGE.identity) == "golden"
    assert len(os.listdir(places.classified)) == 1


async def test_records_are_for_root_alone(places: LibvirtDirectories) -> None:
    """0600 in a directory 0700, whatever the umask."""
    before = os.umask(0o000)
    try:
        await SheetFiles(places).classify(IMAGE)
    finally:
        os.umask(before)
    (name,) = os.listdir(places.classified)
    assert stat.S_IMODE(os.stat(places.classified).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(os.path.join(places.classified, name)).st_mode) == 0o600


async def test_remembered_files_come_and_go(places: LibvirtDirectories) -> None:
    """One file a phone, replaced as a whole; the same again is not even written; forgetting twice is no error."""
    sheets = SheetFiles(places)
    memory = Memory(UUID, 1, START, "d")
    disk = RememberedFile(ArtefactKind.DISK_IMAGE, "/srv/disk", FileIdentity(1, 2), local=True)
    await sheets.forget(UUID)
    await sheets.remember(memory, (disk,))
    path = Path(places.remembered) / f"{UUID}.json"
    told = json.loads(path.read_bytes())
    assert told["files"] == [{"device": 1, "inode": 2, "kind": "disk-image", "local": True, "path": "/srv/disk"}]
    inode = path.stat().st_ino
    await sheets.remember(memory, (disk,))
    assert path.stat().st_ino == inode
    await sheets.remember(replace(memory, at=START + timedelta(hours=1)), ())
    assert json.loads(path.read_bytes())["files"] == []
    for _ in range(2):
        await sheets.forget(UUID)
    assert os.listdir(places.remembered) == []


async def test_a_directory_that_is_a_link_is_not_followed(places: LibvirtDirectories, folder: Path) -> None:
    """And nothing is written behind it."""
    (folder / "wiped").mkdir()
    (folder / "elsewhere").mkdir()
    (folder / "wiped" / "classified").symlink_to(folder / "elsewhere")
    with pytest.raises(StorageError):
        await SheetFiles(places).classify(IMAGE)
    assert os.listdir(folder / "elsewhere") == []


@pytest.mark.parametrize("uuid", ["", "../../etc/passwd", UUID.upper().replace("0", "A"), UUID + "/x"])
async def test_only_a_uuid_becomes_a_name(places: LibvirtDirectories, uuid: str) -> None:
    """Nothing else does."""
    with pytest.raises(InputError):
        await SheetFiles(places).remember(Memory(uuid, 1, START, ""), ())


async def test_records_are_counted(places: LibvirtDirectories) -> None:
    """Of images and of phones; nothing where there is no directory, and not what is being written."""
    sheets = SheetFiles(places)
    assert await sheets.count() == 0
    await sheets.classify(IMAGE)
    await sheets.remember(Memory(UUID, 1, START, ""), ())
    (Path(places.remembered) / ".half").write_text("")
    assert await sheets.count() == 2
    await sheets.forget(UUID)
    assert await sheets.count() == 1
