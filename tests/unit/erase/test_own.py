"""What a phone's own XML and UUID make its own: media, TPM state, secrets, shared directories, private bases."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.lab.libvirtfiles import Disk
from tests.unit.erase.host import GONE_LONG_AGO, KEY, MINE, THEIRS, TPM, Host, both, encrypted, judged, share
from tests.unit.erase.test_ownership import image, overlay


def test_tpm_state_goes_by_the_directory_of_the_uuid(host: Host) -> None:
    """Everything in swtpm/UUID is the phone's; another's directory is another's, defined or not, whatever an XML says."""
    own, other = (host.file(f"{host.files.swtpm}/{uuid}/tpm2/tpm2-00.permall") for uuid in (MINE, THEIRS))
    lock, gone = host.file(f"{host.files.swtpm}/{MINE}/tpm2/.lock"), host.file(f"{host.files.swtpm}/{KEY}/tpm2/tpm2-00.permall")
    both(host, devices=TPM, log=other)
    assert [host.codes(path) for path in (own, lock)] == [[], []]
    assert [host.codes(path) for path in (other, gone)] == [["ambiguous-base", "shared-by-domain"]] * 2


def test_a_snapshots_memory_file_needs_the_uuid_inside(host: Host) -> None:
    """The XML names it; whose RAM it is tells only the header, as with a managed save."""
    memory = image(host.images / "s1.mem")
    both(host)
    host.files.snapshot("mine", MINE, [], memory=memory)
    claims = host.claims()
    assert judged(claims, memory) == []
    assert claims.needs_uuid_inside(memory)
    assert not claims.needs_uuid_inside(f"{host.files.logs}/mine.log")
    host.files.snapshot("theirs", THEIRS, [], memory=memory)
    assert host.codes(memory) == ["shared-by-domain"]


@pytest.mark.parametrize("named", ["uuid", "usage", "volume"])
def test_a_secret_of_this_phones_alone(host: Host, named: str) -> None:
    """Named by the phone's XML, by UUID or usage, or made for the phone's own volume."""
    disk = image(host.images / "d.luks")
    value = host.files.secret(KEY, usage=("volume", disk))
    secret = {"uuid": f"<secret type='passphrase' uuid='{KEY.upper()}'/>", "usage": f"<secret type='passphrase' usage='{disk}'/>", "volume": ""}[named]
    both(host, devices=encrypted(disk, secret))
    assert host.codes(value) == []
    assert host.codes(value, THEIRS) == ["ambiguous-base", "shared-by-domain"]
    assert host.codes(value.with_suffix(".xml")) == ["ambiguous-base"]


def test_no_xml_makes_a_key_a_console_log(host: Host) -> None:
    """In libvirt's own places only the grant of that very kind counts."""
    value = host.files.secret(KEY)
    document = host.file(f"{host.files.state}/snapshot/gone/s.txt")
    save = host.file(f"{host.files.state}/save/gone.save")
    for path in (str(value), document, save):
        host.files.define("mine", [Disk(path, "raw")], uuid=MINE, log=path)
        assert host.codes(path) == ["ambiguous-base"]


@pytest.mark.parametrize(
    ("name", "expected"), [(f"seed-{MINE}.iso", []), (f"{MINE}/seed.iso", []), ("seed.iso", ["ambiguous-base"]), (f"{THEIRS}.iso", ["ambiguous-base"])]
)
@pytest.mark.parametrize("device", ["cdrom", "disk"])
def test_a_medium_that_bears_the_uuid_is_the_phones_seed(host: Host, device: str, name: str, expected: list[str]) -> None:
    """A CD or read-only disk is shared install media unless its name, or its directory's, has this phone's UUID."""
    (host.images / name).parent.mkdir(exist_ok=True)
    medium = image(host.images / name)
    both(host, disks=[Disk(medium, "raw", device, "<readonly/>")])
    assert host.codes(medium) == expected


@pytest.mark.parametrize(("extra", "expected"), [("", []), ("<readonly/>", ["ambiguous-base"])])
def test_a_memory_device_that_is_a_file_is_the_phones_own(host: Host, extra: str, expected: list[str]) -> None:
    """NVDIMM: what the guest writes there stays in the file; one that it may only read is as any medium."""
    pmem = image(host.images / "pstore.img")
    both(host, devices=f"<memory model='nvdimm'><source><path>{pmem}</path></source>{extra}<target><size unit='MiB'>1</size></target></memory>")
    assert host.codes(pmem) == expected


def test_a_medium_classified_private_is_erased_and_golden_never(host: Host) -> None:
    """What people settled, for exactly that file: another file under the same path is not meant."""
    medium = image(host.images / "seed.iso")
    both(host, disks=[Disk(medium, "raw", "cdrom")])
    assert host.codes(medium) == ["ambiguous-base"]
    record = host.files.classify(medium, "private")
    assert host.codes(medium) == []
    record.unlink()
    host.files.classify(medium, "golden")
    assert host.codes(medium) == ["ambiguous-base", "protected-root"]
    Path(image(host.images / "another.iso")).rename(medium)  # made while the other was there: an inode number is given again
    assert host.codes(medium) == ["ambiguous-base"]


