"""The verdict on one file or device: golden, protected, claimed by the kernel, or the phone's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.lab.libvirtfiles import Disk
from tests.unit.erase.host import GONE_LONG_AGO, KEY, MINE, THEIRS, Host, block, both, device_codes
from tests.unit.erase.test_ownership import image
from wiped.erase.claims import Claims
from wiped.errors import RefusedError
from wiped.model.inventory import BlockFacts, FileIdentity
from wiped.model.plan import RefusalCode


def test_a_disk_classified_golden_is_never_erased(host: Host) -> None:
    """Under no name: the record's file is meant, wherever the XML finds it."""
    disk = image(host.images / "d.raw")
    both(host, disks=[Disk(disk, "raw")])
    host.files.classify(disk, "golden")
    assert host.codes(disk) == ["protected-root"]


def test_a_classification_that_cannot_be_read_refuses_everything(host: Host) -> None:
    """It may be the one that says golden."""
    both(host, disks=[Disk(image(host.images / "d.raw"), "raw")])
    host.files.classify(host.images / "d.raw", "golden").write_text("{")
    with pytest.raises(RefusedError) as caught:
        host.claims()
    assert caught.value.codes == ("unreadable",)


def test_a_protected_root_that_was_replaced_by_a_link_refuses_everything(host: Host) -> None:
    """What it protected may stand under any name now."""
    golden = host.files.base / "golden"
    golden.mkdir()
    both(host)
    host.rules = {"protected": (str(golden),)}
    host.claims()
    golden.rmdir()
    golden.symlink_to(host.images)
    with pytest.raises(RefusedError) as caught:
        host.claims()
    assert caught.value.codes == ("symlink",)


def test_a_device_must_be_a_disk_of_type_block_and_unclaimed(host: Host) -> None:
    """As the XML says; whatever sysfs tells of others who have it stands against it; so does a neighbour who reaches the file behind it."""
    behind = image(host.images / "behind.img")
    disk = "<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/vg/mine'/><target dev='vda'/></disk>"
    both(host, devices=disk, disks=[Disk("/dev/vg/file", "raw")])
    claims = host.claims()
    found = os.stat(behind)
    alias = frozenset({FileIdentity(found.st_dev, found.st_ino)})
    assert device_codes(claims, "/dev/vg/mine", block()) == []
    assert device_codes(claims, "/dev/vg/file", block()) == ["not-regular"]
    assert device_codes(claims, "/dev/vg/mine", block(claims=(("mounted", "at /srv"), ("in-use", "held")))) == ["in-use", "mounted"]
    assert device_codes(claims, "/dev/vg/mine", block(backing=behind), alias) == []
    host.files.define("theirs", [Disk(behind, "raw")], uuid=THEIRS)
    assert device_codes(host.claims(), "/dev/vg/mine", block(backing=behind), alias) == ["shared-by-domain"]


def test_a_neighbours_volume_that_may_be_any_device_protects_all_devices(host: Host) -> None:
    """An iSCSI pool names its volumes by unit: which device that is, the pool's file does not say."""
    host.files.pool("p", "/dev/disk/by-path").write_text("<pool type='iscsi'><name>p</name><target><path>/dev/disk/by-path</path></target></pool>")
    volume = "<disk type='volume' device='disk'><driver type='raw'/><source pool='p' volume='unit:0:0:1'/><target dev='vda'/></disk>"
    disk = "<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/vg/mine'/><target dev='vda'/></disk>"
    file = image(host.images / "d.raw")
    both(host, devices=disk, disks=[Disk(file, "raw")])
    assert device_codes(host.claims(), "/dev/vg/mine", block()) == []
    host.files.define("theirs", uuid=THEIRS, devices=volume)
    assert device_codes(host.claims(), "/dev/vg/mine", block()) == ["unreadable"]
    assert host.codes(file) == []


def test_golden_stays_golden(host: Host) -> None:
    """Whatever the age of the record: it protects."""
    disk = image(host.images / "d.raw")
    os.utime(host.files.classify(disk, "golden"), (GONE_LONG_AGO, GONE_LONG_AGO))
    host.files.define("mine", [Disk(disk, "raw")], uuid=MINE)
    assert "protected-root" in host.codes(disk)


