"""A phone's RAM in files: dumps, the memory of snapshots, files behind the RAM, swap."""

from __future__ import annotations

import os

import pytest

from tests.unit.observe.places import ME, OTHER, Places, neighbour, phone, saved_state
from tests.unit.observe.test_places_logs import codes, kinds
from wiped.model.inventory import DomainState
from wiped.observe.places.ram import is_memory


def test_dumps(places: Places) -> None:
    """Dumps by libvirt's own names, by people's, and by UUID; another's are left."""
    mine = ["7-phone-2026-01-02-03:04:05", "phone.core", f"x-{ME}.bin"]
    for name in (*mine, "7-phone2-2026-01-02-03:04:05", "phone.txt", "7-phone", "neighbour.core"):
        places.raw(f"state/dump/{name}")
    inventory = places.look(phone(), neighbour())
    assert kinds(inventory) == [("core-dump", name) for name in sorted(mine)]
    assert all(found.claim and found.owners == (ME,) for found in inventory.artefacts)


def test_short_names_that_two_phones_share(places: Places) -> None:
    """libvirt cuts names in dumps at 20 characters: a dump that may be either's is both's."""
    places.raw("state/dump/7-abcdefghijklmnopqrst-2026-01-02-03:04:05")
    (found,) = places.look(phone(name="abcdefghijklmnopqrstA"), neighbour(former_names=("abcdefghijklmnopqrstB",))).artefacts
    assert found.owners == (ME, OTHER)


def test_places_that_qemu_conf_moves(places: Places) -> None:
    """Dumps are looked for where qemu.conf says; a qemu.conf that is not understood refuses, since anything may be elsewhere."""
    places.raw("etc/qemu.conf", f'auto_dump_path = "{places.base}/dumps"\n'.encode())
    places.raw("dumps/phone.core")
    places.raw("state/dump/phone.core")
    inventory = places.look(phone())
    assert [found.layer.location for found in inventory.artefacts] == [f"{places.base}/dumps/phone.core"]
    assert inventory.artefacts[0].layer.libvirt_owned
    for content in (b"auto_dump_path = relative\n", b"\xff = [", b'auto_dump_path = "relative"\n'):
        places.raw("etc/qemu.conf", content)
        assert codes(places.look(phone())) == [("unreadable", "qemu.conf")]
    (places.base / "etc/qemu.conf").unlink()
    (places.base / "etc/qemu.conf").symlink_to("elsewhere")
    assert codes(places.look(phone())) == [("unreadable", "qemu.conf")]


def test_snapshot_memory(places: Places) -> None:
    """RAM of an external snapshot is the phone's by the UUID inside; of another UUID, without a header, or gone, it refuses."""
    own, other, broken = places.raw("own.mem", saved_state(ME)), places.raw("other.mem", saved_state(OTHER)), places.raw("broken.mem")
    inventory = places.look(phone(snapshot_memory_files=(str(own),), has_snapshot_memory=True))
    assert (kinds(inventory), inventory.problems) == ([("memory-image", "own.mem")], ())
    for path in (other, broken):
        assert codes(places.look(phone(snapshot_memory_files=(str(path),)))) == [("identity-changed", path.name)]
    (gone,) = places.look(phone(snapshot_memory_files=(f"{places.images}/gone.mem",))).artefacts
    assert gone.layer.problem == "missing"


def test_a_disk_that_only_snapshot_memory_names(places: Places) -> None:
    """It was attached when the snapshot was made, and nothing else names it."""
    xml = f"<disk type='file' device='disk'><source file='{places.raw('hot.raw')}'/><target dev='vdb'/></disk>"
    memory = places.raw("own.mem", saved_state(ME, disks=xml))
    assert codes(places.look(phone(snapshot_memory_files=(str(memory),)))) == [("unsupported-artefact", "hot.raw")]


def test_memory_backing(places: Places) -> None:
    """A running phone's RAM in a file on a disk is lost at the stop: refused before it; what a crash left behind is found and wiped."""
    path = places.raw("qemu/ram/4-phone/pc.ram")
    places.raw("qemu/ram/4-phone2/pc.ram")
    places.raw("etc/qemu.conf", f'memory_backing_dir = "{places.base}/moved"\n'.encode())
    running = phone(memory_backing_file=True, state=DomainState.RUNNING)
    assert codes(places.look(running)) == [("live-only", "qemu")]
    left = places.raw("moved/libvirt/qemu/4-phone/pc.ram", path.read_bytes())
    inventory = places.look(phone(memory_backing_file=True, state=DomainState.SHUTOFF))
    assert [(str(found.kind), found.layer.location) for found in inventory.artefacts] == [("memory-backing", str(left))]
    assert inventory.problems == ()


def test_memory_backing_in_memory() -> None:
    """On a tmpfs nothing stays, so nothing is told (the machine's own /dev/shm)."""
    if os.statvfs("/dev/shm").f_blocks == 0:
        pytest.skip("no tmpfs here")
    assert is_memory("/dev/shm/libvirt/qemu")
    assert not is_memory("/var/tmp/nothing")


def test_swap_of_a_phone_that_runs(places: Places) -> None:
    """A phone that runs and whose process cannot be asked counts as swapped; one that is off does not."""
    assert places.look(phone(state=DomainState.RUNNING)).swap_bytes == 1
    assert places.look(phone(state=DomainState.SHUTOFF)).swap_bytes == 0
