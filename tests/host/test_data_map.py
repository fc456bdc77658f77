"""The data map, kind by kind on real libvirt: what a phone leaves on its host is found by `plan`, and wiped, refused or told as a residual.

One host with one phone for each row; every place lies on a raw device that is searched before and after. Each row's real producer made what it leaves:
libvirt, QEMU, swtpm, qemu-img.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.lab import images
from tests.lab.privatelibvirt import LabError, PrivateLibvirt, wait_for
from tests.lab.rawdevice import MIB, Markers, RawFilesystem, occurrences
from tests.lab.stage import Product

BLOCKS = 64
#: device name -> place inside the namespace, where libvirt itself writes
OWN_PLACES = {
    "save": "/var/lib/libvirt/qemu/save",
    "dump": "/var/lib/libvirt/qemu/dump",
    "swtpm": "/var/lib/libvirt/swtpm",
    "secrets": "/etc/libvirt/secrets",
    "logs": "/var/log/libvirt/qemu",
    "nvram": "/var/lib/libvirt/qemu/nvram",
}


@dataclass
class Phone:
    """One row's phone: needles that must be on a device before, and which of them may be there after (`stays`)."""

    name: str
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    markers: Markers = field(default_factory=Markers)
    needles: list[tuple[str, bytes]] = field(default_factory=list)
    stays: list[tuple[str, bytes]] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)

    @property
    def serial(self) -> str:
        """A marker that the firmware copies into the guest's RAM (SMBIOS)."""
        return f"RAM-{self.markers.run}"


class Host:
    """The stage: raw devices, libvirt, and the phones made so far."""

    def __init__(self, libvirt: PrivateLibvirt, raw_fs: Callable[..., RawFilesystem]) -> None:
        self.libvirt = libvirt
        self.devices: dict[str, RawFilesystem] = {}
        for name, kind in (("phones", "ext4"), ("clones", "xfs")):
            place = libvirt.workdir / name
            place.mkdir()
            self.devices[name] = raw_fs(kind, at=place)
        for name, inside in OWN_PLACES.items():
            place = libvirt.path(inside)
            place.mkdir(parents=True, exist_ok=True)
            self.devices[name] = raw_fs("ext4", at=place)
        self.phones = libvirt.workdir / "phones"
        self.clones = libvirt.workdir / "clones" / "phones"
        self.golden = libvirt.workdir / "clones" / "golden"
        self.clones.mkdir()
        self.golden.mkdir()
        self.raw: dict[str, Path] = {}
        self.loops: list[str] = []
        self.victims: dict[Path, str] = {}

    def disk(self, phone: Phone, suffix: str = "qcow2", fmt: str = "qcow2", *, options: str = "", blocks: int = BLOCKS, at_block: int = 0) -> Path:
        """A marked image among the phones."""
        path = images.create(self.phones / f"{phone.name}.{suffix}", 16 * MIB, fmt, options=options)
        images.write_markers(path, phone.markers, blocks, fmt, at_block=at_block)
        phone.needles.append(("phones", phone.markers.prefix))
        return path

    def define(self, phone: Phone, devices: str, *, more: str = "") -> None:
        """A domain that runs its firmware and stops there; its serial number is in its RAM."""
        self.libvirt.define(
            f"<domain type='qemu'><name>{phone.name}</name><uuid>{phone.uuid}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>{more}"
            f"<sysinfo type='smbios'><system><entry name='serial'>{phone.serial}</entry></system></sysinfo>"
            f"<os><type arch='x86_64' machine='q35'>hvm</type><smbios mode='sysinfo'/></os><features><acpi/></features>"
            f"<on_poweroff>destroy</on_poweroff><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{devices}<memballoon model='none'/></devices></domain>"
        )

    def start(self, phone: Phone) -> None:
        """Start it and give the firmware a moment."""
        self.libvirt.virsh("start", phone.uuid)
        time.sleep(1.0)

    def virsh(self, *words: str | Path) -> None:
        """Let libvirt do it."""
        self.libvirt.virsh(*words)

    def count(self, device: str, needle: bytes) -> int:
        """How often a needle stands on a raw device."""
        return occurrences(self.raw[device] if device in self.raw else self.devices[device].image, needle)

    def close(self) -> None:
        """Give the loop devices back."""
        for loop in self.loops:
            subprocess.run(["losetup", "-d", loop], check=False)