def test_a_golden_file_is_golden_under_every_name(host: Host) -> None:
    """The record's identity counts, not its path: moved and defined as a phone's own disk, it is still everybody's. The refusal names the file."""
    disk, elsewhere = image(host.images / "d.raw"), host.images / "moved.raw"
    host.files.classify(disk, "golden")
    os.rename(disk, elsewhere)
    both(host, disks=[Disk(str(elsewhere), "raw")])
    found = os.stat(elsewhere)
    (refusal,) = host.claims().judge(str(elsewhere), FileIdentity(found.st_dev, found.st_ino))
    assert (str(refusal.code), refusal.location) == ("protected-root", str(elsewhere))


def test_a_neighbour_in_doubt_holds_back_every_device(host: Host) -> None:
    """A device has many names: what a damaged image of another domain named may be this one. The refusal names whose image it is, and the device."""
    disk = "<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/vg/mine'/><target dev='vda'/></disk>"
    both(host, devices=disk)
    broken = image(host.files.base / "broken", b"QFI\xfb" + b"\xff" * 200)
    assert host.claims().judge("/dev/vg/mine", FileIdentity(1, 0)) == ()
    host.files.define("theirs", [Disk(broken, "qcow2")], uuid=THEIRS)
    (refusal,) = host.claims().judge("/dev/vg/mine", FileIdentity(1, 0))
    assert (str(refusal.code), refusal.location) == ("unreadable", "/dev/vg/mine")
    assert THEIRS in refusal.detail
    assert broken in refusal.detail


def test_each_thing_against_a_device_refuses_by_itself_and_names_it(host: Host) -> None:
    """Another's by what lies behind it (whatever file backs it), golden behind, lent behind, claimed by the kernel."""
    disk = "<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/vg/mine'/><target dev='vda'/></disk>"
    both(host, devices=disk)
    behind = Path(image(host.images / "behind.img"))
    found = behind.stat()
    alias, stranger = FileIdentity(found.st_dev, found.st_ino), FileIdentity(found.st_dev, found.st_ino + 1)

    def told(claims: Claims, facts: BlockFacts | None = None) -> list[tuple[str, str]]:
        refusals = claims.judge_device("/dev/vg/mine", facts or block(), frozenset({alias, stranger}))
        assert all(refusal.detail for refusal in refusals)
        return [(str(refusal.code), refusal.location) for refusal in refusals]

    assert told(host.claims()) == []
    assert told(host.claims(), block(claims=(("mounted", "at /srv"),))) == [("mounted", "/dev/vg/mine")]
    reached = host.claims()
    reached.identities[alias] = THEIRS
    assert told(reached, block(backing="/somewhere")) == [("shared-by-domain", "/dev/vg/mine")]
    reached.paths["/somewhere"] = KEY
    assert told(reached, block(backing="/somewhere")) == [("shared-by-domain", "/dev/vg/mine")]
    backed = host.claims()
    backed.paths[str(behind)] = THEIRS
    assert told(backed, block(backing=str(behind))) == [("shared-by-domain", "/dev/vg/mine")]
    lent = host.claims()
    lent.lent_identities[alias] = RefusalCode.SHAREABLE_DISK
    assert told(lent) == [("shareable-disk", "/dev/vg/mine")]
    host.files.classify(behind, "golden")
    assert told(host.claims()) == [("protected-root", "/dev/vg/mine")]


@pytest.mark.parametrize("by", ["path", "identity"])
def test_what_is_lent_is_refused_by_its_path_or_its_identity_alone(host: Host, by: str) -> None:
    """A lent file under another name, or another file in a lent file's place. The refusal names it."""
    disk = image(host.images / "d.raw")
    both(host, disks=[Disk(disk, "raw")])
    claims, found = host.claims(), os.stat(disk)
    identity = FileIdentity(found.st_dev, found.st_ino)
    assert claims.judge(disk, identity) == ()
    if by == "path":
        claims.lent[disk] = RefusalCode.SHAREABLE_DISK
    else:
        claims.lent_identities[identity] = RefusalCode.SHAREABLE_DISK
    assert [(str(refusal.code), refusal.location) for refusal in claims.judge(disk, identity)] == [("shareable-disk", disk)]


def test_claims_are_not_current_once_a_record_cannot_be_read(host: Host) -> None:
    """What it says may be against the file."""
    disk = image(host.images / "d.raw")
    both(host, disks=[Disk(disk, "raw")])
    record = host.files.classify(disk, "golden")
    claims = host.claims()
    assert claims.is_current()
    record.write_text("{")
    assert not claims.is_current()
