"""Logical volumes as phones' disks, on a real host with LVM: a thick one is wiped and proven, all others are refused, nobody else is touched.

One story for all tests: the host is made and switched off (its raw disk is searched: before), switched on again, the product wipes what it may, the host
is switched off (its raw disk is searched: after).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.lab.hostimage import HostImage
from tests.lab.hostproduct import UNIT, HostProduct
from tests.lab.hostvm import HostVM
from tests.lab.rawdevice import BLOCK, MIB, Markers, marked_blocks

SIZE = 64 * MIB
BLOCKS = 1024
#: Due phones: what becomes of each.
WIPED = "thick"
REFUSED = {"thin": "unsupported-artefact", "snap": "unsupported-artefact", "origin": "unsupported-artefact", "stacked": "in-use"}
#: Phones that are only planned: claimed by another part of the system.
CLAIMED = {"raid": "in-use", "multipath": "in-use", "mounted": "mounted", "swap": "mounted"}
NEIGHBOUR = "neighbour"

VOLUMES = """
vgcreate -qq vg_phones /dev/vdb
lvcreate -qq -y -L 256M --thinpool pool vg_phones
for name in thick origin stacked raid multipath mounted swap neighbour; do lvcreate -qq -y -W n -L 64M -n $name vg_phones; done
lvcreate -qq -y -V 64M --thin -n thin vg_phones/pool
"""
# Once the markers are there. What the origin gets after its snapshot pushes its old blocks into the snapshot's own.
CLAIMS = """
lvcreate -qq -y -s -L 32M -n snap vg_phones/origin
mkfs.ext4 -q /dev/vg_phones/mounted
mkswap -q /dev/vg_phones/swap
mdadm --create /dev/md/lab --run --quiet --level=1 --raid-devices=2 --metadata=1.0 /dev/vg_phones/raid missing
"""
# What does not survive the switching off.
STACKS = """
dmsetup create lab-linear --table "0 $(blockdev --getsz /dev/vg_phones/stacked) linear /dev/vg_phones/stacked 0"
modprobe -a dm-multipath dm-round-robin
number=$(dmsetup info -c --noheadings -o major,minor --separator : vg_phones-multipath)
dmsetup create lab-multipath --table "0 $(blockdev --getsz /dev/vg_phones/multipath) multipath 2 queue_mode bio 0 1 1 round-robin 0 1 1 $number 1000"
mkdir -p /mnt/lab
mount /dev/vg_phones/mounted /mnt/lab
swapon /dev/vg_phones/swap
[ -n "$(ls /sys/class/block/$(basename "$(readlink -f /dev/vg_phones/raid)")/holders)" ] || mdadm --assemble --run /dev/md/lab /dev/vg_phones/raid
"""


@dataclass
class Story:
    """What was seen, by phone."""

    uuids: dict[str, str] = field(default_factory=lambda: {name: str(uuid.uuid4()) for name in (WIPED, *REFUSED, *CLAIMED, NEIGHBOUR)})
    markers: dict[str, Markers] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    digests_before: dict[str, str] = field(default_factory=dict)
    digests_after: dict[str, str] = field(default_factory=dict)
    plans: dict[str, Any] = field(default_factory=dict)
    explained: dict[str, Any] = field(default_factory=dict)
    wipe: dict[str, Any] = field(default_factory=dict)
    volumes: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    neighbour_ran: bool = False
    started_itself: str = ""


@pytest.fixture(scope="module")
def story(image: HostImage, directory: Path) -> Story:
    """Live it once."""
    told = Story()
    with HostVM(image, directory) as vm:
        prepare(vm, told)
        vm.power_off()
        told.before = {name: marked_blocks(vm.disk, markers.prefix) for name, markers in told.markers.items()}
        vm.boot()
        wipe(vm, told)
        vm.power_off()
        told.after = {name: marked_blocks(vm.disk, markers.prefix) for name, markers in told.markers.items()}
    return told


def prepare(vm: HostVM, told: Story) -> None:
    """Volumes with markers, domains over them, the product installed and started, nothing due."""
    vm.sh(VOLUMES)
    for name in (WIPED, "thin", "origin", "stacked", NEIGHBOUR):
        told.markers[name] = Markers()
        vm.write_markers(device(name), told.markers[name], BLOCKS)
    vm.sh(CLAIMS)
    told.markers["origin, later"] = Markers()
    vm.write_markers(device("origin"), told.markers["origin, later"], BLOCKS // 2)
    for name, identity in told.uuids.items():
        vm.write(f"/tmp/{name}.xml", domain(name, identity))
        vm.run("virsh", "-q", "define", f"/tmp/{name}.xml")
    HostProduct(vm).install(["/dev/vg_phones"])


def wipe(vm: HostVM, told: Story) -> None:
    """After a reboot: five phones fall due at once."""
    product = HostProduct(vm)
    told.started_itself = product.property("ActiveState")
    vm.sh(STACKS)
    vm.run("virsh", "-q", "start", "--paused", NEIGHBOUR)
    unclaimed = [WIPED, *REFUSED, NEIGHBOUR]
    told.digests_before = {name: vm.digest(device(name)) for name in unclaimed}
    told.plans = {name: product.plan(identity) for name, identity in told.uuids.items()}
    product.bind(told.uuids[WIPED], *(told.uuids[name] for name in REFUSED))
    told.wipe = product.wait_for_wipe(told.uuids[WIPED])
    for name in REFUSED:

        def refused(phone: str = told.uuids[name]) -> Any:
            found = product.explain(phone)
            return found if "refused" in found["flags"] else None

        told.explained[name] = product.wait(refused, f"{name} to be refused")
    told.digests_after = {name: vm.digest(device(name)) for name in unclaimed}
    told.volumes = set(vm.run("lvs", "--noheadings", "-o", "lv_name", "vg_phones").stdout.split())
    told.domains = set(vm.run("virsh", "-q", "list", "--all", "--name").stdout.split())
    told.neighbour_ran = vm.run("virsh", "-q", "domstate", NEIGHBOUR).stdout.strip() == "paused"
    vm.run("virsh", "-q", "destroy", NEIGHBOUR)
    vm.run("systemctl", "stop", UNIT)
    vm.sh("swapoff /dev/vg_phones/swap; umount /mnt/lab; dmsetup remove lab-linear lab-multipath; mdadm --stop --quiet /dev/md/lab || true")


def device(name: str) -> str:
    """The volume of a phone."""
    return f"/dev/vg_phones/{name}"


def domain(name: str, identity: str) -> str:
    """A phone on its logical volume."""
    return f"""<domain type='qemu'><name>{name}</name><uuid>{identity}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='block' device='disk'><driver name='qemu' type='raw' cache='none'/><source dev='{device(name)}'/><target dev='vda' bus='virtio'/></disk>
