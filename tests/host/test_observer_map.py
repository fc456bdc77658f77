"""The data map as the observer sees it: what libvirt, QEMU, swtpm and the kernel really leave, found and told."""

from __future__ import annotations

import os
import signal
import stat
import struct
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.host.observer_stage import ARTEFACT, SEED, directories_in, identity_of, request_for
from tests.lab.phones import BarePhone
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.rawdevice import MIB, Markers, RawFilesystem, marked_blocks
from wiped.decide.plan import make_plan
from wiped.model.inventory import DiskSource, DomainFacts, DomainState, FileIdentity, Inventory, LibvirtDirectories
from wiped.model.plan import Plan
from wiped.model.policy import StorageRules
from wiped.observe.image import survey
from wiped.observe.readback import read_back
from wiped.storage.artefacts import map_artefact
from wiped.storage.blockdev import open_block, whole_device_map
from wiped.storage.direct import write_ranges
from wiped.storage.keystream import Keystream
from wiped.virt.domain_xml import merge, parse_domain
from wiped.wire.messages import ReadBack

MakeFilesystem = Callable[..., RawFilesystem]
ME = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
FILE_MEMORY = "<memoryBacking><source type='file'/><access mode='shared'/></memoryBacking>"


def phone(*disks: DiskSource, **facts: object) -> DomainFacts:
    """The phone that is looked at."""
    return replace(DomainFacts(ME, "phone", disks=disks), **facts)  # type: ignore[arg-type]


def neighbour(*disks: DiskSource) -> DomainFacts:
    """Another domain."""
    return DomainFacts(OTHER, "neighbour", disks=disks)


def kinds(inventory: Inventory) -> set[tuple[str, str]]:
    """(kind, file name) of what was found."""
    return {(str(found.kind), os.path.basename(found.layer.location)) for found in inventory.artefacts}


def codes(inventory: Inventory) -> list[tuple[str, str]]:
    """(code, last part of the location) of the problems."""
    return [(code, os.path.basename(location)) for code, location, _ in inventory.problems]


def refusals(plan: Plan) -> list[tuple[str, str]]:
    """(code, last part of the location) of the refusals."""
    return [(str(refusal.code), os.path.basename(refusal.location)) for refusal in plan.refusals]


# -- libvirt's own places


def directories_of(libvirt: PrivateLibvirt) -> LibvirtDirectories:
    """The private libvirt's directories as this process sees them."""
    return LibvirtDirectories(**{name: str(libvirt.path(path)) for name, path in asdict(LibvirtDirectories()).items() if name != "records_uid"})


def facts_of(libvirt: PrivateLibvirt, name: str) -> DomainFacts:
    """What the daemon would know of a domain."""
    running = libvirt.state(name) == "running"
    documents = [parse_domain(libvirt.virsh("dumpxml", name).stdout, origin="live")] if running else []
    documents.append(parse_domain(libvirt.virsh("dumpxml", "--inactive", name).stdout, origin="inactive"))
    for snapshot in libvirt.virsh("snapshot-list", "--name", name).stdout.split():
        documents.append(parse_domain(libvirt.virsh("snapshot-dumpxml", name, snapshot).stdout, origin="snapshot"))
    return replace(merge(*documents), state=DomainState.RUNNING if running else DomainState.SHUTOFF)


