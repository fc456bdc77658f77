"""QEMU's own words in a definition (`<qemu:commandline>`, `<qemu:override>`): which are known to open no file. What is not on these lists refuses the phone
(docs/design.md, I13), whatever its value looks like: QEMU runs in `/`, so a name without a slash may be a file's too. Paths in the words that are on the
lists are `data_map`'s to account for. By the manual of QEMU 7.2 to 10.0 (qemu(1)). Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final
from xml.etree.ElementTree import Element

#: Options that take no value.
_ALONE: Final = frozenset({"-no-acpi", "-no-hpet", "-no-reboot", "-no-shutdown", "-nodefaults", "-usb"})
#: Options whose values name no file, whatever stands in them: `-append` is the guest's own kernel's to read.
_FREE: Final = frozenset(
    {"-accel", "-action", "-append", "-cpu", "-display", "-k", "-m", "-msg", "-name", "-overcommit", "-rtc", "-smp", "-uuid", "-vga", "-watchdog-action"}
)
_SMBIOS = """
asset bios-characteristics bits current-speed date family location loc_pfx manufacturer max-speed part processor-id product release serial sku sock_pfx
speed type uefi uuid value vendor version virtual vm
"""
_MACHINE = """
accel acpi aux-ram-share cbus confidential-guest-support default-bus-bypass-iommu default_bus_bypass_iommu dump-guest-core gic-version graphics
highmem hmat hpet i8042 iommu its kernel-irqchip kernel_irqchip max-ram-below-4g mem-merge mte nvdimm page-sampling pcspk-audiodev pic pit ras sata secure
smbios-entry-point-type smbus smm suppress-vmdesc type usb virtualization vmport
"""
#: Keys in the values of the others that name no file (`""`: a value without a key).
_KEYS: Final = {
    "-boot": frozenset({"", "menu", "once", "order", "reboot-timeout", "splash-time", "strict"}),
    "-icount": frozenset({"", "align", "shift", "sleep"}),
    "-smbios": frozenset(_SMBIOS.split()),
    "-machine": frozenset({"", *_MACHINE.split()}),
    "-M": frozenset({"", *_MACHINE.split()}),
}
#: Devices of which nothing of the guest's stays on the host by themselves.
_DRIVERS = """
AC97 ES1370 VGA ahci amd-iommu bochs-display cirrus-vga e1000 e1000e edu hda-duplex hda-micro hda-output i6300esb ib700 ich9-ahci ich9-intel-hda
ich9-usb-ehci1 ich9-usb-uhci1 ich9-usb-uhci2 ich9-usb-uhci3 intel-hda intel-iommu ioh3420 isa-applesmc isa-debugcon isa-serial isa-vga igb ne2k_pci
nec-usb-xhci pci-bridge pci-serial pcie-pci-bridge pcie-root-port pcnet piix3-usb-uhci piix4-usb-uhci pvpanic pvpanic-pci pxb pxb-pcie qemu-xhci qxl
qxl-vga ramfb rtl8139 sb16 secondary-vga usb-audio usb-ehci usb-hub usb-kbd usb-mouse usb-net usb-tablet usb-uhci virtconsole virtio-balloon
virtio-balloon-pci virtio-crypto-pci virtio-gpu virtio-gpu-device virtio-gpu-gl virtio-gpu-gl-pci virtio-gpu-pci virtio-iommu virtio-iommu-pci
virtio-keyboard-device virtio-keyboard-pci virtio-mouse-device virtio-mouse-pci virtio-net-device virtio-net-pci virtio-rng-device virtio-rng-pci
virtio-scsi-device virtio-scsi-pci virtio-serial virtio-serial-device virtio-serial-pci virtio-sound-pci virtio-tablet-device virtio-tablet-pci virtio-vga
virtio-vga-gl virtserialport vmcoreinfo vmgenid vmware-svga vmxnet3 vhost-vsock-device vhost-vsock-pci
"""
_DEVICES: Final = frozenset(_DRIVERS.split())
#: A value that is no name: a number, a switch, `auto`.
_PLAIN: Final = re.compile(r"[-+]?(?:0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?[kKMGT]?)|on|off|yes|no|true|false|auto", re.IGNORECASE)
#: Properties of devices whose values are words, and no names of files.
_WORDS: Final = frozenset({"lost_tick_policy", "osk"})
#: Variables of QEMU's environment whose values name no file.
_VARIABLES: Final = frozenset({"DISPLAY", "LANG", "LC_ALL", "LC_CTYPE"})
#: Values of QEMU_AUDIO_DRV that write none.
_SOUND: Final = frozenset({"alsa", "dbus", "jack", "none", "oss", "pa", "pipewire", "sdl", "spice"})

ARGUMENT: Final = "commandline/arg/@value"
VARIABLE: Final = "commandline/env/@value"
PROPERTY: Final = "override/device/frontend/property/@value"


def refused_words(root: Element) -> Iterator[tuple[str, str]]:
    """(place, why) of each of QEMU's own words in a domain's XML that may open a file which the data map does not see."""
    lines = [line for line in root if line.tag.rpartition(":")[2] == "commandline"]
    arguments = [each.get("value", "") for line in lines for each in line if each.tag.rpartition(":")[2] == "arg"]
    yield from ((ARGUMENT, why) for why in _refused_arguments(arguments))
    for each in (each for line in lines for each in line if each.tag.rpartition(":")[2] == "env"):
        name, value = each.get("name", ""), each.get("value", "")
        if "/" not in value and not (_is_plain(value) or name in _VARIABLES or (name == "QEMU_AUDIO_DRV" and value in _SOUND)):
            yield VARIABLE, f"the variable {name[:40]!a} may name a file that the data map does not see"
    for each in (each for child in root if child.tag.rpartition(":")[2] == "override" for each in child.iter()):
        name, value = each.get("name", ""), each.get("value", "")
        if each.tag.rpartition(":")[2] == "property" and "/" not in value and not (_is_plain(value) or name in _WORDS):
            yield PROPERTY, f"the property {name[:40]!a} may name a file that the data map does not see"


def _refused_arguments(arguments: Sequence[str]) -> Iterator[str]:
    """Why words of the command line are refused, in their order."""
    at = 0
    while at < len(arguments):
        word = arguments[at]
        option = f"-{word.lstrip('-')}" if word.startswith("-") else ""
        at += 1
        if not option:
            yield f"QEMU takes the word {word[:40]!a} for the path of a disk"
        elif option not in _ALONE:
            value = arguments[at] if at < len(arguments) else ""
            at += 1
            if not _names_no_file(option, value):
                yield f"the option {option[:40]!a} may name a file that the data map does not see"


def _names_no_file(option: str, value: str) -> bool:
    if option in _FREE:
        return True
    if option == "-device":
        return _driver(value) in _DEVICES
    if option == "-set":
        return re.fullmatch(r"device\.[^.=]+\.[^.=]+", value.partition("=")[0]) is not None and _is_property(*value.partition("=")[::2])
    if option == "-global":
        return "," not in value and "." in value.partition("=")[0] and _is_property(*value.partition("=")[::2])
    keys: Collection[str] | None = _KEYS.get(option)
    return keys is not None and _keys(value) <= set(keys)


def _is_property(name: str, value: str) -> bool:
    return _is_plain(value) or name.rpartition(".")[2] in _WORDS


def _is_plain(value: str) -> bool:
    return not value or _PLAIN.fullmatch(value) is not None


def _keys(value: str) -> set[str]:
    """The keys in `word,key=value,key=value` ("" for the word); commas are doubled within a value (qemu(1))."""
    parts = value.replace(",,", " ").split(",")
    return {part.partition("=")[0] if "=" in part else "" for part in parts}


def _driver(value: str) -> str:
    """The driver of a `-device`, which may be JSON."""
    if not value.startswith("{"):
        first = value.partition(",")[0]
        return first.removeprefix("driver=")
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return ""
    return str(found.get("driver", "")) if isinstance(found, dict) else ""