<memballoon model='none'/></devices></domain>"""


def codes(plan: Any) -> set[str]:
    """The refusals of a plan, but for that nobody is bound to the phone."""
    return {refusal["code"] for refusal in plan["refusals"]} - {"unbound"}


def test_the_unit_starts_by_itself_after_a_boot(story: Story) -> None:
    """Enabled once, it runs when the host has booted, volumes and all."""
    assert story.started_itself == "active"


def test_the_markers_were_on_the_disk(story: Story) -> None:
    """Seen from outside, switched off, before anything was wiped; the snapshot keeps what its origin has lost."""
    assert story.before == {name: BLOCKS // 2 if name == "origin, later" else BLOCKS for name in story.markers}


def test_a_thick_volume_is_wiped_and_nothing_of_it_is_left_on_the_disk(story: Story) -> None:
    """Clear, every byte of it overwritten and read back from the device; not one marked block is left in the raw disk."""
    assert story.wipe["outcome"] == "clear"
    assert [(a["kind"], a["outcome"], a["bytes_overwritten"], a["bytes_verified"], a["mismatches"], a["verified_via"]) for a in story.wipe["artefacts"]] == [
        ("block-device", "clear", SIZE, SIZE, 0, "block-odirect")
    ]
    assert story.after[WIPED] == 0
    assert story.digests_after[WIPED] != story.digests_before[WIPED]


def test_the_volume_itself_stays_and_the_domain_goes(story: Story) -> None:
    """lvremove is the operator's choice."""
    assert WIPED in story.volumes
    assert WIPED not in story.domains


def test_the_plan_of_a_thick_volume_names_the_device(story: Story) -> None:
    """One step, by the path of the domain's XML, with the device's number; nothing refused."""
    plan = story.plans[WIPED]
    assert codes(plan) == set()
    [step] = [step["artefact"] for step in plan["steps"]]
    assert (step["kind"], step["location"], step["virtual_bytes"], step["allocated_bytes"]) == ("block-device", device(WIPED), SIZE, SIZE)


@pytest.mark.parametrize("name", REFUSED)
def test_a_volume_that_is_not_its_own_bytes_is_refused(story: Story, name: str) -> None:
    """Thin volumes, snapshots, origins of snapshots and what another device stands on: refused, fenced, not a byte changed."""
    assert REFUSED[name] in codes(story.plans[name])
    found = story.explained[name]
    assert "refused" in found["flags"]
    assert REFUSED[name] in {reason["code"] for reason in found["reasons"]}
    assert "fenced" in found["flags"]
    assert story.digests_after[name] == story.digests_before[name]
    assert name in story.volumes
    assert name in story.domains


@pytest.mark.parametrize(("name", "word"), [("thin", "thin-pool"), ("snap", "copy-not-reached"), ("origin", "copy-not-reached")])
def test_the_refusal_says_what_the_volume_is(story: Story, name: str, word: str) -> None:
    """A thin pool, or a copy that an overwrite would not reach."""
    details = [refusal["detail"] for refusal in story.plans[name]["refusals"] if refusal["code"] == "unsupported-artefact"]
    assert any(detail.startswith(word) for detail in details), details


@pytest.mark.parametrize("name", CLAIMED)
def test_a_volume_that_the_system_uses_otherwise_is_refused(story: Story, name: str) -> None:
    """A RAID or multipath member, a mounted filesystem, swap."""
    assert CLAIMED[name] in codes(story.plans[name])


def test_nothing_else_on_the_disk_has_changed(story: Story) -> None:
    """From outside, switched off: every marked block of everybody else is where it was."""
    assert {name: count for name, count in story.after.items() if name != WIPED} == {name: count for name, count in story.before.items() if name != WIPED}


def test_a_neighbour_on_the_same_volume_group_is_untouched(story: Story) -> None:
    """Its emulator stayed as it was, and so did its bytes."""
    assert story.neighbour_ran
    assert story.digests_after[NEIGHBOUR] == story.digests_before[NEIGHBOUR]
    assert BLOCK * BLOCKS <= SIZE
