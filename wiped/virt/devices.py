"""What a domain's XML says of storage that is no `<disk>`: memory and its devices, TPMs at places of their own, host devices, files that QEMU only reads.

Pure; a part of `domain_xml`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from xml.etree.ElementTree import Element

from wiped.model.inventory import DiskSource


def memory_devices(domain: Element, origin: str) -> Iterator[DiskSource]:
    """NVDIMM and virtio-pmem: memory of the guest that is a file, and stays after it."""
    for number, memory in enumerate(domain.findall("devices/memory")):
        path = memory.findtext("source/path", "")
        if path:
            readonly = memory.find("readonly") is not None or memory.find("target/readonly") is not None
            kind = "block" if path.startswith("/dev/") else "file"
            yield DiskSource(target=f"memory{number}", type=kind, location=path, format="raw", device="nvdimm", readonly=readonly, origin=origin)


def tpm_places(domain: Element, origin: str) -> Iterator[DiskSource]:
    """TPM state at a place of its own (libvirt 10.10 and later), instead of swtpm's directory by UUID."""
    for number, source in enumerate(domain.findall("devices/tpm/backend/source")):
        if source.get("path") and source.get("type") in ("file", "dir"):
            yield DiskSource(f"tpm{number}", source.get("type", ""), source.get("path", ""), "raw", origin=origin)


def passed_through(domain: Element, origin: str) -> Iterator[DiskSource]:
    """SCSI devices of the host given to the guest: storage without a path here, so that it is seen rather than forgotten."""
    for number, device in enumerate(domain.findall("devices/hostdev")):
        if device.get("type") in ("scsi", "scsi_host", "storage"):
            readonly, shareable = device.find("readonly") is not None, device.find("shareable") is not None
            yield DiskSource(f"hostdev{number}", "hostdev", "", "raw", "lun", readonly=readonly, shareable=shareable, origin=origin)


def host_devices(domain: Element) -> Iterator[str]:
    """Classes of host devices that may keep something, and that are no disks here: by type of `<hostdev>`, and network cards that are passed through."""
    for device in domain.findall("devices/hostdev"):
        kind = device.get("type", "")
        if kind not in ("scsi", "scsi_host", "storage"):  # those are disks, which `passed_through` tells
            yield kind or "unknown"
    for interface in domain.findall("devices/interface"):
        if interface.get("type") in ("hostdev", "vdpa") or interface.find("actual[@type='hostdev']") is not None:
            yield "net"


def refused_devices(classes: Iterable[str], harmless: Collection[str]) -> Iterator[tuple[str, str]]:
    """(place, why) of host devices of a class that the configuration does not name as harmless."""
    for kind in classes:
        if kind not in harmless:
            place = "devices/interface" if kind == "net" else "devices/hostdev"
            yield place, f"a device of the host of class {kind[:20]!a}: what it keeps of the guest is not seen (storage.harmless_host_devices)"


def only_read(domain: Element, origin: str) -> Iterator[DiskSource]:
    """Files that QEMU reads and the guest cannot write: kernel, initial RAM disk, device tree, ACPI tables, firmware configuration. Sorted as media are."""
    found = [(tag, each.text or "") for tag in ("kernel", "initrd", "dtb", "shim") for each in domain.findall(f"os/{tag}")]
    found += [("acpi-table", each.text or "") for each in domain.findall("os/acpi/table")]
    found += [("firmware-file", each.get("file", "")) for each in domain.findall("sysinfo/entry")]
    for number, (target, path) in enumerate(found):
        if path.strip():
            yield DiskSource(f"{target}{number}", "file", path.strip(), "raw", device="cdrom", readonly=True, origin=origin)


def writable_firmware(domain: Element) -> Iterator[tuple[str, str]]:
    """Firmware that the guest may write is its variable store: it is not among the files that are erased."""
    for loader in domain.findall("os/loader"):
        if loader.get("readonly") == "no" and (loader.text or "").strip():
            yield "os/loader", "firmware that the guest may write keeps its variables: use readonly='yes' and <nvram>"


def remote_variables(domain: Element) -> Iterator[tuple[str, str]]:
    """Firmware variables on storage that is no file or device of this host (libvirt 8.5: `<nvram type='network'>`): they cannot be wiped from here."""
    for nvram in domain.findall("os/nvram"):
        if nvram.get("type", "file") not in ("file", "block"):
            yield "os/nvram", f"firmware variables on storage of type {nvram.get('type', '')[:20]!a}, which cannot be wiped from here"


def memory_in_files(domain: Element) -> bool:
    """Whether libvirt backs the guest's RAM, or a part of it, by files in `memory_backing_dir`: where the source says so, and where an access mode is stated
    for all of it, a NUMA cell or a memory module, unless it is memfd's or stands in huge pages as a whole (libvirt 9.0, qemuBuildMemoryBackendProps)."""
    backing = domain.find("memoryBacking")
    source = backing.find("source") if backing is not None else None
    kind = source.get("type", "") if source is not None else ""
    if kind in ("file", "memfd"):
        return kind == "file"
    pages = backing.find("hugepages") if backing is not None else None
    if pages is not None and all(page.get("nodeset") is None for page in pages.findall("page")):
        return False
    stated = (
        *(each.get("mode") for each in domain.findall("memoryBacking/access")),
        *(each.get("memAccess") for each in domain.findall("cpu/numa/cell")),
        *(each.get("access") for each in domain.findall("devices/memory")),
    )
    return any(stated)
