"""The closed map of a domain's XML: every place that libvirt's schemas allow to hold a path, each with what this program does about it (docs/design.md, I13).

A place is the elements below `<domain>` (or a snapshot's root), and `@name` for an attribute; `*` stands for one step, `**` for any number. The first line
that fits counts. A path at a place that no line names refuses the phone, unless another place already made it the phone's own; so does an element or
attribute that no schema knows. Pure.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator
from enum import StrEnum
from functools import cache
from typing import Final
from xml.etree.ElementTree import Element

from wiped.virt.qemu_options import refused_words
from wiped.virt.schema_names import ATTRIBUTES, ELEMENTS

QEMU_NAMESPACE: Final = "http://libvirt.org/schemas/domain/qemu/1.0"


class Word(StrEnum):
    """What is done about a path at a place."""

    ARTEFACT = "artefact"
    """The phone's own, or kept as shared: `domain_xml` reads it. A path here that it did not read is refused."""
    RETAINED = "retained"
    """Read by QEMU, never written by the guest: sorted as media are (own, kept, or refused as ambiguous)."""
    CHAIN = "chain"
    """A member of a backing chain, which is walked by the images' headers: one that no header leads to is refused (`domain_xml`, `stated_chain`)."""
    HARMLESS = "harmless"
    """Nothing of the guest's stays there: a socket, a device node, a program, a name, a text for people."""
    BY_VALUE = "by-value"
    """Free text: each path in it must be one that another place made the phone's own or kept."""
    REFUSED = "refused"
    """May hold the guest's data, and this version cannot account for it."""


