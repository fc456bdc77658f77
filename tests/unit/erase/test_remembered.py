"""The eraser's own rule for a phone that vanished: what was remembered of it, and no less; every negative rule beside that."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.lab.libvirtfiles import Disk, LibvirtFiles
from tests.unit.erase.host import GONE_LONG_AGO
from wiped.erase.locks import refusals_of
from wiped.erase.ownership import claims_for
from wiped.erase.remembered import read_records
from wiped.errors import RefusedError
from wiped.model.inventory import ArtefactKind, FileIdentity
from wiped.model.policy import StorageRules
from wiped.model.sightings import Memory, RememberedFile
from wiped.record.helper_files import SheetFiles
from wiped.wire.messages import Lock, LockStep

GONE, OTHER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
KIND = ArtefactKind.DISK_IMAGE


@pytest.fixture
def libvirt(tmp_path: Path) -> LibvirtFiles:
    """Directories of a libvirt that knows nobody."""
    return LibvirtFiles(tmp_path / "host")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A file under the root."""
    (tmp_path / "root").mkdir()
    path = tmp_path / "root" / "disk.raw"
    path.write_bytes(b"\0" * 4096)
    return path


def identity(path: Path) -> FileIdentity:
    """As it stands."""
    found = path.stat()
    return FileIdentity(found.st_dev, found.st_ino)


async def remember(libvirt: LibvirtFiles, path: Path, uuid: str = GONE, **changes: object) -> None:
    """As the daemon writes it."""
    file = RememberedFile(KIND, str(path), identity(path), local=True)
    await SheetFiles(libvirt.directories).remember(Memory(uuid, 1, datetime.now(UTC), ""), (replace(file, **changes),))  # type: ignore[arg-type]


def lock(path: Path, kind: ArtefactKind = KIND, **changes: object) -> Lock:
    """The daemon's plan."""
    step = LockStep("a1", kind, str(path), "raw", identity(path), ".wiped-1")
    return replace(Lock("w-1", GONE, "phone", (step,), vanished=True), **changes)  # type: ignore[arg-type]


def codes(libvirt: LibvirtFiles, request: Lock, root: Path, **rules: object) -> list[str]:
    """Why the eraser refuses; [] if it does not."""
    settings = StorageRules(roots=(str(root),), **rules)  # type: ignore[arg-type]
    try:
        return [str(refusal.code) for refusal in refusals_of(request, claims_for(request, settings, libvirt.directories))]
    except RefusedError as error:
        return [str(code) for code in error.codes]


async def test_a_remembered_file_of_a_phone_that_is_gone_may_be_erased(libvirt: LibvirtFiles, disk: Path) -> None:
    """And without the word `vanished` it may not: libvirt's files do not name it."""
    await remember(libvirt, disk)
    assert codes(libvirt, lock(disk), disk.parent) == []
    assert codes(libvirt, lock(disk, vanished=False), disk.parent) != []


async def test_a_phone_that_libvirt_knows_is_not_gone(libvirt: LibvirtFiles, disk: Path) -> None:
    """Defined, running, or told by a snapshot alone."""
    await remember(libvirt, disk)
    libvirt.define("phone", uuid=GONE)
    assert codes(libvirt, lock(disk), disk.parent) == ["drift"]
    os.unlink(libvirt.config / "phone.xml")
    libvirt.status("phone", GONE)
    assert codes(libvirt, lock(disk), disk.parent) == ["drift"]
    os.unlink(libvirt.run / "phone.xml")
    libvirt.snapshot("phone", GONE, [])
    assert codes(libvirt, lock(disk), disk.parent) == ["drift"]


@pytest.mark.parametrize("changes", [{"identity": FileIdentity(1, 1)}, {"location": "/elsewhere"}, {"local": False}, {"kind": ArtefactKind.BLOCK_DEVICE}])
async def test_what_is_not_remembered_so_is_not_the_phones(libvirt: LibvirtFiles, disk: Path, changes: dict[str, object]) -> None:
    """Another inode, another path, a filesystem of others, a device."""
    await remember(libvirt, disk, **changes)
    assert codes(libvirt, lock(disk), disk.parent) == ["ambiguous-base"]


async def test_nothing_remembered_is_nothing_granted(libvirt: LibvirtFiles, disk: Path) -> None:
    """No record at all, or another phone's alone."""
    assert codes(libvirt, lock(disk), disk.parent) == ["ambiguous-base"]
    await remember(libvirt, disk, OTHER)
    assert codes(libvirt, lock(disk), disk.parent) == ["ambiguous-base"]