def disk_xml(path: Path | str, fmt: str = "qcow2", target: str = "vda", *, kind: str = "file", device: str = "disk", driver: str = "", inner: str = "") -> str:
    """One `<disk>`."""
    source = {"file": "file", "block": "dev", "dir": "dir"}[kind]
    bus = "sata" if device == "cdrom" else "virtio"
    return (
        f"<disk type='{kind}' device='{device}'><driver name='qemu' type='{fmt}'{driver}/><source {source}='{path}'/>"
        f"<target dev='{target}' bus='{bus}'/>{inner}</disk>"
    )


# -- the rows: each makes one phone


def opaque_file(fmt: str) -> Callable[[Host, Phone], None]:
    """vmdk, vdi, qed: files that are not understood, and overwritten whole."""

    def make(host: Host, phone: Phone) -> None:
        host.define(phone, disk_xml(host.disk(phone, fmt, fmt), fmt))

    return make


def pool_volume(host: Host, phone: Phone) -> None:
    """A disk named by pool and volume."""
    pool = host.phones / "pool"
    pool.mkdir()
    host.virsh("pool-create-as", "lab", "dir", "--target", pool)
    host.virsh("vol-create-as", "lab", f"{phone.name}.qcow2", "16M", "--format", "qcow2")
    images.write_markers(pool / f"{phone.name}.qcow2", phone.markers, BLOCKS)
    phone.needles.append(("phones", phone.markers.prefix))
    host.define(
        phone,
        f"<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='lab' volume='{phone.name}.qcow2'/>"
        "<target dev='vda' bus='virtio'/></disk>",
    )


def block_device(host: Host, phone: Phone) -> None:
    """A loop device as a block disk; its backing file is the raw device."""
    host.define(phone, disk_xml(host.loops[0], "raw", kind="block"))
    images.write_markers(Path(host.loops[0]), phone.markers, BLOCKS, "raw")
    phone.needles.append(("loop", phone.markers.prefix))


def opaque_disk(source: str) -> Callable[[Host, Phone], None]:
    """Storage that is no file of this host."""

    def make(host: Host, phone: Phone) -> None:
        path = host.disk(phone)
        phone.stays.append(("phones", phone.markers.prefix))
        host.define(phone, disk_xml(path) + source)

    return make


def hot_plugged(host: Host, phone: Phone) -> None:
    """A disk that only the running phone has."""
    host.define(phone, disk_xml(host.disk(phone)))
    host.start(phone)
    extra = images.create(host.phones / f"{phone.name}-extra.raw", 16 * MIB, "raw")
    images.write_markers(extra, phone.markers, BLOCKS, "raw", at_block=BLOCKS)
    host.virsh("attach-disk", phone.uuid, extra, "vdb", "--live", "--driver", "qemu", "--subdriver", "raw")
    phone.stays.append(("phones", phone.markers.prefix))


def former_disk(host: Host, phone: Phone) -> None:
    """A disk that only a snapshot still names."""
    second = images.create(host.phones / f"{phone.name}-second.qcow2", 16 * MIB)
    images.write_markers(second, phone.markers, BLOCKS, at_block=BLOCKS)
    host.define(phone, disk_xml(host.disk(phone)) + disk_xml(second, target="vdb"))
    images.external_snapshots(host.libvirt, phone.uuid, host.phones, 1)
    host.virsh("detach-disk", phone.uuid, "vdb", "--config")


def committed_overlay(host: Host, phone: Phone) -> None:
    """What a block commit leaves: the overlay that is no longer used, named by its snapshot."""
    host.define(phone, disk_xml(host.disk(phone)))
    host.start(phone)
    overlay = host.phones / f"{phone.name}.overlay"
    host.virsh("snapshot-create-as", phone.uuid, "s1", "--disk-only", "--atomic", "--diskspec", f"vda,snapshot=external,file={overlay}")
    host.virsh("blockcommit", phone.uuid, "vda", "--active", "--pivot", "--wait")
    host.virsh("destroy", phone.uuid)
    images.write_markers(overlay, phone.markers, BLOCKS, at_block=BLOCKS)