def test_what_a_phone_leaves_in_libvirts_places() -> None:
    """One phone with a TPM, a secret, a snapshot that kept RAM, a dump: each is found with its kind, its claim and no other owner; and all can be wiped."""
    with PrivateLibvirt(qemu_conf='swtpm_user = "root"\nswtpm_group = "root"\n') as libvirt:
        one = BarePhone(libvirt, "phone", devices="<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>")
        secret = str(uuid.uuid4())
        usage = f"<usage type='volume'><volume>{one.disk}</volume></usage>"
        libvirt.run(["virsh", "-q", "secret-define", "/dev/stdin"], stdin_text=f"<secret ephemeral='no' private='yes'><uuid>{secret}</uuid>{usage}</secret>")
        libvirt.virsh("secret-set-value", secret, "--base64", "c2VjcmV0")
        one.define(start=True)
        two = BarePhone(libvirt, "phone-2").define(start=True)
        memory = one.directory / "one.mem"
        libvirt.virsh("snapshot-create-as", one.uuid, "one", "--live", "--memspec", str(memory), "--diskspec", f"vda,file={one.directory}/one.qcow2")
        dumps = libvirt.path("/var/lib/libvirt/qemu/dump")
        libvirt.virsh("dump", one.uuid, f"/var/lib/libvirt/qemu/dump/{one.uuid}.elf", "--memory-only", "--live")
        libvirt.virsh("dump", two.uuid, "/var/lib/libvirt/qemu/dump/phone-2.core", "--memory-only", "--live")
        assert len(list(dumps.iterdir())) == 2
        rules, directories = StorageRules(roots=(str(libvirt.workdir / "phones"),)), directories_of(libvirt)
        running = survey(facts_of(libvirt, "phone"), [facts_of(libvirt, "phone-2")], rules, directories)
        libvirt.virsh("destroy", one.uuid)
        inventory = survey(facts_of(libvirt, "phone"), [facts_of(libvirt, "phone-2")], rules, directories)
        assert kinds(inventory) - {("tpm-state", ".lock")} == {
            ("snapshot-overlay", "one.qcow2"),
            ("backing-private", "disk.qcow2"),
            ("console-log", "console.log"),
            ("console-log", "phone.log"),
            ("console-log", "phone-swtpm.log"),
            ("memory-image", "one.mem"),
            ("core-dump", f"{one.uuid}.elf"),
            ("tpm-state", "tpm2-00.permall"),
            ("libvirt-secret", f"{secret}.base64"),
        }
        assert kinds(running) - {("tpm-state", ".lock")} == kinds(inventory) - {("tpm-state", ".lock")}
        assert inventory.problems == running.problems == ()
        assert {found.owners for found in inventory.artefacts} == {(one.uuid,)}
        plan = make_plan(inventory, 1, rules)
        assert (plan.refusals, plan.expected_outcome) == ((), "clear")
        assert str(plan.steps[0].kind) == "libvirt-secret"
        theirs = kinds(survey(facts_of(libvirt, "phone-2"), [facts_of(libvirt, "phone")], rules, directories))
        assert ("core-dump", "phone-2.core") in theirs
        assert not theirs & kinds(inventory) - {("console-log", "console.log"), ("disk-image", "disk.qcow2")}


def test_memory_behind_a_real_phone(private_libvirt: PrivateLibvirt) -> None:
    """File-backed RAM on a disk: refused while the phone runs, since libvirt unlinks it at the stop; what a killed libvirt left is found."""
    one = BarePhone(private_libvirt, "phone")
    private_libvirt.define(one.xml.replace("<devices>", FILE_MEMORY + "<devices>", 1))
    private_libvirt.virsh("start", one.uuid)
    rules, directories = StorageRules(roots=(str(private_libvirt.workdir / "phones"),)), directories_of(private_libvirt)
    running = survey(facts_of(private_libvirt, "phone"), [], rules, directories)
    assert codes(running) == [("live-only", "ram")]
    private_libvirt.stop_libvirtd(signal.SIGKILL)
    os.kill(one.emulator(), signal.SIGKILL)
    wait_for(lambda: not one.emulator(), "the emulator gone")
    stopped = survey(replace(running.domain, state=DomainState.SHUTOFF), [], rules, directories)
    assert ("memory-backing", "pc.ram") in kinds(stopped)
    assert stopped.problems == ()
    assert make_plan(stopped, 1, rules).refusals == ()


# -- block devices


@pytest.fixture
def loop(scratch: Path) -> Iterator[Callable[[Path], str]]:
    """``loop(path)``: a loop device on a file, detached at the end."""
    made: list[str] = []

    def make(path: Path, *options: str) -> str:
        words = ["losetup", "--find", "--show", *options, str(path)]
        made.append(subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip())
        return made[-1]

    yield make
    for device in reversed(made):
        subprocess.run(["losetup", "--detach", device], check=True)


def block(device: str, **facts: object) -> DiskSource:
    """A disk of type block."""
    return replace(DiskSource("vda", "block", device, "raw"), **facts)  # type: ignore[arg-type]


