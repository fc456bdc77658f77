"""Rare and invented elements with a marked file inside the root: on real libvirt, and to the eraser alone. Gone, refused or named; never passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.eraser_stage import Stage, digest, random_file
from tests.lab import images
from tests.lab.libvirtfiles import Disk
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.rawdevice import Markers
from tests.lab.stage import Product, StagedPhone

QEMU = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"


def qemu(*words: str) -> str:
    """Options of QEMU's."""
    return "<qemu:commandline>" + "".join(f"<qemu:arg value='{word}'/>" for word in words) + "</qemu:commandline>"


OPTIONS = "commandline/arg/@value"
USB = "<hostdev mode='subsystem' type='usb'><source startupPolicy='optional'><vendor id='0x1234'/><product id='0x5678'/></source></hostdev>"
PCI = "<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0' bus='0' slot='31' function='7'/></source></hostdev>"
DISK = "<disk type='file' device='disk'><driver name='qemu' type='raw'/><target dev='vdb' bus='virtio'/><source file='FILE'>"
CHAIN = (
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><target dev='vdb' bus='virtio'/><source file='/nowhere'/>"
    "<backingStore type='file'><format type='raw'/>"
)
CODE = "<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
OVERRIDE = (
    "<qemu:override><qemu:device alias='video0'><qemu:frontend><qemu:property name='romfile' type='string' value='x'/></qemu:frontend></qemu:device>"
    "</qemu:override>"
)
#: name -> (what is put before `</domain>`, before `</devices>`, in `<os>`; the place that is named). FILE is the marked file. libvirt keeps each of them.
ON_LIBVIRT = {
    "drive": (qemu("-drive", "file=FILE,format=raw,if=none,id=x"), "", "", OPTIONS),
    "blockdev": (qemu("-blockdev", '{"driver":"file","node-name":"x","filename":"FILE"}'), "", "", OPTIONS),
    "fw-cfg": (qemu("-fw_cfg", "name=opt/x,file=FILE"), "", "", OPTIONS),
    "environment": ("<qemu:commandline><qemu:env name='SEED' value='FILE'/></qemu:commandline>", "", "", "commandline/env/@value"),
    "firmware-file": ("<sysinfo type='fwcfg'><entry name='opt/com.example/x' file='FILE'/></sysinfo>", "", "", "FILE"),
    "kernel": ("", "", "<kernel>FILE</kernel>", "FILE"),
    "initrd": ("", "", "<kernel>/boot/nothing</kernel><initrd>FILE</initrd>", "FILE"),
    "acpi-table": ("", "", "<acpi><table type='slic'>FILE</table></acpi>", "FILE"),
    "writable-firmware": ("", "", "<loader readonly='no' type='pflash'>FILE</loader>", "os/loader"),
    "entropy": ("", "<rng model='virtio'><backend model='random'>FILE</backend></rng>", "", "devices/rng/backend"),
    "usb-device": ("", USB, "", "devices/hostdev"),
    "pci-device": ("", PCI, "", "devices/hostdev"),
    "word": (qemu("-usb", "disk.img"), "", "", OPTIONS),
    "set": (qemu("-set", "device.video0.romfile=x"), "", "", OPTIONS),
    "device-by-word": (qemu("-device", "usb-mtp,rootdir=x"), "", "", OPTIONS),
    "machine": (qemu("-machine", "dumpdtb=x"), "", "", OPTIONS),
    "override": (OVERRIDE, "", "", "override/device/frontend/property/@value"),
    "part": ("", f"{DISK}<slices><slice type='storage' offset='0' size='4096'/></slices></source></disk>", "", "devices/disk/source/slices/slice"),
    "stated-chain": ("", f"{CHAIN}<source file='FILE'/></backingStore></disk>", "", "FILE"),
    "serial-port": ("", "<serial type='dev'><source path='FILE'/></serial>", "", "devices/serial/source/@path"),
    "pipe": ("", "<serial type='pipe'><source path='FILE'/></serial>", "", "devices/serial/source/@path"),
    "remote-variables": ("", "", f"{CODE}<nvram type='network'><source protocol='nbd' name='x'><host name='h'/></source></nvram>", "os/nvram"),
}