def checkpoint(host: Host, phone: Phone) -> None:
    """A checkpoint with its bitmap in the image."""
    host.define(phone, disk_xml(host.disk(phone)))
    host.start(phone)
    host.virsh("checkpoint-create-as", phone.uuid, "c1", "--diskspec", "vda")
    host.virsh("destroy", phone.uuid)


def internal_snapshot(host: Host, phone: Phone) -> None:
    """A snapshot with RAM inside the qcow2."""
    host.define(phone, disk_xml(host.disk(phone)))
    host.start(phone)
    host.virsh("snapshot-create-as", phone.uuid, "inside")
    host.virsh("destroy", phone.uuid)
    phone.needles.append(("phones", phone.serial.encode()))


def managed_save(host: Host, phone: Phone) -> None:
    """libvirt's managed save."""
    host.define(phone, disk_xml(host.disk(phone)))
    host.start(phone)
    host.virsh("managedsave", phone.uuid)
    phone.needles.append(("save", phone.serial.encode()))


def snapshot_memory(host: Host, phone: Phone) -> None:
    """An external snapshot with its RAM in a file."""
    host.define(phone, disk_xml(host.disk(phone)))
    host.start(phone)
    host.virsh(
        "snapshot-create-as", phone.uuid, "with-ram", "--live", "--memspec", f"{host.phones}/{phone.name}.ram",
        "--diskspec", f"vda,snapshot=external,file={host.phones}/{phone.name}.over",
    )  # fmt: skip
    host.virsh("destroy", phone.uuid)
    phone.needles.append(("phones", phone.serial.encode()))


def dump(host: Host, phone: Phone) -> None:
    """A dump of the RAM where libvirt keeps dumps."""
    host.define(phone, disk_xml(host.disk(phone)))
    host.start(phone)
    host.virsh("dump", phone.uuid, f"{OWN_PLACES['dump']}/{phone.name}.core")
    host.virsh("destroy", phone.uuid)
    phone.needles.append(("dump", phone.serial.encode()))


def memory_on_disk(inside: str) -> Callable[[Host, Phone], None]:
    """RAM that is a file on a disk, unlinked by libvirt at the stop."""

    def make(host: Host, phone: Phone) -> None:
        host.define(phone, disk_xml(host.disk(phone)), more=inside)
        host.start(phone)
        assert list(host.libvirt.path("/var/lib/libvirt/qemu/ram").glob(f"*-{phone.name}/*"))
        phone.stays.append(("phones", phone.markers.prefix))

    return make


def tpm(host: Host, phone: Phone) -> None:
    """A TPM's state; its keys are the needle."""
    host.define(phone, disk_xml(host.disk(phone)) + "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>")
    host.start(phone)
    host.virsh("destroy", phone.uuid)
    state = next(host.libvirt.path(OWN_PLACES["swtpm"]).glob(f"{phone.uuid}/*/*permall")).read_bytes()
    needle = max(state[512:-512].split(b"\0"), key=len)[:48]
    assert len(needle) >= 16
    phone.needles.append(("swtpm", needle))


def firmware_variables(host: Host, phone: Phone) -> None:
    """Variables that libvirt made under the phone's name, for firmware that its definition has no more."""
    disk = disk_xml(host.disk(phone))
    host.libvirt.define(
        f"<domain type='qemu'><name>{phone.name}</name><uuid>{phone.uuid}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu><os>"
        f"<type arch='x86_64' machine='q35'>hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader></os>"
        f"<features><acpi/></features>"
        f"<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{disk}</devices></domain>"
    )
    host.start(phone)
    host.virsh("destroy", phone.uuid)
    variables = host.libvirt.path(OWN_PLACES["nvram"]) / f"{phone.name}_VARS.fd"
    phone.markers.write(variables, 2, at_block=2)
    phone.needles.append(("nvram", phone.markers.prefix))
    host.define(phone, disk)