def test_files_in_a_directory_that_the_guest_may_write(host: Host) -> None:
    """All of them, at any depth; not of a read-only one, not outside the roots, and never of a root itself."""
    folder, readonly, outside = host.images / "share", host.images / "readonly", host.files.base / "outside"
    for each in (folder, readonly, outside):
        (each / "a/b").mkdir(parents=True)
    both(host, devices=share(folder) + share(readonly, "<readonly/>") + share(outside) + share(host.images))
    paths = [image(each / "a/b/file") for each in (folder, readonly, outside)]
    assert [host.codes(path) for path in (*paths, image(host.images / "top"))] == [[], ["ambiguous-base"], ["ambiguous-base"], ["ambiguous-base"]]


def chained(host: Host, *, fmt: str = "qcow2") -> tuple[str, str, str]:
    base = image(host.images / "base.raw")
    middle = overlay(host.images / "middle.qcow2", base)
    top = overlay(host.images / "top.qcow2", middle, "qcow2")
    both(host, disks=[Disk(top, fmt)])
    return top, middle, base


def test_a_private_base_needs_both_the_chain_and_the_classification(host: Host) -> None:
    """A header alone grants nothing, nor does a record alone."""
    top, middle, base = chained(host)
    stray = image(host.images / "stray.raw")
    assert [host.codes(path) for path in (top, middle, base)] == [[], ["ambiguous-base"], ["ambiguous-base"]]
    host.files.classify(base, "private")
    host.files.classify(stray, "private")
    assert [host.codes(path) for path in (top, middle, base, stray)] == [[], ["ambiguous-base"], [], ["ambiguous-base"]]
    host.files.define("theirs", [Disk(middle)], uuid=THEIRS)
    assert host.codes(base) == ["shared-by-domain"]


@pytest.mark.parametrize("how", ["raw", "two formats", "no backing format", "another's disk"])
def test_a_chain_that_is_not_stated_proves_nothing(host: Host, how: str) -> None:
    """A guest can write a qcow2 header into its raw disk, and a base into a header without format."""
    _top, _middle, base = chained(host)
    host.files.classify(base, "private")
    top = str(host.images / "top.qcow2")
    match how:
        case "raw":
            host.files.define("mine", [Disk(top, "raw")], uuid=MINE)
        case "two formats":
            host.files.snapshot("mine", MINE, [Disk(top, "raw")])
        case "no backing format":
            top = overlay(host.images / "x.qcow2", base, "")
            host.files.define("mine", [Disk(top)], uuid=MINE)
        case "another's disk":
            host.files.define("mine", [Disk(top, "qcow2", "disk", "<readonly/>")], uuid=MINE)
    assert host.codes(base) == ["ambiguous-base"]


def test_a_base_stays_known_while_its_overlays_are_erased(host: Host) -> None:
    """Within one connection by what was found before; after a crash by the classification, once the overlay's header is gone."""
    top, middle, base = chained(host)
    host.files.classify(base, "private")
    before = host.claims()
    Path(top).write_bytes(os.urandom(65536))
    Path(middle).unlink()
    assert judged(host.claims(previous=before), base) == []
    assert host.codes(base) == ["ambiguous-base"]
    assert host.codes(base, resumed=True) == []
    host.files.define("theirs", [Disk(base, "raw")], uuid=THEIRS)
    assert host.codes(base, resumed=True) == ["shared-by-domain"]


def test_a_resumed_wipe_with_its_chain_whole_grants_no_other_base(host: Host) -> None:
    """Where the phone's own chain still stands and does not lead to a private base, that base is not this phone's."""
    chained(host)
    stray = image(host.images / "stray.raw")
    host.files.classify(stray, "private")
    assert host.codes(stray, resumed=True) == ["ambiguous-base"]


def remember(host: Host, uuid: str, *paths: str) -> None:
    folder = host.files.base / "var/lib/wiped/remembered"
    folder.mkdir(parents=True, exist_ok=True)
    found = [(path, os.stat(path)) for path in paths]
    files = [{"kind": "backing-private", "path": path, "device": each.st_dev, "inode": each.st_ino, "local": True} for path, each in found]
    (folder / f"{uuid}.json").write_text(json.dumps({"uuid": uuid, "at": "2026-01-01T00:00:00Z", "files": files}))
    (folder / f"{uuid}.json").chmod(0o600)


def test_a_resumed_wipe_goes_by_what_was_remembered_of_a_base(host: Host) -> None:
    """With the chain gone, a base that was another phone's stays, and so does one that is not in this phone's own record."""
    top, _middle, base = chained(host)
    host.files.classify(base, "private")
    Path(top).write_bytes(os.urandom(65536))
    assert host.codes(base, resumed=True) == []
    remember(host, THEIRS, base)
    assert host.codes(base, resumed=True) == ["ambiguous-base"]
    remember(host, THEIRS)
    remember(host, MINE, base)
    assert host.codes(base, resumed=True) == []
    remember(host, MINE, top)
    assert host.codes(base, resumed=True) == ["ambiguous-base"]


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
