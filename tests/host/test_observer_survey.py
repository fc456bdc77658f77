"""Surveys of what qemu-img and a real libvirt made."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.host.observer_stage import directories_in, identity_of, map_digest
from tests.lab.privatelibvirt import PrivateLibvirt
from tests.lab.rawdevice import Markers, RawFilesystem
from wiped.decide.plan import make_plan
from wiped.model.inventory import DiskSource, DomainFacts, Inventory, LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.observe.image import survey
from wiped.virt.domain_xml import merge, parse_domain

MakeFilesystem = Callable[..., RawFilesystem]
ME = "11111111-2222-3333-4444-555555555555"
DOMAIN = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
<serial type='file'><source path='{log}'/></serial></devices></domain>"""


def qemu_img(*words: str | Path) -> None:
    """Run qemu-img."""
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


def found(inventory: Inventory) -> list[tuple[str, str, int, str]]:
    """(kind, file name, depth, problem) of what was found."""
    return [(str(each.kind), os.path.basename(each.layer.location), each.depth, each.layer.problem) for each in inventory.artefacts]


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_chain_of_three_over_a_golden_image(raw_fs: MakeFilesystem, scratch: Path, kind: str) -> None:
    """Overlay over overlay over golden: each with its identity, map and virtual size; internal snapshots counted; the neighbour's share seen."""
    root = raw_fs(kind).mount_point
    assert root is not None
    golden, images = root / "golden", root / "images"
    golden.mkdir()
    images.mkdir()
    base, middle, top, theirs = golden / "base.raw", images / "middle.qcow2", images / "top.qcow2", images / "theirs.qcow2"
    qemu_img("create", "-f", "raw", base, "32M")
    qemu_img("create", "-f", "qcow2", "-b", base, "-F", "raw", middle)
    qemu_img("snapshot", "-c", "inside", middle)
    qemu_img("create", "-f", "qcow2", "-b", "middle.qcow2", "-F", "qcow2", top)
    qemu_img("create", "-f", "qcow2", "-b", base, "-F", "raw", theirs)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 8M", str(top)], check=True, capture_output=True)
    rules = StorageRules(roots=(str(images),), protected=(str(golden),))
    domain = DomainFacts(ME, "phone", disks=(DiskSource("vda", "file", str(top), "qcow2"), DiskSource("vda", "file", str(middle), "qcow2", origin="snapshot")))
    other = DomainFacts("99999999-2222-3333-4444-555555555555", "other", disks=(DiskSource("vda", "file", str(theirs), "qcow2"),))
    inventory = survey(domain, [other], rules, directories_in(scratch / "libvirt"))
    assert found(inventory) == [
        ("snapshot-overlay", "top.qcow2", 0, ""),
        ("backing-private", "middle.qcow2", 1, ""),
        ("disk-image", "base.raw", 2, ""),
    ]
    assert [each.layer.identity for each in inventory.artefacts] == [identity_of(path) for path in (top, middle, base)]
    assert [each.layer.virtual_bytes for each in inventory.artefacts] == [32 << 20] * 3
    assert [each.layer.internal_snapshots for each in inventory.artefacts] == [0, 1, 0]
    assert [each.owners for each in inventory.artefacts] == [(ME,), (ME,), (ME, other.uuid)]
    assert inventory.artefacts[0].layer.extents is not None
    assert inventory.artefacts[0].layer.extents.map_digest == map_digest(top)
    assert inventory.artefacts[0].layer.extents.bytes >= 8 << 20
    plan = make_plan(inventory, 1, rules)
    assert plan.refusals == ()
    assert [step.location for step in plan.steps] == [str(top), str(middle)]
    assert [kept.location for kept in plan.retained] == [str(base)]
    assert plan.expected_reasons == (("cow-filesystem",) if kind == "btrfs" else ())


def test_missing_base_of_a_real_chain(raw_fs: MakeFilesystem, scratch: Path) -> None:
    """A base that was deleted: the chain is told broken, and the plan refuses."""
    root = raw_fs("ext4").mount_point
    assert root is not None
    base, top = root / "base.qcow2", root / "top.qcow2"
    qemu_img("create", "-f", "qcow2", base, "32M")
    qemu_img("create", "-f", "qcow2", "-b", base, "-F", "qcow2", top)
    base.unlink()
    rules = StorageRules(roots=(str(root),))
    domain = DomainFacts(ME, "phone", disks=(DiskSource("vda", "file", str(top), "qcow2"),))
    inventory = survey(domain, [], rules, directories_in(scratch / "libvirt"))
    assert found(inventory) == [("disk-image", "top.qcow2", 0, ""), ("disk-image", "base.qcow2", 1, "missing")]
    assert [refusal.code for refusal in make_plan(inventory, 1, rules).refusals] == ["missing"]


def directories_of(libvirt: PrivateLibvirt) -> LibvirtDirectories:
    """The private libvirt's directories as this process sees them."""
    return LibvirtDirectories(**{name: str(libvirt.path(path)) for name, path in asdict(LibvirtDirectories()).items() if name != "records_uid"})