def transient_disk(host: Host, phone: Phone) -> None:
    """What the guest wrote to a transient disk, as a loss of power leaves it: libvirt removes the file at any other stop."""
    disk = host.disk(phone)
    host.define(phone, disk_xml(disk, inner="<transient/>"))
    host.start(phone)
    overlay = next(disk.parent.glob(f"{disk.name}.TRANSIENT*"))
    content = overlay.read_bytes()
    host.virsh("destroy", phone.uuid)
    assert not overlay.exists()
    overlay.write_bytes(content)
    images.write_markers(overlay, phone.markers, BLOCKS, at_block=BLOCKS)


def console_log(host: Host, phone: Phone) -> None:
    """A console log and its rotation."""
    log = host.phones / f"{phone.name}.log"
    host.define(phone, disk_xml(host.disk(phone)) + f"<serial type='file'><source path='{log}'/></serial>")
    phone.markers.write(log, 2, at_block=0)
    phone.markers.write(Path(f"{log}.0"), 2, at_block=0)


def qemu_log(host: Host, phone: Phone) -> None:
    """QEMU's own log, which names the phone and its files."""
    host.define(phone, disk_xml(host.disk(phone)))
    host.start(phone)
    host.virsh("destroy", phone.uuid)
    phone.needles.append(("logs", phone.serial.encode()))


def own_seed(host: Host, phone: Phone) -> None:
    """A cloud-init seed whose name holds the UUID."""
    seed = host.phones / f"seed-{phone.uuid}.iso"
    phone.markers.write(seed, 4, at_block=BLOCKS)
    host.define(phone, disk_xml(host.disk(phone)) + disk_xml(seed, "raw", "sda", device="cdrom", inner="<readonly/>"))


def install_media(host: Host, phone: Phone) -> None:
    """An install CD that a neighbour has too."""
    host.define(phone, disk_xml(host.disk(phone)) + disk_xml(host.phones / "install.iso", "raw", "sda", device="cdrom", inner="<readonly/>"))


def lonely_media(host: Host, phone: Phone) -> None:
    """A CD of which nobody can say whose it is."""
    cd = host.phones / "lonely.iso"
    phone.markers.write(cd, 4, at_block=BLOCKS)
    host.victims[cd] = images.digest(cd)
    host.define(phone, disk_xml(host.disk(phone)) + disk_xml(cd, "raw", "sda", device="cdrom", inner="<readonly/>"))
    phone.stays.append(("phones", phone.markers.prefix))


def shared_directory(host: Host, phone: Phone) -> None:
    """A directory shared by 9p."""
    shared = host.phones / f"{phone.name}-share"
    (shared / "deep/er").mkdir(parents=True)
    phone.markers.write(shared / "accounts.db", 4, at_block=BLOCKS)
    phone.markers.write(shared / 'deep/er/ünï ç&amp; "quoted"', 4, at_block=2 * BLOCKS)
    host.define(phone, disk_xml(host.disk(phone)) + f"<filesystem type='mount'><source dir='{shared}'/><target dir='share'/></filesystem>")


def hostile_share(host: Host, phone: Phone) -> None:
    """A shared directory in which the guest made a symbolic link to a golden image."""
    shared = host.phones / f"{phone.name}-share"
    shared.mkdir()
    (shared / "link").symlink_to(host.golden / "base.raw")
    phone.markers.write(shared / "accounts.db", 4, at_block=BLOCKS)
    host.define(phone, disk_xml(host.disk(phone)) + f"<filesystem type='mount'><source dir='{shared}'/><target dir='share'/></filesystem>")
    phone.stays.append(("phones", phone.markers.prefix))


def libvirt_secret(host: Host, phone: Phone) -> None:
    """A secret of libvirt's that is bound to the phone's volume."""
    path, value = host.disk(phone), secrets.token_hex(24)
    key = str(uuid.uuid4())
    xml = host.libvirt.workdir / "secret.xml"
    xml.write_text(f"<secret ephemeral='no' private='yes'><uuid>{key}</uuid><usage type='volume'><volume>{path}</volume></usage></secret>")
    host.virsh("secret-define", xml)
    host.virsh("secret-set-value", key, "--base64", value)
    phone.needles.append(("secrets", value.encode()))
    host.define(phone, disk_xml(path))


