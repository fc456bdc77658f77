"""The phone's RAM on disk: managed saves, external snapshots' memory, dumps, the files behind a running guest's memory; and in swap."""

from __future__ import annotations

import os
import re

from wiped.errors import InputError, RefusedError, StorageError
from wiped.model.inventory import ArtefactKind, DomainFacts, FoundArtefact, LibvirtDirectories
from wiped.model.plan import RefusalCode
from wiped.observe.host_files import list_names, read_saved_domain, read_small, saved_domain
from wiped.observe.places.disks import is_medium
from wiped.observe.places.look import ABSENT, Look, plain
from wiped.observe.reach import saved_state_path
from wiped.storage.filesystems import filesystem_facts
from wiped.storage.paths import open_straight, reopen
from wiped.storage.templates import walk_directory
from wiped.virt.devices import refused_devices
from wiped.virt.places import QemuConf, matches_dump, matches_memory_dir, memory_backing_directory, parse_qemu_conf

#: What a wipe is removing: the name that it gave (`app`), and the directory in which it unlinks (`erase.remove`).
_RENAMED = re.compile(r"\.wiped-[0-9a-f]{32}")

#: Filesystems whose files are memory themselves.
_MEMORY = frozenset({"tmpfs", "ramfs", "hugetlbfs", "devtmpfs"})


def find_managed_save(look: Look) -> None:
    """The RAM that libvirt saved for this name, if it is this phone's."""
    domain = look.domain
    look.listable(f"{look.directories.state}/save", "saved RAM may stand in it")
    path = saved_state_path(domain.name, look.directories)
    if not path:
        look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, "managed save", "the domain's name cannot be part of a file name")
        return
    layer = look.layer(path)
    if layer.problem in ABSENT:
        if domain.has_managed_save:
            look.problem(RefusalCode.MISSING, path, "libvirt says that there is a managed save image, but it is not there")
        return
    look.add(FoundArtefact(kind=ArtefactKind.MEMORY_IMAGE, layer=layer))
    if layer.problem:
        return
    try:
        saved = read_saved_domain(look.directories.state, path)
    except InputError:
        look.problem(RefusalCode.IDENTITY_CHANGED, path, "it cannot be told whose saved state this is")
    except (OSError, StorageError, RefusedError):
        look.problem(RefusalCode.UNREADABLE, path, "the head of the saved state cannot be read")
    else:
        _compare(look, path, saved)


def find_stray_saves(look: Look) -> None:
    """Saved states of this phone under another name than its present one: a restore would not find them, a wipe must not forget them. One that nobody
    can tell the owner of, and that bears no other domain's name, may be this phone's: told for every phone, until somebody takes it away."""
    own = saved_state_path(look.domain.name, look.directories)
    for name in list_names(f"{look.directories.state}/save"):
        path = f"{look.directories.state}/save/{name}"
        if path == own or _RENAMED.fullmatch(name):
            continue
        try:
            if os.lstat(path).st_size == 0:
                continue
            if read_saved_domain(look.directories.state, path).uuid == look.uuid:
                look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, path, "this phone's RAM, saved under another name: remove it, or give it the phone's name")
        except FileNotFoundError:
            continue
        except (InputError, OSError, RefusedError, StorageError) as error:
            if not look.reach.claimants(lambda other, _, name=name: name == f"{other}.save" or name.startswith(f"{other}.save.")):  # type: ignore[misc]
                code = RefusalCode.UNTRUSTED_FORMAT if isinstance(error, InputError) else RefusalCode.UNREADABLE
                look.problem(code, path, "RAM may be saved in it, nothing in it tells whose, and it bears no other domain's name: remove it by hand")


def find_snapshot_memory(look: Look) -> None:
    """RAM that external snapshots kept: the file is named by libvirt's metadata, and the XML inside must be this phone's."""
    domain = look.domain
    if domain.has_snapshot_memory and not domain.snapshot_memory_files:
        look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, "snapshot memory", "an external snapshot kept RAM, and libvirt does not say where")
    for path in domain.snapshot_memory_files:
        if look.knows(path):
            continue
        layer = look.layer(path)
        look.add(FoundArtefact(kind=ArtefactKind.MEMORY_IMAGE, layer=layer, claim="RAM that an external snapshot of this phone kept"))
        if layer.problem:
            continue
        try:
            saved = _head(path)
        except InputError:
            look.problem(RefusalCode.IDENTITY_CHANGED, path, "it cannot be told whose RAM this is")
        except (OSError, StorageError, RefusedError):
            look.problem(RefusalCode.UNREADABLE, path, "the head of the snapshot's memory cannot be read")
        else:
            _compare(look, path, saved)


def _head(path: str) -> DomainFacts:
    looked_at = open_straight(path)
    try:
        fd = reopen(looked_at, os.O_RDONLY, path)
    finally:
        os.close(looked_at)
    try:
        return saved_domain(fd)
    finally:
        os.close(fd)