#: (place, word, why).
PLACES: Final[tuple[tuple[str, Word, str], ...]] = (
    ("**/dataStore/**", Word.REFUSED, "a disk whose data lies in a second file (libvirt 10.10)"),
    ("**/@fdgroup", Word.REFUSED, "a file that another program opened and handed over: its name proves nothing"),
    ("devices/filesystem/source/@socket", Word.REFUSED, "a directory that a virtiofsd of somebody else's shares"),
    ("devices/pstore/path", Word.REFUSED, "what the guest's kernel keeps over a crash (libvirt 10.9)"),
    ("devices/smartcard/certificate", Word.REFUSED, "keys in a database of certificates"),
    ("devices/smartcard/database", Word.REFUSED, "keys in a database of certificates"),
    ("devices/lease/**", Word.REFUSED, "a lease of a lock manager's on shared storage"),
    ("devices/hostdev/source/block", Word.REFUSED, "a block device of the host (containers)"),
    ("devices/hostdev/source/char", Word.REFUSED, "a character device of the host (containers)"),
    ("bootloader", Word.REFUSED, "another hypervisor's"),
    ("bootloader_args", Word.REFUSED, "another hypervisor's"),
    ("os/init", Word.REFUSED, "a container's"),
    ("os/initdir", Word.REFUSED, "a container's"),
    ("os/initenv", Word.REFUSED, "a container's"),
    ("os/initarg", Word.REFUSED, "a container's"),
    # What the guest may write.
    ("devices/disk/source/@file", Word.ARTEFACT, "disk"),
    ("devices/disk/source/@dev", Word.ARTEFACT, "disk"),
    ("devices/disk/source/@dir", Word.ARTEFACT, "disk of a directory: refused as such"),
    ("devices/disk/mirror/@file", Word.ARTEFACT, "copy in progress"),
    ("devices/disk/mirror/source/@file", Word.ARTEFACT, "copy in progress"),
    ("devices/disk/mirror/source/@dev", Word.ARTEFACT, "copy in progress"),
    ("devices/disk/mirror/source/@dir", Word.ARTEFACT, "copy in progress"),
    ("devices/disk/backingStore/**", Word.CHAIN, "must be what the images' headers lead to"),
    ("devices/disk/mirror/backingStore/**", Word.CHAIN, "must be what the images' headers lead to"),
    ("devices/disk/target/@file", Word.ARTEFACT, "where a running backup writes"),
    ("devices/disk/target/@dev", Word.ARTEFACT, "where a running backup writes"),
    ("devices/disk/scratch/@file", Word.ARTEFACT, "where a running backup writes"),
    ("devices/disk/scratch/@dev", Word.ARTEFACT, "where a running backup writes"),
    ("memory/@file", Word.ARTEFACT, "RAM of an external snapshot"),
    ("os/nvram", Word.ARTEFACT, "firmware variables"),
    ("os/nvram/source/@file", Word.ARTEFACT, "firmware variables"),
    ("os/nvram/source/@dev", Word.ARTEFACT, "firmware variables"),
    ("devices/filesystem/source/@dir", Word.ARTEFACT, "shared directory"),
    ("devices/filesystem/source/@file", Word.ARTEFACT, "shared directory"),
    ("devices/filesystem/source/@dev", Word.ARTEFACT, "shared directory"),
    ("devices/memory/source/path", Word.ARTEFACT, "memory device behind a file"),
    ("devices/tpm/backend/source/@path", Word.ARTEFACT, "TPM state at a place of its own (libvirt 10.10)"),
    ("devices/audio/@path", Word.ARTEFACT, "recorded sound"),
    ("devices/interface/backend/@logFile", Word.ARTEFACT, "log of the network back end"),
    ("devices/*/log/@file", Word.ARTEFACT, "console log"),
    ("devices/*/backend/log/@file", Word.ARTEFACT, "console log"),
    # What only QEMU reads.
    ("os/kernel", Word.RETAINED, "kernel"),
    ("os/initrd", Word.RETAINED, "initial RAM disk"),
    ("os/dtb", Word.RETAINED, "device tree"),
    ("os/shim", Word.RETAINED, "boot loader (libvirt 11.2)"),
    ("os/acpi/table", Word.RETAINED, "ACPI table"),
    ("sysinfo/entry/@file", Word.RETAINED, "firmware configuration file: may hold first-boot credentials"),
    # Firmware code: `domain_xml` refuses the one that the guest may write.
    ("os/loader", Word.HARMLESS, "firmware code, read-only"),
    ("os/nvram/@template", Word.HARMLESS, "template of the firmware variables, read-only"),
    ("os/cmdline", Word.HARMLESS, "the guest's own kernel reads it"),
    ("devices/hostdev/rom/@file", Word.HARMLESS, "option ROM, read-only"),
    ("devices/interface/rom/@file", Word.HARMLESS, "option ROM, read-only"),
    # Programs, sockets, device nodes, names and texts.
    ("devices/emulator", Word.HARMLESS, "a program"),
    ("devices/filesystem/binary/@path", Word.HARMLESS, "a program"),
    ("devices/filesystem/target/@dir", Word.HARMLESS, "a name inside the guest"),
    ("**/reservations/source/@path", Word.HARMLESS, "a socket"),
    ("**/source/host/@socket", Word.HARMLESS, "a socket; network disks are refused as such"),
    ("**/source/config/@file", Word.HARMLESS, "a client's configuration; network disks are refused as such"),
    ("**/source/identity/@*", Word.HARMLESS, "a client's key; network disks are refused as such"),
    ("**/source/knownHosts/@path", Word.HARMLESS, "a client's list; network disks are refused as such"),
    ("**/source/cookies/cookie", Word.HARMLESS, "a client's cookie; network disks are refused as such"),
    ("**/source/initiator/iqn/@name", Word.HARMLESS, "a name on the network"),
    ("devices/disk/**/source/@name", Word.HARMLESS, "a name on the network; network disks are refused as such"),
    ("devices/disk/**/source/@path", Word.HARMLESS, "a vhost-user socket; such disks are refused as such"),
    ("devices/disk/**/source/@query", Word.HARMLESS, "part of an address"),
    ("devices/disk/**/source/@tlsHostname", Word.HARMLESS, "a name on the network"),
    ("**/encryption/**", Word.HARMLESS, "names of ciphers, and of secrets, which `domain_xml` reads"),
    ("**/auth/**", Word.HARMLESS, "names of secrets, which `domain_xml` reads"),
    ("**/seclabel/**", Word.HARMLESS, "a label"),
    ("seclabel/**", Word.HARMLESS, "a label"),
    ("devices/disk/vendor", Word.HARMLESS, "a text that the guest sees"),
    ("devices/disk/product", Word.HARMLESS, "a text that the guest sees"),
    ("devices/disk/serial", Word.HARMLESS, "a text that the guest sees"),
    ("devices/disk/iotune/**", Word.HARMLESS, "a name"),
    ("devices/disk/throttlefilters/**", Word.HARMLESS, "a name"),
    ("**/backenddomain/@name", Word.HARMLESS, "a name"),
    ("devices/graphics/**", Word.HARMLESS, "sockets, device nodes, names"),
    ("devices/video/**", Word.HARMLESS, "device nodes"),
    ("devices/input/source/@*", Word.HARMLESS, "an input device of the host"),
    ("devices/interface/**", Word.HARMLESS, "sockets, device nodes, names, programs"),
    ("devices/shmem/server/@path", Word.HARMLESS, "a socket"),
    ("devices/tpm/backend/device/@path", Word.HARMLESS, "the host's TPM: refused as a TPM without a directory"),
    ("devices/audio/**", Word.HARMLESS, "device nodes, names, sockets"),
    ("devices/hostdev/source/**", Word.HARMLESS, "names; host devices are refused by their class"),
    ("devices/*/@tty", Word.HARMLESS, "a terminal"),
    ("devices/*/target/**", Word.HARMLESS, "a name inside the guest"),
    ("devices/*/source/@*", Word.HARMLESS, "of a character device: names; its @path is judged by its type"),
    ("devices/*/backend/source/@*", Word.HARMLESS, "of a character device: names; its @path is judged by its type"),
    ("devices/rng/backend", Word.BY_VALUE, "entropy: a device node is harmless"),
    ("commandline/**", Word.BY_VALUE, "QEMU's own options and environment (qemu:commandline)"),
    ("override/**", Word.BY_VALUE, "QEMU's own properties (qemu:override)"),
    ("cookie/**", Word.HARMLESS, "libvirt's own notes about a running domain"),
    ("creationTime", Word.HARMLESS, "a number"),
    ("incremental", Word.HARMLESS, "the name of a checkpoint"),
    ("devices/disk/@*", Word.HARMLESS, "names of disks, bitmaps and exports"),
    ("throttlegroups/**", Word.HARMLESS, "a name"),
    ("blkiotune/device/path", Word.HARMLESS, "a device whose speed is limited"),
    ("capabilities/**", Word.HARMLESS, "names"),
    ("clock/@timezone", Word.HARMLESS, "a name"),
    ("cpu/**", Word.HARMLESS, "names"),
    ("cputune/**", Word.HARMLESS, "names"),
    ("datacenterpath", Word.HARMLESS, "a name at another hypervisor's"),
    ("description", Word.HARMLESS, "a text for people"),
    ("title", Word.HARMLESS, "a text for people"),
    ("features/**", Word.HARMLESS, "names"),
    ("launchSecurity/**", Word.HARMLESS, "keys and blobs in base64"),
    ("metadata/**", Word.HARMLESS, "other programs' notes: QEMU never opens what they name"),
    ("name", Word.HARMLESS, "a name"),
    ("parent/name", Word.HARMLESS, "a name"),
    ("namespace/**", Word.HARMLESS, "a container's"),
    ("resource/**", Word.HARMLESS, "a control group"),
    ("sysinfo/**", Word.HARMLESS, "texts that the guest sees"),
    ("idmap/**", Word.HARMLESS, "numbers"),
    ("keywrap/**", Word.HARMLESS, "names"),
    ("os/**", Word.HARMLESS, "names"),
    ("server/**", Word.HARMLESS, "where a backup is offered to its reader: a socket"),
)