def backup(host: Host, phone: Phone) -> None:
    """A backup that only the configuration's template names."""
    place = host.phones / "backup" / phone.uuid / "daily"
    place.mkdir(parents=True)
    phone.markers.write(place / "backup.tar", 4, at_block=BLOCKS)
    host.define(phone, disk_xml(host.disk(phone)))


def cuttlefish(host: Host, phone: Phone) -> None:
    """A phone's own directory as Cuttlefish fills it."""
    place = host.phones / "cvd" / phone.uuid
    (place / "tombstones").mkdir(parents=True)
    for number, name in enumerate(("sdcard.img", "NVChip", "access-kregistry", "modem_nvram.json", "tombstones/tombstone_00"), start=1):
        phone.markers.write(place / name, 2, at_block=number * BLOCKS)
    disk = images.create(place / "userdata.img", 16 * MIB, "raw")
    images.write_markers(disk, phone.markers, BLOCKS, "raw")
    phone.needles.append(("phones", phone.markers.prefix))
    host.define(phone, disk_xml(disk, "raw"))


def unknown_file(host: Host, phone: Phone) -> None:
    """A file in the phone's own directory that no profile lists."""
    cuttlefish(host, phone)
    stranger = host.phones / "cvd" / phone.uuid / "thesis-of-the-operator.doc"
    phone.markers.write(stranger, 2, at_block=9 * BLOCKS)
    host.victims[stranger] = images.digest(stranger)
    phone.stays.append(("phones", phone.markers.prefix))


def trimmed(host: Host, phone: Phone) -> None:
    """Blocks that the guest trimmed: free space of the filesystem, still readable."""
    path = host.disk(phone, "raw", "raw", blocks=4 * BLOCKS)
    images.discard(path, 0, 2 * BLOCKS, "raw")
    host.define(phone, disk_xml(path, "raw", driver=" discard='unmap'"))


def reflink(host: Host, phone: Phone) -> None:
    """A disk cloned from the golden image by reflink, with blocks of its own."""
    path = host.clones / f"{phone.name}.raw"
    subprocess.run(["cp", "--reflink=always", host.golden / "base.raw", path], check=True)
    images.write_markers(path, phone.markers, BLOCKS, "raw", at_block=512)
    phone.needles.append(("clones", phone.markers.prefix))
    host.define(phone, disk_xml(path, "raw"))


@dataclass(frozen=True)
class Row:
    """One line of the table. `end`: `clear`, or the refusal code. `kinds`: in the plan beside `disk-image`. `residual`: on the certificate."""

    name: str
    make: Callable[[Host, Phone], None]
    end: str = "clear"
    kinds: frozenset[str] = frozenset()
    residual: str = ""
    reason: str = ""


def row(name: str, make: Callable[[Host, Phone], None], end: str = "clear", kinds: Iterable[str] = (), **told: str) -> Row:
    """A line."""
    return Row(name, make, end, frozenset(kinds), **told)


NETWORK = "<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='nbd' name='x'><host name='192.0.2.1' port='10809'/></source><target dev='vdb' bus='virtio'/></disk>"  # noqa: E501
NVME = "<disk type='nvme' device='disk'><driver name='qemu' type='raw'/><source type='pci' managed='yes' namespace='1'><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source><target dev='vdb' bus='virtio'/></disk>"  # noqa: E501
NUMA = "<cpu><numa><cell id='0' cpus='0' memory='64' unit='MiB' memAccess='shared'/></numa></cpu>"
DIRECTORY = "<disk type='dir' device='disk'><driver name='qemu' type='fat'/><source dir='/srv'/><target dev='vdb' bus='virtio'/><readonly/></disk>"

