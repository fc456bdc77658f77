"""The closed map of a domain's XML against libvirt's own schemas, and what is not on it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.lab import schema
from wiped.virt.data_map import PLACES, QEMU_NAMESPACE, Word, word_of
from wiped.virt.domain_xml import parse_domain
from wiped.virt.schema_names import ATTRIBUTES, ELEMENTS

UUID = "0f9c1a52-6c1d-4a53-9b0e-8a4f6f1f7c11"
#: Every place of libvirt 11.3's schemas (Debian 13) whose content may be a path, as `tests.lab.schema` walks them.
NEWER = Path(__file__).with_name("places-11.3.txt").read_text().split()


def facts(inside: str, *, attributes: str = ""):
    """What is read of a domain with that inside it."""
    return parse_domain(f"<domain type='qemu' {attributes}><name>p</name><uuid>{UUID}</uuid>{inside}</domain>", origin="inactive")


def refused(inside: str, *, attributes: str = "") -> list[str]:
    """The places for which such a domain is refused."""
    return [place for place, _why in facts(inside, attributes=attributes).unaccounted]


def test_every_place_of_the_schemas_has_a_word() -> None:
    """Of the installed libvirt and of a newer one; and no line of the map is for nothing."""
    installed = {schema.inside(place) for place in schema.places()}
    every = installed | set(NEWER)
    assert [place for place in sorted(every) if word_of(place) is None] == []
    words = Counter(str(word_of(place)) for place in every)
    print(f"{len(installed)} places of the installed schemas, {len(every)} in all: {dict(sorted(words.items()))}")
    assert set(words) == {str(word) for word in Word}
    assert len(installed) > 150


def test_every_name_of_the_installed_schemas_is_known() -> None:
    """An element or attribute that a schema has is no stranger."""
    elements, attributes = schema.names()
    assert (elements - ELEMENTS, attributes - ATTRIBUTES) == (set(), set())
    assert len(elements) > 300


def test_each_line_of_the_map_says_why() -> None:
    """And stands there once."""
    assert all(why for _, _, why in PLACES)
    assert len({place for place, _, _ in PLACES}) == len(PLACES)


PHONE = f"""
<description>of /srv/whoever</description><metadata><x:app xmlns:x="urn:x"><x:path>/srv/note</x:path></x:app></metadata>
<os><type arch='x86_64'>hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>
<nvram template='/usr/share/OVMF/OVMF_VARS.fd'>/var/lib/libvirt/qemu/nvram/p.fd</nvram><kernel>/srv/boot/vmlinuz</kernel>
<initrd>/srv/boot/initrd</initrd><cmdline>root=/dev/vda</cmdline></os>
<resource><partition>/machine</partition></resource>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/p.qcow2' index='1'/><backingStore type='file'><format type='raw'/>
<source file='/srv/golden.img'/><backingStore/></backingStore><target dev='vda' bus='virtio'/><alias name='virtio-disk0'/>
<privateData><qom name='/machine/peripheral/virtio-disk0'/></privateData></disk>
<serial type='file'><source path='/var/log/p.log'/><target port='0'/></serial>
<serial type='pty'><source path='/dev/pts/3'/></serial><serial type='dev'><source path='/dev/ttyS0'/></serial>
<console type='pty' tty='/dev/pts/3'><source path='/dev/pts/3'/></console>
<channel type='unix'><source mode='bind' path='/var/lib/libvirt/qemu/channel/target/p/org.qemu.guest_agent.0'/><target type='virtio' name='a'/></channel>
<interface type='bridge'><source bridge='br0'/><target dev='vnet0'/><script path='/etc/qemu-ifup'/><backend vhost='/dev/vhost-net'/></interface>
<graphics type='vnc' socket='/run/p.sock'><listen type='socket' socket='/run/p.sock'/></graphics>
<filesystem type='mount'><binary path='/usr/libexec/virtiofsd'/><source dir='/srv/shared/p'/><target dir='shared'/></filesystem>
<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng></devices>
<seclabel type='dynamic' model='apparmor'><label>libvirt-{UUID}</label></seclabel>
"""


def test_an_ordinary_phone_is_accounted_for() -> None:
    """Everything that virt-install, virt-manager and libvirt itself write; the kernel is sorted as media are."""
    assert refused(PHONE) == []
    assert [(disk.location, disk.device) for disk in facts(PHONE).disks] == [
        ("/srv/p.qcow2", "disk"),
        ("/srv/boot/vmlinuz", "cdrom"),
        ("/srv/boot/initrd", "cdrom"),
    ]


@pytest.mark.parametrize(
    ("inside", "place"),
    [
        ("<devices><vault path='/srv/p/vault'/></devices>", "devices/vault"),
        ("<vault/>", "vault"),
        ("<devices><disk type='file' keyfile2='/srv/p/key'><source file='/srv/a'/></disk></devices>", "devices/disk/@keyfile2"),
        ("<x:vault xmlns:x='urn:of-tomorrow'>/srv/p</x:vault>", "vault"),
        ("<devices><disk type='file'><source file='/srv/a'><dataStore type='file'><source file='/srv/b'/></dataStore></source></disk></devices>",
         "devices/disk/source/dataStore/source/@file"),
        ("<devices><disk type='file'><source file='/srv/a' fdgroup='g'/></disk></devices>", "devices/disk/source/@fdgroup"),
        ("<os><loader readonly='no' type='pflash'>/srv/p/code.fd</loader></os>", "os/loader"),
        ("<devices><rng model='virtio'><backend model='random'>/srv/p/seed</backend></rng></devices>", "devices/rng/backend"),
        ("<devices><filesystem type='mount'><source socket='/run/fs.sock'/></filesystem></devices>", "devices/filesystem/source/@socket"),
        ("<devices><smartcard mode='host-certificates'><database>/srv/p/nss</database></smartcard></devices>", "devices/smartcard/database"),
        ("<devices><pstore backend='acpi-erst'><path>/srv/p/pstore</path></pstore></devices>", "devices/pstore/path"),
        ("<devices><lease><target path='/srv/p/lease'/></lease></devices>", "devices/lease/target/@path"),
        ("<devices><channel type='file-of-tomorrow'><source path='/srv/p/bytes'/></channel></devices>", "devices/channel/source/@path"),
        ("<devices><memory model='nvdimm'><source><path>/srv/ok</path></source></memory><audio type='jack' path='/srv/p/a'/></devices>", "devices/audio/@path"),
        ("<devices><serial type='dev'><source path='/srv/p/serial'/></serial></devices>", "devices/serial/source/@path"),
        ("<devices><serial type='dev'><source path='/dev/sda'/></serial></devices>", "devices/serial/source/@path"),
        ("<devices><channel type='pipe'><source path='/srv/p/pipe'/></channel></devices>", "devices/channel/source/@path"),
        ("<devices><rng model='virtio'><backend model='random'>/dev/../srv/p/seed</backend></rng></devices>", "devices/rng/backend"),
        ("<devices><disk type='file'><source file='/srv/a'><slices><slice type='storage' offset='0' size='9'/></slices></source></disk></devices>",
         "devices/disk/source/slices/slice"),
        ("<os><nvram type='network'><source protocol='iscsi' name='x'><host name='h'/></source></nvram></os>", "os/nvram"),
        ("<cpu mode='custom'/><pm><suspend-to-disk enabled='/srv/p/x'/></pm>", "pm/suspend-to-disk/@enabled"),
    ],
)  # fmt: skip
def test_what_the_map_does_not_account_for_is_named(inside: str, place: str) -> None:
    """Elements and attributes of no schema, refused places, and paths where none is expected."""
    assert place in refused(inside)


@pytest.mark.parametrize(
    "argument",
    ["-drive", "-blockdev", "-fw_cfg", "-hda", "--drive", "-pflash", "-bios", "-chardev", "-incoming", "-loadvm", "-virtfs", "-object", "-qmp", "-D"],
)
def test_options_of_qemu_that_may_open_a_file_refuse(argument: str) -> None:
    """Whatever their values look like; options that name none pass."""
    xmlns = f"xmlns:qemu='{QEMU_NAMESPACE}'"
    line = "<qemu:commandline><qemu:arg value='{}'/><qemu:arg value='{}'/></qemu:commandline>"
    assert refused(line.format(argument, "x"), attributes=xmlns) == ["commandline/arg/@value"]
    assert refused(line.format("-cpu", "max"), attributes=xmlns) == []
    assert refused(line.format("-device", "virtio-rng-pci,path=/srv/p/y"), attributes=xmlns) == ["commandline/arg/@value"]
    env = "<qemu:commandline><qemu:env name='{}' value='{}'/></qemu:commandline>"
    assert refused(env.format("TMPDIR", "/srv/p/tmp"), attributes=xmlns) == ["commandline/env/@value"]
    assert refused(env.format("QUIET", "1"), attributes=xmlns) == []


def test_a_path_of_qemus_options_that_is_the_phones_own_disk_is_accounted_for() -> None:
    """Another place made it the phone's; any other path beside it refuses."""
    disk = "<devices><disk type='file'><source file='/srv/p.img'/></disk></devices>"
    line = (
        "<qemu:override><qemu:device alias='a'><qemu:frontend><qemu:property name='x' type='string' value='{}'/></qemu:frontend></qemu:device></qemu:override>"
    )
    xmlns = f"xmlns:qemu='{QEMU_NAMESPACE}'"
    assert refused(disk + line.format("/srv/p.img"), attributes=xmlns) == []
    assert refused(disk + line.format("/srv/q.img"), attributes=xmlns) == ["override/device/frontend/property/@value"]


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        ("<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>", "pci"),
        ("<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/></source></hostdev>", "usb"),
        ("<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>", "mdev"),
        ("<interface type='hostdev'><source><address type='pci' domain='0' bus='0' slot='7' function='0'/></source></interface>", "net"),
    ],
)
def test_host_devices_are_told_by_their_class(device: str, kind: str) -> None:
    """Whether the class is harmless is the configuration's to say."""
    assert facts(f"<devices>{device}</devices>").host_devices == (kind,)


def test_snapshots_are_walked_too() -> None:
    """Their disks are accounted for; what their schema does not know is named."""
    xml = f"""<domainsnapshot><name>s</name><parent><name>/old</name></parent><creationTime>1</creationTime><memory snapshot='external' file='/srv/p.ram'/>
      <disks><disk name='vda' snapshot='external' type='file'><driver type='qcow2'/><source file='/srv/p.s'/></disk></disks>
      <revertDisks><disk name='vda' snapshot='external' type='file'><source file='{{}}'/></disk></revertDisks>
      <domain type='qemu'><name>p</name><uuid>{UUID}</uuid></domain><cookie><x/></cookie></domainsnapshot>"""
    assert [place for place, _ in parse_domain(xml.format("/srv/p.s"), origin="snapshot").unaccounted] == []
    assert [place for place, _ in parse_domain(xml.format("/srv/p.other"), origin="snapshot").unaccounted] == ["devices/disk/source/@file"]