def test_a_block_device(scratch: Path, loop: Callable[[Path], str], markers: Markers) -> None:
    """Found whole by its number; owned by whoever reaches the device or the file beneath; erased and read back via block-odirect, no marker left."""
    backing = scratch / "disk.img"
    markers.write(backing, 300)
    device = loop(backing)
    rules, directories = StorageRules(roots=(device,), writers=2), directories_in(scratch / "libvirt")
    domain = phone(block(device))
    (found,) = survey(domain, [], rules, directories).artefacts
    number = os.stat(device).st_rdev
    assert (str(found.kind), found.layer.identity, found.owners) == ("block-device", FileIdentity(number, 0), (ME,))
    assert found.layer.filesystem is not None
    assert found.layer.extents is not None
    assert (found.layer.filesystem.fs_type, found.layer.extents.count, found.layer.extents.bytes) == ("block", 1, 300 * 4096)
    plan = make_plan(survey(domain, [], rules, directories), 1, rules)
    assert (plan.refusals, len(plan.steps)) == ((), 1)
    by_number = f"/dev/block/{os.major(number)}:{os.minor(number)}"
    for disk in (block(device), DiskSource("vda", "file", str(backing), "raw"), DiskSource("vda", "file", device, "raw"), block(by_number)):
        if os.path.exists(disk.location):
            assert survey(domain, [neighbour(disk)], rules, directories).artefacts[0].owners == (ME, OTHER)
    assert refusals(make_plan(survey(domain, [], replace(rules, roots=("/dev/vg",)), directories), 1, rules)) == [("outside-roots", os.path.basename(device))]
    with open_block(device, found.layer.identity, write=True, exclusive=True) as disk_file:
        extents = whole_device_map(disk_file.fd)
        assert write_ranges(disk_file.fd, extents, Keystream(SEED, ARTEFACT), writers=2) == extents.bytes
        os.fsync(disk_file.fd)
    assert found.layer.identity is not None
    request = ReadBack(ARTEFACT, device, found.layer.identity, SEED.hex(), extents.digest)
    evidence = read_back(request, rules, directories)
    assert (evidence.reasons, evidence.via, evidence.bytes_verified) == ((), "block-odirect", 300 * 4096)
    outside = read_back(request, replace(rules, roots=("/dev/vg",)), directories)
    assert outside.reasons == ("readback-impossible",)
    os.sync()
    assert marked_blocks(backing, markers.prefix) == 0


def test_a_block_device_that_somebody_has(scratch: Path, loop: Callable[..., str]) -> None:
    """Mounted: told, and refused as such."""
    backing, at = scratch / "disk.img", scratch / "at"
    at.mkdir()
    with backing.open("xb") as file:
        file.truncate(16 * MIB)
    device = loop(backing)
    subprocess.run(["mkfs.ext4", "-q", device], check=True)
    subprocess.run(["mount", device, at], check=True)
    try:
        rules = StorageRules(roots=(device,))
        inventory = survey(phone(block(device)), [], rules, directories_in(scratch / "libvirt"))
        assert ("mounted", os.path.basename(device)) in refusals(make_plan(inventory, 1, rules))
    finally:
        subprocess.run(["umount", at], check=True)


def ensure_node(part: str) -> None:
    """Make the node of a partition where no udev does."""
    major, minor = Path(f"/sys/class/block/{os.path.basename(part)}/dev").read_text().split(":")
    if os.path.exists(part) and os.stat(part).st_rdev != os.makedev(int(major), int(minor)):
        os.unlink(part)
    if not os.path.exists(part):
        os.mknod(part, 0o660 | stat.S_IFBLK, os.makedev(int(major), int(minor)))


def test_partitions_of_one_disk(scratch: Path, loop: Callable[..., str]) -> None:
    """Another partition of the disk is another's, and this one the phone's all the same; who has the whole disk, or its file, has this one too."""
    backing = scratch / "disk.img"
    with backing.open("xb") as file:  # an MBR with two partitions of 16 MiB
        file.truncate(40 * MIB)
        for number in range(2):
            file.seek(446 + 16 * number)
            file.write(struct.pack("<B3sB3sII", 0, b"", 0x83, b"", 2048 + number * 32768, 32768))
        file.seek(510)
        file.write(b"\x55\xaa")
    device = loop(backing, "--partscan")
    one, two = f"{device}p1", f"{device}p2"
    for number, part in enumerate((one, two)):
        if not os.path.exists(f"/sys/class/block/{os.path.basename(part)}"):  # a kernel that reads no partition tables
            subprocess.run(["addpart", device, str(number + 1), str(2048 + number * 32768), "32768"], check=True)
        ensure_node(part)
    rules, directories = StorageRules(roots=(one,)), directories_in(scratch / "libvirt")
    domain = phone(block(one))

    def owners(disk: DiskSource) -> tuple[str, ...]:
        return survey(domain, [neighbour(disk)], rules, directories).artefacts[0].owners

    assert owners(block(two)) == (ME,)
    assert owners(block(device)) == owners(DiskSource("vda", "file", str(backing), "raw")) == owners(block(one)) == (ME, OTHER)
    image = phone(DiskSource("vda", "file", str(backing), "raw"))
    assert survey(image, [neighbour(block(two))], StorageRules(roots=(str(scratch),)), directories).artefacts[0].owners == (ME, OTHER)
    for part in (one, two):
        os.unlink(part)