TABLE = (
    row("vmdk", opaque_file("vmdk")),
    row("vdi", opaque_file("vdi")),
    row("qed", opaque_file("qed")),
    row("volume", pool_volume),
    row("block", block_device, kinds=["block-device"]),
    row("network", opaque_disk(NETWORK), "unsupported-artefact", reason="opaque-storage"),
    row("nvme", opaque_disk(NVME), "unsupported-artefact", reason="opaque-storage"),
    row("dir", opaque_disk(DIRECTORY), "unsupported-artefact", reason="opaque-storage"),
    row("hot-plugged", hot_plugged, "live-only"),
    row("former-disk", former_disk, kinds=["snapshot-overlay", "backing-private"]),
    row("block-commit", committed_overlay),
    row("checkpoint", checkpoint),
    row("internal-snapshot", internal_snapshot),
    row("managed-save", managed_save, kinds=["memory-image"]),
    row("snapshot-memory", snapshot_memory, kinds=["memory-image", "snapshot-overlay", "backing-private"]),
    row("dump", dump, kinds=["core-dump"]),
    row("ram-file", memory_on_disk("<memoryBacking><source type='file'/></memoryBacking>"), "live-only"),
    row("ram-shared", memory_on_disk("<memoryBacking><access mode='shared'/></memoryBacking>"), "live-only"),
    row("ram-of-a-cell", memory_on_disk(NUMA), "live-only"),
    row("tpm", tpm, kinds=["tpm-state"]),
    row("firmware-variables", firmware_variables, kinds=["nvram"]),
    row("transient-disk", transient_disk, kinds=["snapshot-overlay"]),
    row("console-log", console_log, kinds=["console-log"]),
    row("qemu-log", qemu_log, kinds=["console-log"]),
    row("own-seed", own_seed, kinds=["install-media"]),
    row("install-media", install_media),
    row("lonely-media", lonely_media, "ambiguous-base"),
    row("shared-directory", shared_directory, kinds=["shared-directory"]),
    row("hostile-share", hostile_share, "symlink"),
    row("secret", libvirt_secret, kinds=["libvirt-secret"]),
    row("backup", backup, kinds=["extra"]),
    row("cuttlefish", cuttlefish, kinds=["tpm-state", "extra"]),
    row("unknown-file", unknown_file, "unknown-file"),
    row("trimmed", trimmed, residual="guest-discard-enabled"),
    row("reflink", reflink),
)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_whole_data_map(raw_fs: Callable[..., RawFilesystem]) -> None:
    """Every row of the table, on one host at once; then no marker of a wiped phone on any raw device, and nothing of anybody else's changed."""
    with PrivateLibvirt(qemu_conf='swtpm_user = "root"\nswtpm_group = "root"\n') as libvirt:
        host = Host(libvirt, raw_fs)
        try:
            story(host)
        finally:
            host.close()