#: Types of a character device behind which no bytes stay, whatever their path; and device nodes of terminals and ports, for those of type `dev`.
_TRANSIENT: Final = frozenset({"dbus", "nmdm", "null", "pty", "qemu-vdagent", "spiceport", "spicevmc", "stdio", "tcp", "udp", "unix", "vc"})
_NODES: Final = re.compile(r"/dev/(?:tty[A-Za-z]*[0-9]*|pts/[0-9]+|null|zero|hvc[0-9]+|parport[0-9]+)")


#: What QEMU never sees: other programs' notes, and libvirt's own about a running domain, whose names no schema has.
_NOTES: Final = frozenset({"cookie", "metadata", "privateData"})


@cache
def _pattern(place: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|/\*\*|\*)", place)
    return re.compile("".join({"**/": "(?:.*/)?", "/**": "/.*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts))


@cache
def word_of(place: str) -> Word | None:
    """What is done about a path at this place; None for a place that the map does not name."""
    return next((word for pattern, word, _why in PLACES if _pattern(pattern).fullmatch(place)), None)


def unaccounted(root: Element, known: Collection[str], *, skip: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """(place, why) of everything in a domain's (or snapshot's) XML that refuses it. `known`: the paths that `domain_xml` read as the phone's own or kept.
    `skip`: children of the root that are judged by themselves."""
    qemu = {key.partition(":")[2] for key, value in root.attrib.items() if key.startswith("xmlns:") and value == QEMU_NAMESPACE}
    paths = {posixpath.normpath(path) for path in known if path}
    for child in root:
        if child.tag not in skip and child.tag not in _NOTES:
            yield from _walk(child, "", root, paths, qemu)
    yield from refused_words(root)


def _walk(element: Element, above: str, parent: Element, known: Collection[str], qemu: Collection[str]) -> Iterator[tuple[str, str]]:
    prefix, _, name = element.tag.rpartition(":")  # `safe_xml` leaves prefixes as they stand
    place = f"{above}/{name}" if above else name
    place = {"disks/disk": "devices/disk", "revertDisks/disk": "devices/disk"}.get(place, place)
    if name not in ELEMENTS or (prefix and prefix not in qemu):
        yield place, "an element that no schema of libvirt's knows"
        return
    if name == "slice":
        yield place, "a disk that is a part of a file: what else is in that is not seen"
    values = [(place, element.text or "")] + [(f"{place}/@{key}", value) for key, value in element.attrib.items() if not key.startswith("xmlns")]
    for where, value in values:
        if where.rpartition("@")[2] not in ATTRIBUTES and where != place:
            yield where, "an attribute that no schema of libvirt's knows"
        elif why := _why_refused(where, value.strip(), element, parent, known):
            yield where, why
    for child in element:
        if child.tag in _NOTES:
            continue
        yield from _walk(child, place, element, known, qemu)


def _why_refused(where: str, value: str, element: Element, parent: Element, known: Collection[str]) -> str:
    """Why the value at a place refuses the phone; "" if it does not."""
    if not value:
        return ""
    word = word_of(where)
    if word is Word.REFUSED and (where.endswith("/@fdgroup") or "/" in value):
        return next(why for pattern, _, why in PLACES if _pattern(pattern).fullmatch(where))
    if "/" not in value or word in (Word.CHAIN, Word.REFUSED):
        return ""
    if word is Word.HARMLESS:
        if where.endswith("source/@path") and not where.startswith(("devices/disk", "devices/interface")):
            kind = element.get("type") or parent.get("type") or ""
            harmless = kind in _TRANSIENT or (kind == "dev" and _NODES.fullmatch(value))
            return "" if harmless or _is_known(value, known) else f"a character device of type {kind[:20]!a} behind a file that is not accounted for"
        return ""
    if where == "devices/rng/backend" and posixpath.normpath(value).startswith("/dev/"):
        return ""
    if word in (Word.ARTEFACT, Word.RETAINED):
        return "" if not value.startswith("/") or _is_known(value, known) else f"a path at a place of the map ({word}) that is not accounted for"
    missing = [path for path in _paths_in(value) if not _is_known(path, known)]
    return "a path at a place that the data map does not name" if missing else ""


def _is_known(path: str, known: Collection[str]) -> bool:
    return posixpath.normpath(path.removeprefix("file:")) in known


_BETWEEN: Final = re.compile(r"[^,=\s\"'{}\[\]]+")


def _paths_in(value: str) -> list[str]:
    return [piece for piece in _BETWEEN.findall(value) if piece.startswith(("/", "file:/"))]
