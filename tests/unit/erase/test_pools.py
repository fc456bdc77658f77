"""Volumes of libvirt's pools, and golden pools."""

from __future__ import annotations

import pytest

from tests.lab.libvirtfiles import Disk
from tests.unit.erase.host import MINE, THEIRS, Host, block, both, device_codes
from tests.unit.erase.test_ownership import image
from wiped.errors import RefusedError
from wiped.model.inventory import FileIdentity


def test_golden_pools_are_protected_places(host: Host) -> None:
    """Their directories count like protected roots; one that nobody knows refuses everything."""
    disk = image(host.images / "d.raw")
    both(host, disks=[Disk(disk, "raw")])
    host.rules = {"golden_pools": ("golden",)}
    with pytest.raises(RefusedError) as caught:
        host.claims()
    assert caught.value.codes == ("unreadable",)
    host.files.pool("golden", str(host.images))
    assert host.claims().protected.of(disk) == str(host.images)


def test_a_pool_with_two_definitions_resolves_nothing_of_ours_and_everything_of_theirs(host: Host) -> None:
    """A running pool and its definition may differ: in doubt a volume is not ours, and each may be the neighbour's."""
    volume = "<disk type='volume' device='disk'><driver type='raw'/><source pool='p' volume='d.raw'/><target dev='vda'/></disk>"
    here, there = image(host.images / "d.raw"), host.file("there/d.raw")
    host.files.pool("p", str(host.images))
    both(host, devices=volume)
    assert host.codes(here) == []
    (host.files.base / "run/libvirt/storage").mkdir(parents=True)
    (host.files.base / "run/libvirt/storage/p.xml").write_text(
        f"<poolstate><pool type='dir'><name>p</name><target><path>{host.files.base}/there</path></target></pool></poolstate>"
    )
    assert [host.codes(path) for path in (here, there)] == [["ambiguous-base"]] * 2
    host.files.define("mine", [Disk(here, "raw")], uuid=MINE)
    host.files.define("theirs", uuid=THEIRS, devices=volume)
    assert host.codes(here) == ["shared-by-domain"]


def test_a_volume_of_a_logical_pool_is_a_device_of_ours(host: Host) -> None:
    """Pool and volume make /dev/VG/LV; that is then a disk that may be a device."""
    host.files.pool("vg", "/dev/vg").write_text("<pool type='logical'><name>vg</name><target><path>/dev/vg</path></target></pool>")
    both(host, devices="<disk type='volume' device='disk'><driver type='raw'/><source pool='vg' volume='lv'/><target dev='vda'/></disk>")
    claims = host.claims()
    assert device_codes(claims, "/dev/vg/lv", block()) == []
    assert [refusal.code for refusal in claims.judge("/dev/vg/lv", FileIdentity(0xFD00, 0))] == []
