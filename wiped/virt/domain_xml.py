"""libvirt's XML of a domain, a snapshot, a status file or a checkpoint, into `DomainFacts`. Pure: text in, model out.

Imported by the daemon (XML from libvirt) and by both root helpers (libvirt's own files), so that all three understand the same text in the same way.
Rules: nothing that names storage is dropped silently (an unknown source type keeps its `type`, with `location` "" where it has no path here);
chains are walked by headers (docs/physics.md 5), so what `<backingStore>` states is told apart, for callers to compare; whatever cannot be understood
is an InputError, and callers fail closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal, TypeVar
from xml.etree.ElementTree import Element

from wiped.errors import InputError
from wiped.model.inventory import DiskSource, DomainFacts, DomainState, JobKind
from wiped.virt import safe_xml
from wiped.virt.data_map import unaccounted
from wiped.virt.devices import host_devices, memory_devices, memory_in_files, only_read, passed_through, remote_variables, tpm_places, writable_firmware
from wiped.virt.places import secret_usage

Origin = Literal["live", "inactive", "snapshot", "status"]
T = TypeVar("T")

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: Attribute of `<source>` that holds a path, by source type. Other types (network, vhostuser, nvme...) have none that a file could stand at.
_PATH_ATTRIBUTE = {"file": "file", "block": "dev", "dir": "dir"}
#: `<domstatus state=>`, libvirt's words.
_STATES = {
    "running": DomainState.RUNNING,
    "blocked": DomainState.BLOCKED,
    "paused": DomainState.PAUSED,
    "in shutdown": DomainState.SHUTDOWN,
    "shutdown": DomainState.SHUTDOWN,
    "shut off": DomainState.SHUTOFF,
    "shutoff": DomainState.SHUTOFF,
    "crashed": DomainState.CRASHED,
    "pmsuspended": DomainState.PMSUSPENDED,
}
#: Children of a snapshot or checkpoint that are domains.
_DOMAINS = ("domain", "inactiveDomain")
#: `<domstatus><job async=>`, libvirt's words.
_JOBS = {"none": JobKind.NONE, "save": JobKind.SAVE, "migration out": JobKind.MIGRATION, "migration in": JobKind.MIGRATION}


def parse_domain(xml: str | bytes, *, origin: Origin) -> DomainFacts:
    """What one document says of one domain.

    Takes `<domain>`, `<domstatus>` (live status file), `<domainsnapshot>`, `<domaincheckpoint>`; `origin` `status` means a status file, whose disks count
    as `live`. A `<domainbackup>` names no domain: its facts have `uuid` "". Facts that no XML holds (autostart, managed save) keep their defaults.
    Raises InputError: too large, a document type, not well-formed, another document, no UUID or one of wrong form, two different UUIDs.
    """
    root = safe_xml.parse(xml, what="domain XML")
    seen = "live" if origin == "status" else origin
    match root.tag:
        case "domain":
            return _domain(root, seen)
        case "domstatus":
            return _status(root)
        case "domainsnapshot":
            return _snapshot(root)
        case "domaincheckpoint":
            return _inner_domains(root, "snapshot")
        case "domainbackup":
            return DomainFacts(uuid="", name="", disks=_unique(_backup_disks(root, seen)))
    raise InputError(f"is a {root.tag[:40]!r}, not a domain", where="domain XML")


def merge(*facts: DomainFacts) -> DomainFacts:
    """One domain's facts from several documents about it (live, inactive, each snapshot): the union, equal entries once, in the order given.

    State, name and `nvram` are of the first that has them: give the live facts first; other names become `former_names`.
    Raises InputError for no facts or those of two domains.
    """
    if not facts:
        raise InputError("no facts to merge", where="domain XML")
    first = facts[0]
    if any(other.uuid != first.uuid for other in facts):
        raise InputError("facts of two domains cannot be merged", where="domain XML")
    nvram = next((each.nvram for each in facts if each.nvram), "")
    every_nvram = [path for each in facts for path in (each.nvram, *each.former_nvram)]
    name = next((each.name for each in facts if each.name), "")
    written = {path for each in facts for path in set(each.shared_directories) - set(each.shared_readonly)}
    return replace(
        first,
        name=name,
        state=next((each.state for each in facts if each.state is not DomainState.UNKNOWN), DomainState.UNKNOWN),
        persistent=any(each.persistent for each in facts),
        autostart=any(each.autostart for each in facts),
        job=next((each.job for each in facts if each.job is not JobKind.NONE), JobKind.NONE),
        disks=_unique(disk for each in facts for disk in each.disks),
        nvram=nvram,
        former_nvram=_unique(path for path in every_nvram if path and path != nvram),
        console_logs=_unique(path for each in facts for path in each.console_logs),
        has_managed_save=any(each.has_managed_save for each in facts),
        snapshots=_unique(name for each in facts for name in each.snapshots),
        has_snapshot_memory=any(each.has_snapshot_memory for each in facts),
        snapshot_memory_files=_unique(path for each in facts for path in each.snapshot_memory_files),
        tpm=any(each.tpm for each in facts),
        shared_directories=_unique(path for each in facts for path in each.shared_directories),
        memory_backing_file=any(each.memory_backing_file for each in facts),
        # Read-only only where no version of the XML lets the guest write.
        shared_readonly=_unique(path for each in facts for path in each.shared_readonly if path not in written),
        secrets=_unique(secret for each in facts for secret in each.secrets),
        unaccounted=_unique(item for each in facts for item in each.unaccounted),
        host_devices=_unique(kind for each in facts for kind in each.host_devices),
        stated_chain=_unique(member for each in facts for member in each.stated_chain),
        former_names=_unique(other for each in facts for other in (each.name, *each.former_names) if other and other != name),
    )


def paths_mentioned(xml: str | bytes) -> frozenset[str]:
    """Every absolute path that stands anywhere in a document: in any attribute or text, and within `key=value,key=value` (`qemu:commandline`).

    Liberal, and so only ever to be used to protect more: a file that another domain's XML mentions is that domain's. Raises InputError.
    """
    found: set[str] = set()
    for element in safe_xml.parse(xml, what="domain XML").iter():
        for text in (element.text or "", *element.attrib.values()):
            if "/" in text:
                found.update(piece.removeprefix("file:") for piece in _pieces(text.strip()) if piece.startswith(("/", "file:/")))
    return frozenset(found)


#: What may stand between paths, and what may stand before one: `key=`. Neither looks at a character twice, however long the text.
_BETWEEN = re.compile(r"[^,=\s\"'{}\[\]]+")
_KEY = re.compile(r"[,\s]?(?<![\w.-])[\w.-]++=")


def _pieces(text: str) -> Iterator[str]:
    """The text, its parts between any separators, and its parts between keys (a value may hold a comma)."""
    yield text
    yield from (match[0] for match in _BETWEEN.finditer(text))
    end = 0
    for match in _KEY.finditer(text):
        yield text[end : match.start()]
        end = match.end()
    yield text[end:]


def _unique(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


# -- documents


def _domain(element: Element, origin: str) -> DomainFacts:
    """The facts of a `<domain>` or `<inactiveDomain>`."""
    nvram = tuple(_nvram(element))
    shared = dict.fromkeys(_shared(element))
    facts = DomainFacts(
        uuid=_uuid(element),
        name=element.findtext("name", ""),
        disks=_unique(
            (
                *_disks(element, origin),
                *memory_devices(element, origin),
                *passed_through(element, origin),
                *tpm_places(element, origin),
                *only_read(element, origin),
            )
        ),
        nvram=nvram[0] if nvram else "",
        former_nvram=nvram[1:],
        console_logs=_unique(_console_logs(element)),
        tpm=element.find("devices/tpm") is not None,
        shared_directories=_unique(path for path, _ in shared),
        memory_backing_file=memory_in_files(element),
        shared_readonly=_unique(path for path, readonly in shared if readonly and (path, False) not in shared),
        secrets=_unique(_secrets(element)),
        host_devices=_unique(host_devices(element)),
        stated_chain=_unique(_stated_chain(element, origin)),
    )
    return replace(facts, unaccounted=_unique((*unaccounted(element, _paths_of(facts)), *writable_firmware(element), *remote_variables(element))))


def _paths_of(facts: DomainFacts) -> tuple[str, ...]:
    """Every path that the facts account for."""
    disks = (disk.location for disk in facts.disks)
    return (*disks, facts.nvram, *facts.former_nvram, *facts.console_logs, *facts.shared_directories, *facts.snapshot_memory_files)


def _status(root: Element) -> DomainFacts:
    """A live status file: the domain, its state and job, and where a backup that is running writes."""
    inner = root.find("domain")
    if inner is None:
        raise InputError("is a status file without a domain", where="domain XML")
    facts = _domain(inner, "live")
    job = root.find("job")
    word = job.get("async", "none") if job is not None else "none"
    backups = (disk for backup in root.iter("domainbackup") for disk in _backup_disks(backup, "live"))
    return replace(
        facts,
        state=_STATES.get(root.get("state", ""), DomainState.UNKNOWN),
        job=_JOBS.get(word, JobKind.OTHER),
        disks=_unique((*facts.disks, *backups)),
    )


def _snapshot(root: Element) -> DomainFacts:
    """A snapshot: the domain as it was, the overlays that were made, the RAM that was kept."""
    facts = _inner_domains(root, "snapshot")
    overlays = tuple(_disk(disk, "snapshot", target=disk.get("name", "")) for disk in root.findall("disks/disk") if disk.find("source") is not None)
    memory = tuple(each.get("file", "") for each in root.findall("memory") if each.get("snapshot") == "external" or each.get("file"))
    name = root.findtext("name", "")
    facts = replace(
        facts,
        disks=_unique((*facts.disks, *overlays)),
        snapshots=(name,) if name else (),
        has_snapshot_memory=bool(memory),
        snapshot_memory_files=_unique(path for path in memory if path),
    )
    return replace(facts, unaccounted=_unique((*facts.unaccounted, *unaccounted(root, _paths_of(facts), skip=_DOMAINS))))


def _inner_domains(root: Element, origin: str) -> DomainFacts:
    """The `<domain>` and `<inactiveDomain>` that a snapshot or checkpoint keeps."""
    inner = [*root.findall("domain"), *root.findall("inactiveDomain")]
    if not inner:
        raise InputError(f"is a {root.tag} without its domain", where="domain XML")
    return merge(*(_domain(each, origin) for each in inner))


def _uuid(element: Element) -> str:
    text = element.findtext("uuid", "").strip()
    if not _UUID.fullmatch(text):
        raise InputError("has no UUID of the form 8-4-4-4-12", where="domain XML")
    return text.lower()


# -- parts of a domain


def _disks(domain: Element, origin: str) -> Iterator[DiskSource]:
    for disk in domain.findall("devices/disk"):
        target = disk.find("target")
        name = target.get("dev", "") if target is not None else ""
        yield _disk(disk, origin, target=name)
        mirror = disk.find("mirror")
        # A block copy in progress: its destination is a second copy. Any other mirror (a commit) is a member of the chain.
        if mirror is not None and mirror.get("job", "copy") == "copy":
            yield _disk(mirror, origin, target=name)


def _stated_chain(domain: Element, origin: str) -> Iterator[DiskSource]:
    """Every member that a `<backingStore>` names, at whatever level, beneath a disk or the destination of a copy."""
    for disk in domain.findall("devices/disk"):
        target = disk.find("target")
        for member in disk.iter("backingStore"):
            if member.find("source") is not None:
                yield _disk(member, origin, target=target.get("dev", "") if target is not None else "")


def _disk(element: Element, origin: str, *, target: str) -> DiskSource:
    """A `<disk>`, a `<mirror>`, a `<backingStore>` or a disk of a snapshot or backup."""
    source = next((each for tag in ("source", "target", "scratch") if (each := element.find(tag)) is not None and _is_source(each)), None)
    driver = element.find("driver")
    form = element.find("format")
    kind = element.get("type", "file")
    transient = element.find("transient")
    return DiskSource(
        target=target,
        type=kind,
        location=source.get(_PATH_ATTRIBUTE.get(kind, ""), "") if source is not None else element.get("file", ""),
        format=(driver.get("type", "") if driver is not None else "") or (form.get("type", "") if form is not None else ""),
        device=element.get("device", "disk"),
        readonly=element.find("readonly") is not None,
        shareable=element.find("shareable") is not None or (transient is not None and transient.get("shareBacking") == "yes"),
        pool=source.get("pool", "") if source is not None else "",
        volume=source.get("volume", "") if source is not None else "",
        origin=origin,
        discard=driver is not None and driver.get("discard") == "unmap",
        part=source is not None and source.find("slices/slice") is not None,
    )


def _is_source(element: Element) -> bool:
    """`<source>` always; a backup's `<target>` and `<scratch>` when they name storage (a disk's `<target dev='vda' bus=>` does not)."""
    return element.tag == "source" or "file" in element.attrib or ("dev" in element.attrib and element.get("dev", "").startswith("/"))


def _backup_disks(backup: Element, origin: str) -> Iterator[DiskSource]:
    """Where a running backup writes the guest's blocks: the target (push) or the scratch file (pull)."""
    for disk in backup.findall("disks/disk"):
        if any(_is_source(each) for tag in ("target", "scratch") for each in disk.findall(tag)):
            yield _disk(disk, origin, target=disk.get("name", ""))