# -- reflinks


def test_a_reflinked_clone(raw_fs: MakeFilesystem, scratch: Path, markers: Markers) -> None:
    """A clone keeps the golden image's blocks: the private ones alone are the artefact's map, erased and read back; the golden file's content is equal."""
    root = raw_fs("xfs").mount_point
    assert root is not None
    golden, images = root / "golden", root / "images"
    golden.mkdir()
    images.mkdir()
    base, clone = golden / "base.raw", images / "clone.raw"
    base.write_bytes(os.urandom(4 * MIB))
    subprocess.run(["cp", "--reflink=always", base, clone], check=True)
    markers.write(clone, 64, at_block=128)
    content = base.read_bytes()
    rules, directories = StorageRules(roots=(str(images),), protected=(str(golden),), writers=2), directories_in(scratch / "libvirt")
    domain = phone(DiskSource("vda", "file", str(clone), "raw"))
    (found,) = survey(domain, [], rules, directories).artefacts
    assert found.layer.problem == ""
    assert found.layer.extents is not None
    assert found.layer.retained_extents is not None
    assert (found.layer.extents.bytes, found.layer.retained_extents.bytes, found.layer.golden) == (64 * 4096, 4 * MIB - 64 * 4096, str(base))
    assert make_plan(survey(domain, [], rules, directories), 1, rules).refusals == ()
    fd = os.open(clone, os.O_RDWR)
    try:
        mapped = map_artefact(fd, rules, directories, settled=True)
        assert write_ranges(fd, mapped.extents, Keystream(SEED, ARTEFACT), writers=2) == 64 * 4096
        os.fsync(fd)
    finally:
        os.close(fd)
    evidence = read_back(ReadBack(ARTEFACT, str(clone), identity_of(clone), SEED.hex(), mapped.digest), rules, directories)
    assert (evidence.reasons, evidence.via, evidence.bytes_verified) == ((), "block-odirect", 64 * 4096)
    assert base.read_bytes() == content
    foreign = survey(domain, [], replace(rules, protected=()), directories)
    assert refusals(make_plan(foreign, 1, rules)) or make_plan(foreign, 1, rules).expected_reasons == ("extent-shared",)


# -- doubtful places


def test_a_filesystem_that_died(scratch: Path) -> None:
    """A file on a dead FUSE mount is not absent: it cannot be asked, so the plan refuses."""
    at = scratch / "dead"
    at.mkdir()
    server = subprocess.Popen(["nbdfuse", at, "--command", "nbdkit", "-s", "memory", "1M"])
    try:
        wait_for((at / "nbd").exists, "nbdfuse")
        server.kill()
        server.wait()
        inventory = survey(
            phone(nvram=str(at / "nvram.fd"), console_logs=(str(at / "console.log"),)), [], StorageRules(roots=(str(scratch),)), directories_in(scratch / "l")
        )
        assert {found.layer.problem for found in inventory.artefacts} == {"unreadable"}
        assert ("unreadable", "dead") in codes(inventory)
    finally:
        server.kill()
        server.wait()
        subprocess.run(["umount", "-l", at], check=True)


def test_an_automount_that_did_not_mount(scratch: Path) -> None:
    """Beneath an automount nothing is absent before it was mounted: NVRAM, logs and directories there are in doubt."""
    at = scratch / "auto"
    at.mkdir()
    reader, writer = os.pipe()
    options = f"fd={writer},pgrp={os.getpgrp()},minproto=5,maxproto=5,indirect"
    done = subprocess.run(["mount", "-t", "autofs", "-o", options, "none", at], check=False, capture_output=True, pass_fds=[writer])
    if done.returncode != 0:
        os.close(reader)
        os.close(writer)
        pytest.skip(f"no autofs here: {done.stderr.decode()}")
    try:
        domain = phone(nvram=str(at / "nvram.fd"), console_logs=(str(at / "logs/console.log"),), shared_directories=(str(at / "share"),))
        inventory = survey(domain, [], StorageRules(roots=(str(scratch),), extra_artefacts=(f"{at}/{{uuid}}/*",)), directories_in(scratch / "libvirt"))
        assert codes(inventory) == [("unreadable", name) for name in ("nvram.fd", "console.log", "logs", "share", ME)]
        assert all("automount" in detail for _, _, detail in inventory.problems)
    finally:
        subprocess.run(["umount", at], check=True)
        os.close(reader)
        os.close(writer)


