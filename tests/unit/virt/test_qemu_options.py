"""QEMU's own words in a definition: what is not known to open no file refuses."""

from __future__ import annotations

import pytest

from tests.unit.virt.test_data_map import refused
from wiped.virt.data_map import QEMU_NAMESPACE
from wiped.virt.qemu_options import ARGUMENT, PROPERTY, VARIABLE

XMLNS = f"xmlns:qemu='{QEMU_NAMESPACE}'"


def line(*words: str) -> str:
    """A command line of these words."""
    inside = "".join(f"<qemu:arg value='{word}'/>" for word in words)
    return f"<qemu:commandline>{inside}</qemu:commandline>"


@pytest.mark.parametrize(
    "words",
    [
        ("disk.img",),
        ("-usb", "disk.img"),
        ("-cpu", "max", "nbd:unix:x"),
        ("-set", "drive.virtio-disk0.file=disk.img"),
        ("-set", "device.video0.romfile=a.rom"),
        ("-set", "device.video0"),
        ("-global", "isa-fdc.driveA=floppy"),
        ("-global", "driver=a,property=b,value=1"),
        ("-global", "1"),
        ("-device", "vfio-pci,host=00:02.0"),
        ("-device", "usb-host,hostbus=1"),
        ("-device", "usb-mtp,rootdir=files"),
        ("-device", "loader,file=a.bin"),
        ("-device", '{"driver":"u2f-emulated","dir":"keys"}'),
        ("-device", '{"driver":"virtio-rng-pci"'),
        ("-device", "[1]"),
        ("-machine", "q35,dumpdtb=out.dtb"),
        ("-M", "q35,kernel=vmlinuz"),
        ("-machine", "pflash0=node"),
        ("-icount", "shift=auto,rr=record,rrfile=replay.bin"),
        ("-smbios", "file=table.bin"),
        ("-smbios", "type=11,path=text"),
        ("-boot", "menu=on,splash=picture.bmp"),
        ("-cpu=max",),
        ("-snapshot",),
        ("-readconfig", "a.conf"),
        ("-drive",),
        ("-device",),
    ],
)
def test_words_that_may_open_a_file_refuse(words: tuple[str, ...]) -> None:
    """Without any slash: QEMU runs in `/`."""
    assert refused(line(*words), attributes=XMLNS) == [ARGUMENT]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("-usb", "-nodefaults"),
        ("-append", "disk.img"),
        ("-append", "-drive"),
        ("--cpu", "max,+vmx"),
        ("-set", "device.video0.vgamem_mb=64"),
        ("-global", "ICH9-LPC.disable_s3=1", "-global", "kvm-pit.lost_tick_policy=delay"),
        ("-device", "virtio-gpu-pci,max_outputs=1,xres=720"),
        ("-device", '{"driver":"virtio-rng-pci","max-bytes":10}'),
        ("-device", "driver=e1000,netdev=n"),
        ("-machine", "q35,vmport=off,accel=tcg"),
        ("-M", "type=virt,gic-version=3"),
        ("-icount", "shift=7,sleep=off"),
        ("-smbios", "type=1,serial=a,,b=c,product=phone"),
        ("-boot", "order=c,menu=off", "-boot", "c"),
        ("-m", "size=4G", "-smp", "4", "-name", "x", "-display", "none", "-vga", "std"),
    ],
)
def test_words_that_open_none_pass(words: tuple[str, ...]) -> None:
    """Options of phones as they are run: CPUs, video, firmware's tables."""
    assert refused(line(*words), attributes=XMLNS) == []


@pytest.mark.parametrize(
    ("name", "value", "passes"),
    [("QUIET", "1", True), ("DISPLAY", ":0", True), ("QEMU_AUDIO_DRV", "none", True), ("QEMU_AUDIO_DRV", "wav", False), ("QEMU_WAV_PATH", "out.wav", False)],
)
def test_variables_of_the_environment(name: str, value: str, passes: bool) -> None:
    """Only switches, and those that are known."""
    found = refused(f"<qemu:commandline><qemu:env name='{name}' value='{value}'/></qemu:commandline>", attributes=XMLNS)
    assert found == ([] if passes else [VARIABLE])


@pytest.mark.parametrize(("name", "value", "passes"), [("max_outputs", "1", True), ("x-vga", "on", True), ("romfile", "a.rom", False), ("osk", "words", True)])
def test_properties_that_are_put_in_place_of_libvirts(name: str, value: str, passes: bool) -> None:
    """Only switches, and those that are known."""
    inside = f"<qemu:device alias='a'><qemu:frontend><qemu:property name='{name}' type='string' value='{value}'/></qemu:frontend></qemu:device>"
    assert refused(f"<qemu:override>{inside}</qemu:override>", attributes=XMLNS) == ([] if passes else [PROPERTY])
