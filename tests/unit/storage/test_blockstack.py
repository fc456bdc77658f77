"""Stacks of devices that this machine does not have (LVM, multipath, RAID, crypt), in a sysfs made of directories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wiped.model.inventory import FileIdentity
from wiped.storage.blockdev import block_root, stack_identities
from wiped.storage.blockstack import DeviceTree, facts_of_number

IDS = "a" * 64


class Sysfs:
    """A made-up /sys/dev/block."""

    def __init__(self, base: Path) -> None:
        self.base = base
        (base / "dev").mkdir()

    def device(self, name: str, number: str, *, uuid: str = "", on: tuple[str, ...] = (), part_of: str = "", md: bool = False, size: int = 2048) -> None:
        """One device; `on`: names of its slaves, whose holder it becomes."""
        where = self.base / (f"block/{part_of}/{name}" if part_of else f"block/{name}")
        where.mkdir(parents=True)
        (where / "dev").write_text(number + "\n")
        (where / "size").write_text(f"{size}\n")
        for folder in ("slaves", "holders"):
            (where / folder).mkdir()
        if part_of:
            (where / "partition").write_text("1\n")
        if uuid:
            (where / "dm").mkdir()
            (where / "dm/uuid").write_text(uuid + "\n")
        if md:
            (where / "md").mkdir()
        (self.base / "dev" / number).symlink_to(where)
        for lower in on:
            target = next((self.base / "block").rglob(lower))
            (where / "slaves" / lower).symlink_to(target)
            (target / "holders" / name).symlink_to(where)

    def tree(self) -> DeviceTree:
        """A look at it."""
        return DeviceTree(str(self.base / "dev"))


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    """One disk `sdz` with a partition `sdz1`; numbers that no real device has."""
    made = Sysfs(tmp_path)
    made.device("sdz", "4000:0")
    made.device("sdz1", "4000:1", part_of="sdz")
    return made


def kind_and_claims(sysfs: Sysfs, number: str) -> tuple[str, list[tuple[str, str]]]:
    """Kind, and (code, first word) of each claim."""
    found = facts_of_number(number, sysfs.tree())
    return found.kind, [(code, detail.split(" ")[0]) for code, detail in found.claims]


def test_thick_volumes_do_not_reach_their_siblings(sysfs: Sysfs) -> None:
    """Each reaches the physical volume and the disk, and they it; the physical volume is in use, the volumes are free."""
    sysfs.device("dm-1", "4001:1", uuid=f"LVM-{IDS}", on=("sdz1",))
    sysfs.device("dm-2", "4001:2", uuid=f"LVM-{IDS}", on=("sdz1",))
    assert kind_and_claims(sysfs, "4001:1") == ("lvm", [])
    assert facts_of_number("4001:1", sysfs.tree()).stacked == ("4001:1", "4000:1", "4000:0")
    assert set(facts_of_number("4000:0", sysfs.tree()).stacked) == {"4000:0", "4000:1", "4001:1", "4001:2"}
    assert kind_and_claims(sysfs, "4000:1") == ("partition", [("in-use", "dm-1"), ("in-use", "dm-2")])
    assert kind_and_claims(sysfs, "4000:0") == ("disk", [("in-use", "dm-1"), ("in-use", "dm-2")])
    assert FileIdentity(os.makedev(4001, 2), 0) not in stack_identities(facts_of_number("4001:1", sysfs.tree()), sysfs.tree())


def test_thin_volumes_and_snapshots(sysfs: Sysfs) -> None:
    """By the hidden layers beneath: a thin volume, a snapshot and its origin, a cached and a deduplicated one; also a partition or crypt above them."""
    for number, name, uuid, on in (
        (1, "dm-1", f"LVM-{IDS}-tdata", ("sdz1",)),
        (2, "dm-2", f"LVM-{IDS}-tpool", ("dm-1",)),
        (3, "dm-3", f"LVM-{IDS}", ("dm-2",)),
        (4, "dm-4", f"LVM-{IDS}-real", ("sdz1",)),
        (5, "dm-5", f"LVM-{IDS}-cow", ("sdz1",)),
        (6, "dm-6", f"LVM-{IDS}", ("dm-4",)),
        (7, "dm-7", f"LVM-{IDS}", ("dm-4", "dm-5")),
        (8, "dm-8", f"LVM-{IDS}-corig", ("sdz1",)),
        (9, "dm-9", f"LVM-{IDS}", ("dm-8",)),
        (10, "dm-10", f"LVM-{IDS}-vpool", ("sdz1",)),
        (11, "dm-11", f"LVM-{IDS}", ("dm-10",)),
        (12, "dm-12", f"CRYPT-LUKS2-{IDS}", ("dm-3",)),
    ):
        sysfs.device(name, f"4001:{number}", uuid=uuid, on=on)
    unsupported = "unsupported-artefact"
    assert kind_and_claims(sysfs, "4001:3") == ("lvm-thin", [("in-use", "dm-12"), (unsupported, "thin-pool:")])
    assert kind_and_claims(sysfs, "4001:6") == ("lvm-snapshot", [(unsupported, "copy-not-reached:")])
    assert kind_and_claims(sysfs, "4001:7") == ("lvm-snapshot", [(unsupported, "copy-not-reached:")])
    assert kind_and_claims(sysfs, "4001:9") == ("device-mapper", [(unsupported, "copy-not-reached:")])
    assert kind_and_claims(sysfs, "4001:11") == ("device-mapper", [(unsupported, "opaque-storage:")])
    assert kind_and_claims(sysfs, "4001:12") == ("crypt", [(unsupported, "thin-pool:")])


def test_members_of_arrays_and_paths(sysfs: Sysfs) -> None:
    """Members of RAID and multipath are in use; the whole has its kind; a mapping of unknown kind is not trusted, nor what stands on it."""
    sysfs.device("sdy", "4002:0")
    sysfs.device("md7", "4003:0", on=("sdz1",), md=True)
    sysfs.device("dm-1", "4001:1", uuid="mpath-3600", on=("sdy",))
    sysfs.device("dm-2", "4001:2", uuid="part1-mpath-3600", on=("dm-1",))
    sysfs.device("dm-3", "4001:3", uuid=f"LVM-{IDS}", on=("dm-2",))
    sysfs.device("sdx", "4004:0")
    sysfs.device("dm-4", "4001:4", uuid="handmade", on=("sdx",))
    sysfs.device("dm-5", "4001:5", uuid=f"LVM-{IDS}", on=("dm-4",))
    assert kind_and_claims(sysfs, "4000:1") == ("partition", [("in-use", "md7")])
    assert kind_and_claims(sysfs, "4002:0") == ("disk", [("in-use", "dm-1")])
    assert [kind_and_claims(sysfs, number)[0] for number in ("4003:0", "4001:1", "4001:2", "4001:4")] == ["raid", "multipath", "device-mapper", "device-mapper"]
    assert kind_and_claims(sysfs, "4001:3") == ("lvm", [])
    assert kind_and_claims(sysfs, "4001:5") == ("lvm", [("unsupported-artefact", "opaque-storage:")])


@pytest.mark.parametrize("name", ["nbd0", "rbd0", "zram0", "zd16", "drbd1", "bcache0", "sr0"])
def test_what_is_no_plain_disk(sysfs: Sysfs, name: str) -> None:
    """Elsewhere, in memory, or copied on write: not wiped, nor what stands on it."""
    sysfs.device(name, "4005:0")
    sysfs.device("dm-1", "4001:1", uuid=f"LVM-{IDS}", on=(name,))
    assert kind_and_claims(sysfs, "4005:0") == ("other", [("in-use", "dm-1"), ("unsupported-artefact", "opaque-storage:")])
    assert kind_and_claims(sysfs, "4001:1") == ("lvm", [("unsupported-artefact", "opaque-storage:")])


def test_a_device_that_sysfs_does_not_know(sysfs: Sysfs) -> None:
    """Nothing is known of it, so nothing is wiped; nor is one without a size."""
    assert kind_and_claims(sysfs, "4099:0") == ("other", [("unsupported-artefact", "opaque-storage:")])
    sysfs.device("loop99", "4006:0", size=0)
    assert kind_and_claims(sysfs, "4006:0") == ("loop", [("unsupported-artefact", "opaque-storage:")])


def test_a_circle_ends(sysfs: Sysfs) -> None:
    """Broken sysfs, or a race while it is read."""
    sysfs.device("dm-1", "4001:1", uuid="x", on=("sdz1",))
    (sysfs.base / "block/sdz/slaves/dm-1").symlink_to(sysfs.base / "block/dm-1")
    assert set(facts_of_number("4001:1", sysfs.tree()).stacked) == {"4001:1", "4000:1", "4000:0"}


def test_roots_of_devices() -> None:
    """By letters: the node itself, or the deepest directory beneath /dev; dots do not lead out."""
    roots = ["/dev/vg", "/dev/vg/deep", "/dev/loop7", "/srv/phones", "/dev/vgx"]
    paths = ["/dev/vg/lv", "/dev/vg/deep/lv", "/dev/loop7", "/dev/loop77", "/dev/vg", "/dev/vg/../sda", "/dev/vgx/lv", "/srv/phones/x", "/dev//vg/lv"]
    assert [block_root(path, roots) for path in paths] == ["/dev/vg", "/dev/vg/deep", "/dev/loop7", "", "/dev/vg", "", "/dev/vgx", "", ""]
