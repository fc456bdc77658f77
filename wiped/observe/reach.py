"""Which domains reach a file or a device: by path, by device and inode, through backing chains, device stacks and shared directories, or by a name that a
file is keyed by. Liberal: it only ever protects more.

Built once per survey; each image of another domain is walked once. What cannot be read contributes the paths that are known of it.
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Callable, Iterable, Iterator

from wiped.errors import RefusedError, StorageError
from wiped.model.inventory import DiskSource, DomainFacts, FileIdentity, ImageLayer, LibvirtDirectories
from wiped.observe.host_files import list_names, saved_or_doubt
from wiped.observe.pools import Pools, read_pools
from wiped.storage.blockdev import aliases, block_facts
from wiped.storage.blockstack import DeviceTree
from wiped.storage.doubt import Doubt, paths_in
from wiped.storage.image_chain import Reached, names_reached
from wiped.storage.kernel import identity_of
from wiped.storage.reached import OPAQUE
from wiped.storage.time_limit import TimeLimit
from wiped.virt.places import absolute, is_log, qemu_log_names, rotated_from, secret_files, swtpm_log, transient_overlays


class Reach:
    """The owners of files, from the facts of every domain but `uuid`, and from the saved states that stand in libvirt's directory."""

    def __init__(
        self,
        uuid: str,
        domains: Iterable[DomainFacts],
        directories: LibvirtDirectories,
        pools: Pools | None = None,
        *,
        limit: TimeLimit | None = None,
        own_saves: frozenset[str] = frozenset(),
    ) -> None:
        self._limit = limit or TimeLimit()
        self._directories = directories
        self._pools = read_pools(directories) if pools is None else pools
        self._paths: dict[str, set[str]] = {}
        self._identities: dict[FileIdentity, set[str]] = {}
        self._behind: dict[FileIdentity, set[str]] = {}
        self._tree = DeviceTree()
        self._shared: dict[str, set[str]] = {}
        self._shared_identities: dict[FileIdentity, set[str]] = {}
        self._walked: dict[tuple[str, str], Reached] = {}
        self._rotated: dict[str, dict[str, list[str]]] = {}
        self._names: dict[str, set[str]] = {}
        self._secrets: dict[str, set[str]] = {}
        self._above: dict[str, FileIdentity | None] = {}
        #: (image of another domain, why it cannot be followed to its end): whatever lies beneath may be any file, so nothing is safe to erase.
        self.unclear: dict[str, str] = {}
        #: Disks of other domains that could be files of certain names only.
        self.doubts: dict[str, tuple[str, Doubt]] = {}
        for domain in domains:
            if domain.uuid != uuid:
                self._add(domain)
        self._add_saved(uuid, own_saves)

    # -- questions

    def owners(self, layer: ImageLayer) -> frozenset[str]:
        """UUIDs of the domains that reach `layer`."""
        found: set[str] = set()
        places = {layer.location}
        identities = {layer.identity} if layer.identity is not None else set()
        if layer.block is not None:
            # A device is also the file that a loop device shows: whoever has that file has the device. (Who has another partition of it has not.)
            identities |= aliases(layer.block, self._tree)
            places |= {layer.block.backing_file} - {""}
        elif layer.identity is not None:
            found |= self._behind.get(layer.identity, set())
        for place in places:
            for path in _spellings(place):
                found |= self._paths.get(path, set())
                for above in _and_above(path):
                    found |= self._shared.get(above, set())
                    identity = self._identity_above(above) if self._shared_identities else None
                    found |= self._shared_identities.get(identity, set()) if identity is not None else set()
        for identity in identities:
            found |= self._identities.get(identity, set())
        return frozenset(found)

    def in_doubt(self, layer: ImageLayer) -> str:
        """Why `layer` could be what another domain's disk reaches, which nobody can follow; "" if it could not."""
        for uuid, doubt in self.doubts.values():
            if doubt.may_be(layer.location, device=layer.block is not None):
                return f"it may be what domain {uuid} reaches by {doubt.place}, which cannot be followed to its end: {doubt.reason}"
        return ""

    def overlaps(self, directory: str) -> frozenset[str]:
        """UUIDs of the domains that share `directory` or one above it, or that reach anything at all beneath it."""
        found: set[str] = set(self.owners(ImageLayer(location=directory, format="raw")))
        prefixes = {path.rstrip("/") + "/" for path in _spellings(directory)}
        for known in (self._paths, self._shared):
            for path, uuids in known.items():
                if any(path.startswith(prefix) for prefix in prefixes):
                    found |= uuids
        return frozenset(found)

    def claimants(self, matches: Callable[[str, str], bool]) -> frozenset[str]:
        """UUIDs of the domains one of whose names, present, former or saved, `matches(name, uuid)` a file that is keyed by name."""
        return frozenset(uuid for uuid, names in self._names.items() if any(matches(name, uuid) for name in names))

    def secret_owners(self, *references: str) -> frozenset[str]:
        """UUIDs of the domains whose XML names a secret: by its UUID, or by its usage (`usage:TYPE:NAME`)."""
        return frozenset(uuid for reference in references for uuid in self._secrets.get(reference, ()))

    # -- what others reach

    def _add(self, domain: DomainFacts) -> None:
        directories = self._directories
        for disk in (*domain.disks, *domain.stated_chain):
            self._add_disk(domain.uuid, disk, (domain.name, *domain.former_names))
        plain = [absolute(path) for path in (domain.nvram, *domain.former_nvram, *domain.snapshot_memory_files)]
        for log in map(absolute, domain.console_logs):
            plain += [log, *self._rotations(log)]
        names = {name for name in (domain.name, *domain.former_names) if name and "/" not in name}
        self._names.setdefault(domain.uuid, set()).update(names)
        for name in names:
            plain += [f"{directories.logs}/{log}" for log in qemu_log_names(name)]
            plain += [saved_state_path(name, directories), f"{directories.swtpm_logs}/{swtpm_log(name)}"]
        for secret in domain.secrets:
            self._secrets.setdefault(secret, set()).add(domain.uuid)
            if "/" not in secret:
                plain += [f"{directories.secrets}/{name}" for name in secret_files(secret)]
        for path in plain:
            if path.startswith("/"):
                self._note(domain.uuid, path, "raw")
        for directory in (*domain.shared_directories, *domain.shared_readonly, f"{directories.swtpm}/{domain.uuid}"):
            self._share(domain.uuid, absolute(directory))

    def _add_saved(self, uuid: str, own: frozenset[str]) -> None:
        """libvirt's saved states: a restore goes by their XML, which may name more than the definition. One without the header tells nothing: it is half wiped;
        one that is not understood may name what stands in its head. `own`: the phone's, by their paths."""
        folder = f"{self._directories.state}/save"
        for name in list_names(folder):
            path = f"{folder}/{name}"
            if not name.endswith(".save"):
                continue
            try:
                found = saved_or_doubt(self._directories.state, path)
            except (OSError, RefusedError, StorageError) as error:
                if path not in own and os.path.lexists(path):
                    self.unclear.setdefault(path, f"the saved state {path} cannot be read: {error}")
                continue
            if isinstance(found, Doubt):
                if path not in own:
                    self.doubts.setdefault(path, (f"of {name}", found))
                    self._mention(f"of {name}", paths_in(found.head, folder))
            elif found is not None and found.uuid != uuid:
                self._add(found)

    def _mention(self, owner: str, texts: Iterable[str]) -> None:
        """Texts that may be paths; most are none."""
        for text in texts:
            self._paths.setdefault(os.path.normpath(text), set()).add(owner)
            try:
                self._identities.setdefault(identity_of(os.stat(text)), set()).add(owner)
            except (OSError, ValueError):
                continue

    def _add_disk(self, uuid: str, disk: DiskSource, names: Iterable[str]) -> None:
        location = absolute(self._pools.location(disk))
        if location:
            self._note(uuid, location, disk.format)
            if disk.type in ("file", "volume"):
                self._mention(uuid, transient_overlays(location, names))
            if disk.part and disk.format not in OPAQUE:
                self.unclear.setdefault(location, f"a disk of domain {uuid} is a part of {location}, and what that part reaches cannot be followed")
        elif disk.type == "volume" and not location and not self._pools.is_remote(disk):
            where = f"volume {disk.volume} of pool {disk.pool}"
            self.doubts.setdefault(where, (uuid, Doubt(where, "where that is cannot be told (is the pool active?)", os.fsencode(disk.volume))))
        if disk.type == "dir":
            self._share(uuid, location)

    def _share(self, uuid: str, directory: str) -> None:
        for path in _spellings(directory):
            self._shared.setdefault(path, set()).add(uuid)
        identity = self._identity_above(directory)
        if identity is not None:
            self._shared_identities.setdefault(identity, set()).add(uuid)

    def _identity_above(self, directory: str) -> FileIdentity | None:
        """The identity of a directory, asked once: bind mounts show one under several names."""
        if directory not in self._above:
            try:
                self._above[directory] = identity_of(os.stat(directory))
            except (OSError, ValueError):
                self._above[directory] = None
        return self._above[directory]

    def _rotations(self, log: str) -> list[str]:
        """The rotated files beside a log; each directory is listed and sorted out once."""
        directory, name = os.path.split(log)
        if not directory.startswith("/") or not name:
            return []
        if directory not in self._rotated:
            known: dict[str, list[str]] = {}
            for entry in list_names(directory):
                for base in rotated_from(entry):
                    known.setdefault(base, []).append(entry)
            self._rotated[directory] = known
        return [os.path.join(directory, entry) for entry in self._rotated[directory].get(name, ())]

    def _note(self, uuid: str, path: str, fmt: str) -> None:
        """Everything that `path` leads to is `uuid`'s. "" as format is followed by its magic, since QEMU might."""
        if (path, fmt) not in self._walked:
            self._walked[path, fmt] = self._reached(path, fmt)
        reached = self._walked[path, fmt]
        if reached.incomplete:
            self.unclear.setdefault(path, f"domain {uuid} reaches {path}, which cannot be followed to its end: {reached.reason}")
        for doubt in reached.doubts:
            self.doubts.setdefault(doubt.place, (uuid, doubt))
        behind, shown = (frozenset[FileIdentity](), frozenset[str]()) if not reached.identities else self._files_behind(path)
        for name in (reached.paths - shown) | {path}:
            self._paths.setdefault(name, set()).add(uuid)
        for identity in reached.identities:
            (self._behind if identity in behind else self._identities).setdefault(identity, set()).add(uuid)

    def _reached(self, path: str, fmt: str) -> Reached:
        tree = self._tree
        try:
            return self._limit.run(f"{path} as {fmt}", lambda: names_reached(path, fmt, tree=tree))
        except StorageError as error:
            self._tree = DeviceTree()  # the look that is still out has the other one
            return Reached(frozenset(), frozenset({path, os.path.normpath(path)}), incomplete=True, reason=str(error))

    def _files_behind(self, path: str) -> tuple[frozenset[FileIdentity], frozenset[str]]:
        """Of a block device, the files that loop devices at and below it show, by identity and path; nothing for anything else."""
        try:
            if not path.startswith("/") or not st.S_ISBLK(os.stat(path).st_mode):
                return frozenset(), frozenset()
            facts = block_facts(path, self._tree)
        except (OSError, ValueError, StorageError, RefusedError):
            return frozenset(), frozenset()
        return aliases(facts, self._tree), frozenset(_spellings(facts.backing_file) if facts.backing_file else ())


def saved_state_path(name: str, directories: LibvirtDirectories) -> str:
    """Where libvirt keeps the managed save of the domain `name`; "" for a name that cannot be part of a file name."""
    if not name or "/" in name or "\0" in name:
        return ""
    return f"{directories.state}/save/{name}.save"


def rotated_logs(log: str, listing: Callable[[str], Iterable[str]]) -> Iterator[str]:
    """Paths of the rotated files that virtlogd and logrotate left beside `log`. `listing` gives a directory's names."""
    directory, name = os.path.split(log)
    if directory.startswith("/") and name:
        yield from (os.path.join(directory, entry) for entry in listing(directory) if entry != name and is_log(entry, name))


def _and_above(path: str) -> Iterator[str]:
    """A path and every directory above it."""
    yield path
    while path not in ("", "/"):
        path = os.path.dirname(path)
        yield path


def _spellings(path: str) -> set[str]:
    """A path as it stands, without `.` and `//`, and with symbolic links resolved."""
    try:
        return {path, os.path.normpath(path), os.path.realpath(path)}
    except (OSError, ValueError):
        return {path}