def story(host: Host) -> None:
    """Build, look, wipe, search."""
    base = images.create(host.golden / "base.raw", 16 * MIB, "raw", options="preallocation=full")
    Markers().write(host.phones / "install.iso", 16)
    host.define(Phone("neighbour"), disk_xml(host.phones / "install.iso", "raw", "sda", device="cdrom", inner="<readonly/>"))
    golden = Markers()
    golden.write(base, 16)
    host.victims |= {path: images.digest(path) for path in (base, host.phones / "install.iso")}
    backing = host.libvirt.workdir / "loop.raw"
    images.create(backing, 16 * MIB, "raw", options="preallocation=full")
    host.raw["loop"] = backing
    host.loops.append(subprocess.run(["losetup", "--direct-io=on", "--show", "-f", backing], check=True, capture_output=True, text=True).stdout.strip())

    phones = {line.name: Phone(line.name) for line in TABLE}
    for line in TABLE:
        line.make(host, phones[line.name])
        if host.libvirt.state(phones[line.name].uuid) != "running":
            host.virsh("autostart", phones[line.name].uuid)
    storage = "\n".join(
        (
            f"extra_artefacts = {json.dumps([f'{host.phones}/backup/{{uuid}}/**'])}",
            f"phone_directories = {json.dumps([f'{host.phones}/cvd/{{uuid}}'])}",
            'profile = "cuttlefish"',
        )
    )
    os.sync()
    faults = [
        f"{name}: {needle!r} is not on {device} before" for name, phone in phones.items() for device, needle in phone.needles if not host.count(device, needle)
    ]
    assert faults == []

    ends: dict[str, Any] = {}
    with Product(host.libvirt, [host.phones, host.clones, Path(host.loops[0])], [host.golden], storage=storage, safety="breaker_max = 1000") as product:
        wait_for(lambda: len(product.get("/v1/phones")["items"]) >= len(phones), "the phones to be seen")
        for phone in phones.values():
            phone.plan = product.ask("plan", phone.uuid)
        for phone in phones.values():
            product.bind(phone.uuid)
        for line in TABLE:
            ends[line.name] = end_of(product, line, phones[line.name])
    for line in TABLE:
        faults += faults_of(host, line, phones[line.name], ends[line.name])
    faults += [f"{path} was changed" for path, digest in host.victims.items() if not path.exists() or images.digest(path) != digest]
    for phone in phones.values():
        host.libvirt.virsh("destroy", phone.uuid, check=False)
    for device in host.devices.values():
        device.unmount()
    for name, phone in phones.items():
        staying = set(phone.stays)
        for device, needle in dict.fromkeys(phone.needles):
            left = host.count(device, needle)
            if (left > 0) != ((device, needle) in staying):
                faults.append(f"{name}: {left} of {needle!r} on {device} after")
    if not host.count("clones", golden.prefix):
        faults.append("the golden image's content is gone")
    assert not faults, "\n".join(faults)


def end_of(product: Product, line: Row, phone: Phone) -> Any:
    """The phone's wipe once it stands, or what `explain` says of its refusal."""
    if line.end == "clear":
        try:
            return product.wait_for_wipe(phone.uuid)
        except LabError:
            return product.explain(phone.uuid)

    def refused() -> Any:
        found = product.explain(phone.uuid)
        return found if line.end in {reason["code"] for reason in found["reasons"]} else None

    try:
        return wait_for(refused, f"{line.name} to be refused with {line.end}")
    except LabError:
        return product.explain(phone.uuid)


def faults_of(host: Host, line: Row, phone: Phone, end: Any) -> list[str]:
    """What is not as the row says."""
    out = []
    codes = {refusal["code"] for refusal in phone.plan["refusals"]}
    kinds = {step["artefact"]["kind"] for step in phone.plan["steps"]}
    if line.end != "clear":
        if line.end not in codes:
            out.append(f"{line.name}: plan refused with {sorted(codes)}")
        if line.reason and line.reason not in phone.plan["expected_reasons"]:
            out.append(f"{line.name}: plan does not say {line.reason}")
        if "reasons" not in end or line.end not in {reason["code"] for reason in end["reasons"] if isinstance(reason, dict)}:
            out.append(f"{line.name}: explain says {end}")
        if host.libvirt.virsh("domstate", phone.uuid, check=False).returncode:
            out.append(f"{line.name}: the domain is gone")
        return out
    if codes:
        out.append(f"{line.name}: refused with {[(r['code'], r['location'], r['detail']) for r in phone.plan['refusals']]}")
    if not line.kinds <= kinds:
        out.append(f"{line.name}: the plan has {sorted(kinds)}")
    if (end["state"], end.get("outcome"), end["reasons"]) != ("released", "clear", []):
        out.append(f"{line.name}: ended {end['state']} {end.get('outcome')} {end['reasons']}")
        return out
    if line.residual and line.residual not in end["residuals"]:
        out.append(f"{line.name}: residuals {end['residuals']}")
    for folder in ("/etc/libvirt/qemu", "/var/lib/libvirt/qemu", "/var/lib/libvirt/swtpm"):
        for path in host.libvirt.path(folder).rglob("*"):
            if path.is_dir():
                continue  # an empty directory of libvirt's, named by the UUID, may stay
            if phone.uuid in str(path) or (path.suffix == ".xml" and path.is_file() and phone.uuid in path.read_text()):
                out.append(f"{line.name}: {path} is left")
            if path.name == f"{phone.name}.xml":
                out.append(f"{line.name}: {path} is left")
    return out