def _compare(look: Look, path: str, saved: DomainFacts) -> None:
    if saved.uuid != look.uuid:
        look.problem(RefusalCode.IDENTITY_CHANGED, path, "the saved state of another domain that had this name")
        return
    known = {plain(look.pools.location(disk)) for disk in look.domain.disks}
    for disk in (*saved.disks, *saved.stated_chain):
        location = look.pools.location(disk)
        if plain(location) not in known and not look.reaches(location) and (location or disk.volume or not is_medium(disk)):
            what = "a disk or medium that only the saved state names (it was attached to the running phone)"
            look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, location or f"disk {disk.target}", what)
    for named in sorted(_files_of(saved) - _files_of(look.domain) - {"/dev/null"}):
        if named not in known and not look.reaches(named):
            look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, named, "a file or directory that only the saved state names")
    for place, why in (*saved.unaccounted, *refused_devices(saved.host_devices, look.rules.harmless_host_devices)):
        look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, place, why)


def _files_of(domain: DomainFacts) -> set[str]:
    """Files and directories that a domain's XML names beside its disks."""
    return {plain(path) for path in (domain.nvram, *domain.former_nvram, *domain.console_logs, *domain.shared_directories) if path}


# -- places that qemu.conf can move


def qemu_conf(look: Look) -> QemuConf | None:
    """Where libvirt dumps and keeps file-backed memory; None, and told, when that cannot be known."""
    path = look.directories.qemu_conf
    try:
        text = read_small(path).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        text = ""
    except (RefusedError, StorageError) as error:
        look.problem(RefusalCode.UNREADABLE, path, f"where dumps and file-backed memory stand cannot be told: {error}")
        return None
    try:
        return parse_qemu_conf(text, state=look.directories.state)
    except InputError as error:
        look.problem(RefusalCode.UNREADABLE, path, f"where dumps and file-backed memory stand cannot be told: {error}")
        return None


def find_dumps(look: Look, conf: QemuConf) -> None:
    """Dumps in the directory of dumps whose names are this phone's; a name that is another's too makes that one an owner."""
    look.listable(conf.auto_dump_path, "dumps of the phone's RAM may stand in it")
    names = look.names or ("",)
    for entry in list_names(conf.auto_dump_path):
        if any(matches_dump(entry, name, look.uuid) for name in names):
            path = os.path.join(conf.auto_dump_path, entry)
            look.named_file(
                ArtefactKind.CORE_DUMP,
                path,
                lambda name, uuid, entry=entry: matches_dump(entry, name, uuid),  # type: ignore[misc]
                "the phone's RAM, dumped under its name",
            )


def find_memory_backing(look: Look, conf: QemuConf) -> None:
    """Files behind the guest's RAM. Of a running phone on a disk they are lost at the stop, since libvirt unlinks them; what a crash left is wiped."""
    base = memory_backing_directory(conf)
    if is_memory(base):
        return
    if look.runs and look.domain.memory_backing_file:
        detail = "the running phone's RAM is a file on a disk, and libvirt unlinks it at the stop: set memory_backing_dir in qemu.conf to a tmpfs"
        look.problem(RefusalCode.LIVE_ONLY, base, detail)
        return
    look.listable(base, "files behind the phone's RAM may stand in it")
    for entry in list_names(base):
        if not any(matches_memory_dir(entry, name) for name in look.names):
            continue
        owners = sorted(look.reach.claimants(lambda name, _, entry=entry: matches_memory_dir(entry, name)))  # type: ignore[misc]
        walked = walk_directory(os.path.join(base, entry))
        for code, location, detail in walked.problems:
            look.problem(code, location, detail)
        for path in walked.files:
            look.file(ArtefactKind.MEMORY_BACKING, path, claim="a file behind the phone's RAM, left over", owners=owners, own=(base,))


def is_memory(directory: str) -> bool:
    """Whether a directory (or the nearest above that is there) lies on a filesystem that is memory."""
    while True:
        try:
            fd = os.open(directory, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            if directory in ("", "/"):
                return False
            directory = os.path.dirname(directory)
            continue
        try:
            return filesystem_facts(fd).fs_type in _MEMORY
        finally:
            os.close(fd)


# -- swap


def swapped_bytes(domain: DomainFacts, directories: LibvirtDirectories, *, runs: bool) -> int:
    """How much of the running QEMU's memory is in swap now (`VmSwap`), 0 when there is no such process.

    Of a phone that runs and whose process cannot be asked, 1: it counts as swapped, since nothing says that it was not.
    """
    unknown = 1 if runs else 0
    if not saved_state_path(domain.name, directories):
        return unknown
    try:
        with open(f"{directories.run}/{domain.name}.pid", encoding="ascii") as source:
            pid = int(source.read(32))
        with open(f"/proc/{pid}/cmdline", "rb") as command:
            if domain.uuid.encode() not in command.read(1 << 20).split(b"\0"):
                return unknown  # the number was reused by another program
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
            line = next((line for line in status if line.startswith("VmSwap:")), "")
        return int(line.split()[1]) * 1024 if line else unknown
    except (OSError, ValueError, IndexError):
        return unknown