@pytest.mark.parametrize("by", ["identity", "path"])
async def test_a_file_remembered_of_two_phones_is_nobodys(libvirt: LibvirtFiles, disk: Path, by: str) -> None:
    """By its inode or by its place."""
    await remember(libvirt, disk)
    await remember(libvirt, disk, OTHER, **({"location": "/elsewhere"} if by == "identity" else {"identity": FileIdentity(1, 1)}))
    assert codes(libvirt, lock(disk), disk.parent) == ["shared-by-domain"]


async def test_a_domain_that_picked_it_up_keeps_it(libvirt: LibvirtFiles, disk: Path) -> None:
    """The negative rule stands."""
    await remember(libvirt, disk)
    libvirt.define("heir", [Disk(str(disk), "raw")])
    assert "shared-by-domain" in codes(libvirt, lock(disk), disk.parent)


async def test_protected_places_and_places_outside_stay_so(libvirt: LibvirtFiles, disk: Path, tmp_path: Path) -> None:
    """Memory opens no door."""
    await remember(libvirt, disk)
    assert "protected-root" in codes(libvirt, lock(disk), disk.parent, protected=(str(disk.parent),))
    (tmp_path / "other").mkdir()
    assert "outside-roots" in codes(libvirt, lock(disk), tmp_path / "other")


def _other_writable(path: Path) -> None:
    path.chmod(0o666)


def _no_json(path: Path) -> None:
    path.write_text("{")


def _anothers(path: Path) -> None:
    path.write_text(path.read_text().replace(GONE, OTHER))


def _strange_name(path: Path) -> None:
    (path.parent / "notes.txt").write_text("")


def _a_link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def _negative(path: Path) -> None:
    path.write_text(path.read_text().replace('"inode":', '"inode":-'))


def _no_text(path: Path) -> None:
    path.write_text(re.sub(r'"path":\s*"[^"]*"', '"path":7', path.read_text()))


def _no_word(path: Path) -> None:
    path.write_text(re.sub(r'"local":\s*true', '"local":1', path.read_text()))


def _no_time(path: Path) -> None:
    path.write_text(re.sub(r'"at":"[^"]*"', '"at":"yesterday"', path.read_text()))


def _no_zone(path: Path) -> None:
    path.write_text(re.sub(r'"at":"[^"]*"', '"at":"2026-01-01T00:00:00"', path.read_text()))