def test_no_rare_element_is_passed_over(private_libvirt: PrivateLibvirt) -> None:
    """Each phone's plan is refused and names the place or the file; no file is touched; a phone without any of it has a clear plan."""
    libvirt, where = private_libvirt, private_libvirt.workdir / "phones"
    where.mkdir()
    phones = {}
    for name, (last, device, firmware, place) in ON_LIBVIRT.items():
        marked = where / f"of-{name}"
        Markers().write(marked, 8)
        phone = StagedPhone(libvirt, name, {"vda": (images.create(where / f"{name}.qcow2"), "qcow2")})
        xml = phone.xml.replace("<domain ", f"<domain {QEMU} ").replace("</os>", f"{firmware}</os>")
        xml = xml.replace("<memballoon model='none'/></devices></domain>", f"<memballoon model='none'/>{device}</devices>{last}</domain>")
        libvirt.define(xml.replace("FILE", str(marked)))
        phones[name] = (phone.uuid, place.replace("FILE", str(marked)), marked, digest(marked))
    plain = StagedPhone(libvirt, "plain", {"vda": (images.create(where / "plain.qcow2"), "qcow2")}).define()
    with Product(libvirt, [where]) as product:
        wait_for(lambda: len(product.get("/v1/phones")["items"]) == len(ON_LIBVIRT) + 1, "every phone to be seen")
        for name, (phone_uuid, place, marked, before) in phones.items():
            plan = product.get(f"/v1/phones/{phone_uuid}/plan")
            told = {(item["code"], item["location"]) for item in plan["refusals"]}
            expected = "ambiguous-base" if place.startswith("/") and name != "stated-chain" else "unsupported-artefact"
            assert (expected, place) in told, (name, plan["refusals"], plan["retained"])
            assert digest(marked) == before
        assert product.get(f"/v1/phones/{plain.uuid}/plan")["refusals"] == []


#: What stands inside `<devices>` of a definition that the eraser reads by itself; no daemon is there to ask.
TO_THE_ERASER = [
    "<vault path='{}'/>",
    "<vault><path>{}</path></vault>",
    "<disk type='file'><source file='/nowhere'><dataStore type='file'><source file='{}'/></dataStore></source><target dev='vdb'/></disk>",
    "<filesystem type='mount'><source socket='{}'/></filesystem>",
    "<pstore backend='acpi-erst'><path>{}</path></pstore>",
    "<smartcard mode='host-certificates'><database>{}</database></smartcard>",
    "<lease><lockspace>s</lockspace><key>k</key><target path='{}'/></lease>",
    "<channel type='file-of-tomorrow'><source path='{}'/></channel>",
    "<audio id='1' type='of-tomorrow' path='{}'/>",
    "<rng model='virtio'><backend model='random'>{}</backend></rng>",
    "<hostdev mode='subsystem' type='pci'><source><address bus='1'/></source></hostdev>",
    "<hostdev mode='subsystem' type='of-tomorrow'><source file='{}'/></hostdev>",
    "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-drive'/></qemu:commandline>",
    "<x:vault xmlns:x='urn:x'>{}</x:vault>",
]


@pytest.mark.parametrize("device", TO_THE_ERASER)
async def test_the_eraser_refuses_by_itself(scratch: Path, device: str) -> None:
    """Whatever a daemon says: with a place that the data map does not account for, nothing of the phone is erased."""
    stage = Stage(scratch)
    disk, marked = random_file(stage.images / "phone.raw"), random_file(stage.images / "marked", 1 << 16)
    uuid = stage.files.define("phone", [Disk(str(disk), "raw")], devices=device.format(marked))
    before = digest(disk), digest(marked)
    assert "unsupported-artefact" in await stage.wipe(stage.request(uuid, "phone", [disk]))
    assert (digest(disk), digest(marked)) == before


async def test_a_class_of_devices_that_is_called_harmless_is_let_pass(scratch: Path) -> None:
    """By the eraser's own configuration, and only that class."""
    stage = Stage(scratch)
    disk = random_file(stage.images / "phone.raw")
    gpu = "<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>"
    uuid = stage.files.define("phone", [Disk(str(disk), "raw")], devices=gpu)
    request = stage.request(uuid, "phone", [disk])
    assert "unsupported-artefact" in await stage.wipe(request)
    object.__setattr__(stage.rules, "harmless_host_devices", ("pci",))
    assert "unsupported-artefact" in await stage.wipe(request)
    object.__setattr__(stage.rules, "harmless_host_devices", ("mdev",))
    assert await stage.wipe(request) == ()
    assert not disk.exists()