def facts_of(libvirt: PrivateLibvirt, name: str) -> DomainFacts:
    """What the daemon would know of a domain: live, inactive, and every snapshot."""
    documents = [parse_domain(libvirt.virsh("dumpxml", name).stdout, origin="live")]
    documents.append(parse_domain(libvirt.virsh("dumpxml", "--inactive", name).stdout, origin="inactive"))
    for snapshot in libvirt.virsh("snapshot-list", "--name", name).stdout.split():
        documents.append(parse_domain(libvirt.virsh("snapshot-dumpxml", name, snapshot).stdout, origin="snapshot"))
    return merge(*documents)


@pytest.fixture
def pool(private_libvirt: PrivateLibvirt, raw_fs: MakeFilesystem) -> Path:
    """A filesystem that both sides see."""
    path = private_libvirt.workdir / "pool"
    path.mkdir()
    raw_fs("ext4", at=path)
    return path


def test_real_managed_save(private_libvirt: PrivateLibvirt, raw_fs: MakeFilesystem, pool: Path) -> None:
    """libvirt's own save file over a filesystem of its own: this phone's RAM for its UUID, `identity-changed` for another one of that name."""
    raw_fs("ext4", at=private_libvirt.path("/var/lib/libvirt/qemu/save"))
    disk, log = pool / "phone.qcow2", pool / "console.log"
    qemu_img("create", "-f", "qcow2", disk, "32M")
    private_libvirt.define(DOMAIN.format(name="*", uuid=ME, disk=disk, log=log))
    private_libvirt.virsh("start", "*")
    rules = StorageRules(roots=(str(pool),))
    running = survey(facts_of(private_libvirt, "*"), [], rules, directories_of(private_libvirt))
    assert [(kind, name) for kind, name, _, _ in found(running)] == [
        ("disk-image", "phone.qcow2"),
        ("console-log", "console.log"),
        ("console-log", "*.log"),
    ]
    assert running.problems == ()
    assert make_plan(running, 1, rules).refusals == ()
    private_libvirt.virsh("managedsave", "*")
    domain = facts_of(private_libvirt, "*")
    inventory = survey(domain, [], rules, directories_of(private_libvirt))
    assert ("memory-image", "*.save", 0, "") in found(inventory)
    (saved,) = (each for each in inventory.artefacts if each.kind == "memory-image")
    assert saved.layer.allocated_bytes > 0
    assert saved.layer.libvirt_owned
    assert inventory.problems == ()
    stranger = DomainFacts("99999999-2222-3333-4444-555555555555", "*")
    problems = survey(stranger, [], rules, directories_of(private_libvirt)).problems
    assert [code for code, _, _ in problems] == ["identity-changed"]


def test_real_external_snapshot(private_libvirt: PrivateLibvirt, pool: Path) -> None:
    """After `snapshot-create-as --disk-only` the old disk is private backing, by libvirt's own metadata; without metadata it is ambiguous."""
    disk, log = pool / "phone.qcow2", pool / "console.log"
    qemu_img("create", "-f", "qcow2", disk, "32M")
    private_libvirt.define(DOMAIN.format(name="phone", uuid=ME, disk=disk, log=log))
    private_libvirt.virsh("start", "phone")
    private_libvirt.virsh("snapshot-create-as", "phone", "one", "--disk-only")
    rules = StorageRules(roots=(str(pool),))
    inventory = survey(facts_of(private_libvirt, "phone"), [], rules, directories_of(private_libvirt))
    assert found(inventory)[:2] == [("snapshot-overlay", "phone.one", 0, ""), ("backing-private", "phone.qcow2", 1, "")]
    assert make_plan(inventory, 1, rules).refusals == ()
    private_libvirt.virsh("snapshot-create-as", "phone", "two", "--disk-only", "--no-metadata")
    inventory = survey(facts_of(private_libvirt, "phone"), [], rules, directories_of(private_libvirt))
    assert [(name, depth) for _, name, depth, _ in found(inventory)][:3] == [("phone.two", 0), ("phone.one", 1), ("phone.qcow2", 2)]
    private_libvirt.virsh("snapshot-delete", "phone", "one", "--metadata")
    inventory = survey(facts_of(private_libvirt, "phone"), [], rules, directories_of(private_libvirt))
    assert {refusal.code for refusal in make_plan(inventory, 1, rules).refusals} == {"ambiguous-base"}


def test_fragments_of_markers_are_found_where_the_map_says(raw_fs: MakeFilesystem, markers: Markers, scratch: Path) -> None:
    """The map that the survey brings is the place of the bytes: the marker stands at that address of the raw device."""
    filesystem = raw_fs("ext4")
    root = filesystem.mount_point
    assert root is not None
    path = root / "phone.raw"
    markers.write(path, 64)
    domain = DomainFacts(ME, "phone", disks=(DiskSource("vda", "file", str(path), "raw"),))
    inventory = survey(domain, [], StorageRules(roots=(str(root),)), directories_in(scratch / "libvirt"))
    extents = inventory.artefacts[0].layer.extents
    assert extents is not None
    assert (extents.count, extents.bytes) == (1, 64 * 4096)
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 64