def _a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize("spoil", [_no_text, _no_word, _no_time, _no_zone, _a_pipe, _other_writable, _no_json, _anothers, _strange_name, _a_link, _negative])
async def test_a_record_that_cannot_be_trusted_refuses_everything(libvirt: LibvirtFiles, disk: Path, spoil: Callable[[Path], None]) -> None:
    """It may be the one that names the file as another's."""
    await remember(libvirt, disk)
    spoil(libvirt.remembered / f"{GONE}.json")
    assert codes(libvirt, lock(disk), disk.parent) == ["unreadable"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
async def test_the_daemons_user_may_write_records_and_nobody_else(libvirt: LibvirtFiles, disk: Path) -> None:
    """What user `wiped` wrote is read where it is the peer; a stranger's record, or the daemon's own that others can write, refuses everything."""
    await remember(libvirt, disk)
    directories = replace(libvirt.directories, records_uid=64_001)
    settings = StorageRules(roots=(str(disk.parent),))
    record = libvirt.remembered / f"{GONE}.json"
    for path in (libvirt.remembered, record):
        os.chown(path, 64_001, 64_001)
    request = lock(disk)
    assert refusals_of(request, claims_for(request, settings, directories)) == ()
    assert codes(libvirt, request, disk.parent) == ["unreadable"]
    record.chmod(0o620)
    with pytest.raises(RefusedError, match="others than root and the daemon"):
        claims_for(request, settings, directories)
    record.chmod(0o600)
    os.chown(record, 64_002, 64_002)
    with pytest.raises(RefusedError, match="others than root and the daemon"):
        claims_for(request, settings, directories)


async def test_a_secret_is_never_erased_from_memory(libvirt: LibvirtFiles, disk: Path) -> None:
    """Whatever the plan calls it."""
    await remember(libvirt, disk)
    assert codes(libvirt, lock(disk, ArtefactKind.LIBVIRT_SECRET), disk.parent) == ["ambiguous-base"]


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


async def test_a_record_of_another_day_that_was_put_back_without_its_times_is_as_old_as_it_says(libvirt: LibvirtFiles, disk: Path) -> None:
    """`cp -r` gives the copy the time of its copying: the next phone's disk would be older than that."""
    await remember(libvirt, disk)
    record = libvirt.remembered / f"{GONE}.json"
    record.write_text(re.sub(r'"at":"[^"]*"', '"at":"2001-09-09T01:46:40.000000Z"', record.read_text()))
    assert codes(libvirt, lock(disk), disk.parent) == ["ambiguous-base"]


async def test_what_only_the_record_knows_is_never_passed_over(libvirt: LibvirtFiles, disk: Path) -> None:
    """The daemon died between the record and the ledger's commit, and the phone was undefined: no `clear` while a file of the phone stays behind."""
    more = disk.with_name("more.raw")
    more.write_bytes(b"\0" * 4096)
    files = tuple(RememberedFile(KIND, str(path), identity(path), local=True) for path in (disk, more))
    await SheetFiles(libvirt.directories).remember(Memory(GONE, 1, datetime.now(UTC), ""), files)
    assert codes(libvirt, lock(disk), disk.parent) == ["unknown-file"]
    assert codes(libvirt, lock(disk, retained=(identity(more),)), disk.parent) == [], "the plan keeps it, with a word of its own"
    there = identity(more)
    more.rename(disk.with_name("elsewhere"))
    assert codes(libvirt, lock(disk), disk.parent) == []
    more.write_bytes(b"another file")
    assert identity(more) != there
    assert codes(libvirt, lock(disk), disk.parent) == []


@pytest.mark.parametrize("case", ["own", "unremembered", "in-use-of-a-name", "in-another-record", "remote", "not-a-log"])
async def test_a_log_under_a_former_name_is_the_phones_by_its_record(libvirt: LibvirtFiles, case: str) -> None:
    """`virsh domrename` leaves OLDNAME.log: granted where the record knows that very file, and no other domain or record claims it."""
    log = Path(libvirt.directories.logs) / "old-name.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("argv\n")
    libvirt.define("new-name", uuid=GONE)
    if case == "in-use-of-a-name":
        libvirt.define("old-name", uuid=OTHER)
    if case != "unremembered":
        kind = ArtefactKind.DISK_IMAGE if case == "not-a-log" else ArtefactKind.CONSOLE_LOG
        await remember(libvirt, log, kind=kind, local=case != "remote")
    if case == "in-another-record":
        await remember(libvirt, log, OTHER, kind=ArtefactKind.CONSOLE_LOG)
    request = lock(log, ArtefactKind.CONSOLE_LOG, vanished=False, name="new-name")
    claims = claims_for(request, StorageRules(), libvirt.directories)
    found = {str(refusal.code) for refusal in claims.judge(str(log), identity(log))}
    assert found == {"own": set(), "in-use-of-a-name": {"shared-by-domain"}}.get(case, {"ambiguous-base"})


async def test_the_refusal_of_a_record_names_it(libvirt: LibvirtFiles, disk: Path) -> None:
    """With its directory: somebody has to find it."""
    await remember(libvirt, disk)
    record = libvirt.remembered / f"{GONE}.json"
    record.write_text("{")
    with pytest.raises(RefusedError, match=f"^{re.escape(str(record))}: "):
        read_records(str(libvirt.remembered))
    record.unlink()
    os.mkfifo(record, 0o600)
    with pytest.raises(RefusedError, match=f"^{re.escape(str(record))}: "):
        read_records(str(libvirt.remembered))


async def test_what_cannot_be_looked_at_counts_as_still_there(libvirt: LibvirtFiles, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remembered file that the plan passes over: another file in its place is no such file, one that cannot be asked may be."""
    other = disk.with_name("other.raw")
    other.write_bytes(b"\0" * 4096)
    replacement = disk.with_name("older.raw")
    replacement.write_bytes(b"")
    both = [RememberedFile(KIND, str(path), identity(path), local=True) for path in (disk, other)]
    await SheetFiles(libvirt.directories).remember(Memory(GONE, 1, datetime.now(UTC), ""), tuple(both))
    assert codes(libvirt, lock(disk), disk.parent) == ["unknown-file"]
    real = os.lstat

    def denied(path: str) -> os.stat_result:
        if path == str(other):
            raise PermissionError(13, "denied")
        return real(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "lstat", denied)
        assert codes(libvirt, lock(disk), disk.parent) == ["unknown-file"]
    replacement.rename(other)
    assert codes(libvirt, lock(disk), disk.parent) == []


@pytest.mark.parametrize("case", ["a disk among the logs", "a log elsewhere"])
async def test_only_a_log_in_libvirts_own_directory_is_granted_by_its_record(libvirt: LibvirtFiles, tmp_path: Path, case: str) -> None:
    """The same record, for a step of another kind or at another place: not by this rule."""
    log = (tmp_path / "root" / "old.log") if case == "a log elsewhere" else Path(libvirt.directories.logs) / "old.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("argv\n")
    libvirt.define("new-name", uuid=GONE)
    await remember(libvirt, log, kind=ArtefactKind.CONSOLE_LOG)
    kind = ArtefactKind.CONSOLE_LOG if case == "a log elsewhere" else KIND
    claims = claims_for(lock(log, kind, vanished=False, name="new-name"), StorageRules(roots=(str(tmp_path / "root"),)), libvirt.directories)
    assert "ambiguous-base" in {str(refusal.code) for refusal in claims.judge(str(log), identity(log))}


async def test_each_former_log_is_asked_for_by_itself(libvirt: LibvirtFiles) -> None:
    """One that is not remembered does not hide the next; the directory may be named with a slash at its end, and the records be the daemon's."""
    logs = [Path(libvirt.directories.logs) / f"{name}.log" for name in ("stranger", "old-name")]
    for log in logs:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("argv\n")
    libvirt.define("new-name", uuid=GONE)
    await remember(libvirt, logs[1], kind=ArtefactKind.CONSOLE_LOG)
    for path in (libvirt.remembered, libvirt.remembered / f"{GONE}.json"):
        os.chown(path, 4711, -1) if os.geteuid() == 0 else None
    steps = tuple(LockStep(f"a{n}", ArtefactKind.CONSOLE_LOG, str(log), "raw", identity(log), f".wiped-{n}") for n, log in enumerate(logs))
    request = replace(lock(logs[0], ArtefactKind.CONSOLE_LOG, vanished=False, name="new-name"), steps=steps)
    directories = replace(libvirt.directories, logs=f"{libvirt.directories.logs}/", records_uid=4711)
    claims = claims_for(request, StorageRules(), directories)
    assert claims.remembered == {str(logs[1]): identity(logs[1])}


async def test_the_directory_of_records_is_no_link_and_no_file(libvirt: LibvirtFiles, disk: Path) -> None:
    """What is not that directory may hide another phone's record."""
    await remember(libvirt, disk)
    moved = libvirt.remembered.rename(libvirt.remembered.with_name("moved"))
    libvirt.remembered.symlink_to(moved)
    with pytest.raises(RefusedError, match=re.escape(str(libvirt.remembered))) as error:
        read_records(str(libvirt.remembered))
    assert error.value.codes == ("unreadable",)
    libvirt.remembered.unlink()
    libvirt.remembered.write_bytes(b"")
    with pytest.raises(RefusedError, match=re.escape(str(libvirt.remembered))):
        read_records(str(libvirt.remembered))


async def test_records_being_written_do_not_count_and_too_many_are_not_read(libvirt: LibvirtFiles, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a dot before it is not whole yet; so many records are read, and one more refuses with the directory's name."""
    await remember(libvirt, disk)
    (libvirt.remembered / f".{OTHER}.json.new").write_text("half")
    assert list(read_records(str(libvirt.remembered))) == [GONE]
    await remember(libvirt, disk, OTHER)
    monkeypatch.setattr("wiped.erase.remembered._MAX_RECORDS", 2)
    assert list(read_records(str(libvirt.remembered))) == [GONE, OTHER]
    monkeypatch.setattr("wiped.erase.remembered._MAX_RECORDS", 1)
    with pytest.raises(RefusedError, match=rf"^{re.escape(str(libvirt.remembered))}: more than 1 records"):
        read_records(str(libvirt.remembered))


async def test_a_long_record_is_read_to_its_end(libvirt: LibvirtFiles, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several reads, and up to the size of a record, which one byte more is not."""
    files = tuple(RememberedFile(KIND, f"{disk}.{number}", FileIdentity(0, number), local=True) for number in range(9_000))
    await SheetFiles(libvirt.directories).remember(Memory(GONE, 1, datetime.now(UTC), ""), files)
    record = libvirt.remembered / f"{GONE}.json"
    assert record.stat().st_size > 1 << 20
    found = read_records(str(libvirt.remembered))[GONE]
    assert [(file.path, file.identity) for file in found] == [(file.location, file.identity) for file in files]
    monkeypatch.setattr("wiped.erase.remembered._MAX_BYTES", record.stat().st_size)
    assert len(read_records(str(libvirt.remembered))[GONE]) == len(files)
    monkeypatch.setattr("wiped.erase.remembered._MAX_BYTES", record.stat().st_size - 1)
    with pytest.raises(RefusedError, match=re.escape(str(record))):
        read_records(str(libvirt.remembered))