def _nvram(domain: Element) -> Iterator[str]:
    """`<nvram>/path</nvram>`, or libvirt 8.5's `<nvram type='file'><source file=>`."""
    for nvram in domain.findall("os/nvram"):
        source = nvram.find("source")
        path = source.get(_PATH_ATTRIBUTE.get(nvram.get("type", "file"), ""), "") if source is not None else (nvram.text or "").strip()
        if path:
            yield path


def _console_logs(domain: Element) -> Iterator[str]:
    """Files that character devices write (`<source path=>` of those of type `file`, every `<log file=>`), and recorded sound."""
    devices = domain.find("devices")
    for device in devices if devices is not None else ():
        backends = [device, *device.findall("backend")]
        for each in backends:
            if each.get("type") == "file" and device.tag not in ("disk", "filesystem"):
                yield from (source.get("path", "") for source in each.findall("source") if source.get("path"))
            yield from (log.get("file", "") for log in each.findall("log") if log.get("file"))
        if device.tag == "interface":
            yield from (each.get("logFile", "") for each in device.findall("backend") if each.get("logFile"))
        if device.tag == "audio" and device.get("type") == "file" and device.get("path"):
            yield device.get("path", "")


def _shared(domain: Element) -> Iterator[tuple[str, bool]]:
    """What `<filesystem>` shares with the host (a directory, or the file or device beneath), and whether the guest may only read it."""
    for filesystem in domain.findall("devices/filesystem"):
        for source in filesystem.findall("source"):
            path = source.get("dir") or source.get("file") or source.get("dev") or ""
            if path:
                yield path, filesystem.find("readonly") is not None


def _secrets(domain: Element) -> Iterator[str]:
    """Secrets that the XML names anywhere but in its metadata: `<encryption>` and `<auth>` of disks at every level of their chains, a TPM's encryption.

    By UUID, or as `usage:TYPE:VALUE` where the XML states what it is for instead (a disk's `passphrase` is a secret of usage `volume`).
    """
    for part in domain:
        for element in part.iter() if part.tag != "metadata" else ():
            if element.tag == "secret" and (element.get("uuid") or element.get("usage")):
                kind = element.get("type", "")
                uuid, usage = element.get("uuid", ""), element.get("usage", "")
                yield _secret_uuid(uuid) if uuid else secret_usage({"passphrase": "volume"}.get(kind, kind), usage)
            elif element.tag == "encryption" and element.get("secret"):
                yield _secret_uuid(element.get("secret", ""))


def _secret_uuid(text: str) -> str:
    digits = text.strip().lower().replace("-", "")
    if not re.fullmatch("[0-9a-f]{32}", digits):
        raise InputError("names a secret by something that is no UUID", where="domain XML")
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