def test_a_disk_beyond_a_mount_beneath_its_root(raw_fs: MakeFilesystem, scratch: Path) -> None:
    """The eraser would not cross it, so the plan says so before the phone is stopped; with the mount as a root of its own it may."""
    root = raw_fs("ext4").mount_point
    assert root is not None
    disk = root / "a.raw"
    disk.write_bytes(b"x" * 4096)
    domain, directories = phone(DiskSource("vda", "file", str(disk), "raw")), directories_in(scratch / "libvirt")
    assert refusals(make_plan(survey(domain, [], StorageRules(roots=(str(scratch),)), directories), 1, StorageRules())) == [("outside-roots", "a.raw")]
    assert refusals(make_plan(survey(domain, [], StorageRules(roots=(str(scratch), str(root))), directories), 1, StorageRules())) == []


def test_nothing_mounted_holds_nothing(scratch: Path) -> None:
    """A mount point without its filesystem cannot be told from an empty directory: absent, as documented."""
    inventory = survey(phone(nvram=str(scratch / "none/nvram.fd")), [], StorageRules(roots=(str(scratch),)), directories_in(scratch / "libvirt"))
    assert (inventory.artefacts, inventory.problems) == ((), ())


def test_a_mount_within_a_shared_directory(raw_fs: MakeFilesystem, scratch: Path) -> None:
    """Another filesystem mounted within what the guest shares is not crossed, and told."""
    share = scratch / "share"
    (share / "inner").mkdir(parents=True)
    (share / "a").write_bytes(b"x")
    raw_fs("ext4", at=share / "inner")
    (share / "inner" / "b").write_bytes(b"x")
    inventory = survey(phone(shared_directories=(str(share),)), [], StorageRules(roots=(str(scratch),)), directories_in(scratch / "libvirt"))
    assert (kinds(inventory), codes(inventory)) == ({("shared-directory", "a")}, [("mounted", "inner")])


def test_another_shares_the_same_directory_under_another_name(scratch: Path) -> None:
    """A bind mount shows the phone's directory elsewhere; whoever shares that owns what is in it."""
    share, bound = scratch / "share", scratch / "bound"
    share.mkdir()
    bound.mkdir()
    disk = share / "a.raw"
    disk.write_bytes(b"x" * 4096)
    subprocess.run(["mount", "--bind", share, bound], check=True)
    try:
        other = replace(neighbour(), shared_directories=(str(bound),))
        inventory = survey(phone(DiskSource("vda", "file", str(disk), "raw")), [other], StorageRules(roots=(str(share),)), directories_in(scratch / "libvirt"))
        assert inventory.artefacts[0].owners == (ME, OTHER)
    finally:
        subprocess.run(["umount", bound], check=True)


# -- read-back within every bound


def test_read_back_within_templates_and_libvirts_places(raw_fs: MakeFilesystem, scratch: Path) -> None:
    """What may be erased may be read back: TPM state, secrets, logs, moved dumps, templates and own directories; nothing else may."""
    root = raw_fs("ext4").mount_point
    assert root is not None
    base = root / "libvirt"
    directories = directories_in(base)
    Path(directories.qemu_conf).write_text(f'auto_dump_path = "{root}/dumps"\n')
    rules = StorageRules(extra_artefacts=(f"{root}/backup/{{uuid}}/**",), phone_directories=(f"{root}/phones/{{uuid}}",), writers=2)
    inside = [
        Path(directories.swtpm) / ME / "tpm2" / "x",
        Path(directories.secrets) / "x.base64",
        Path(directories.swtpm_logs) / "x.log",
        root / "dumps/phone.core",
        root / "backup" / ME / "2026" / "x",
        root / "phones" / ME / "x",
    ]
    for path in inside:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(8192))
        fd = os.open(path, os.O_RDWR)
        mapped = map_artefact(fd, rules, directories)
        write_ranges(fd, mapped.extents, Keystream(SEED, ARTEFACT), writers=2)
        os.fsync(fd)
        os.close(fd)
        found = read_back(request_for(path), rules, directories)
        assert found.reasons == (), found.detail
    for path in (root / "backup" / "x", root / "phones" / "x"):
        path.write_bytes(os.urandom(8192))
        assert read_back(request_for(path), rules, directories).reasons == ("readback-impossible",)
