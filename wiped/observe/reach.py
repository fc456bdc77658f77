"""Which domains reach a file: by path, by device and inode, through backing chains and shared directories. Liberal: it only ever protects more.

Built once per survey; each image of another domain is walked once. What cannot be read contributes the paths that are known of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from wiped.errors import InputError, RefusedError, StorageError
from wiped.model.inventory import DomainFacts, FileIdentity, ImageLayer, LibvirtDirectories
from wiped.observe.saved import read_saved_domain
from wiped.storage.chain import Reached, names_reached
from wiped.storage.paths import open_beneath


class Reach:
    """The owners of files, from the facts of every domain but `uuid`, and from the saved states that stand in libvirt's directory."""

    def __init__(self, uuid: str, domains: Iterable[DomainFacts], directories: LibvirtDirectories) -> None:
        self._paths: dict[str, set[str]] = {}
        self._identities: dict[FileIdentity, set[str]] = {}
        self._shared: dict[str, set[str]] = {}
        self._walked: dict[tuple[str, str], Reached] = {}
        self._listed: dict[str, tuple[str, ...]] = {}
        #: (image of another domain, why it cannot be followed to its end): whatever lies beneath may be any file, so nothing is safe to erase.
        self.unclear: dict[str, str] = {}
        for domain in (*domains, *(saved for _, saved in saved_domains(directories))):
            if domain.uuid != uuid:
                self._add(domain, directories)

    def owners(self, layer: ImageLayer) -> frozenset[str]:
        """UUIDs of the domains that reach `layer`."""
        found: set[str] = set()
        for path in _spellings(layer.location):
            found |= self._paths.get(path, set())
            for directory, uuids in self._shared.items():
                if path == directory or path.startswith(directory.rstrip("/") + "/"):
                    found |= uuids
        if layer.identity is not None:
            found |= self._identities.get(layer.identity, set())
        return frozenset(found)

    def _add(self, domain: DomainFacts, directories: LibvirtDirectories) -> None:
        for disk in domain.disks:
            if disk.location.startswith("/"):
                self._note(domain.uuid, disk.location, disk.format)
            if disk.type == "dir":
                self._share(domain.uuid, disk.location)
        plain = [domain.nvram, *domain.former_nvram, *domain.snapshot_memory_files]
        for log in domain.console_logs:
            plain += [log, *rotated_logs(log, self._list)]
        saved = saved_state_path(domain.name, directories)
        plain += [saved] if saved else []
        for path in plain:
            if path.startswith("/"):
                self._note(domain.uuid, path, "raw")
        for directory in domain.shared_directories:
            self._share(domain.uuid, directory)

    def _share(self, uuid: str, directory: str) -> None:
        for path in _spellings(directory):
            self._shared.setdefault(path, set()).add(uuid)

    def _list(self, directory: str) -> tuple[str, ...]:
        if directory not in self._listed:
            self._listed[directory] = list_names(directory)
        return self._listed[directory]

    def _note(self, uuid: str, path: str, fmt: str) -> None:
        """Everything that `path` leads to is `uuid`'s. "" as format is followed by its magic, since QEMU might."""
        if (path, fmt) not in self._walked:
            self._walked[path, fmt] = names_reached(path, fmt)
        reached = self._walked[path, fmt]
        if reached.incomplete:
            self.unclear.setdefault(path, f"domain {uuid} reaches something here that cannot be followed to its end: {reached.reason}")
        for name in reached.paths | {path}:
            self._paths.setdefault(name, set()).add(uuid)
        for identity in reached.identities:
            self._identities.setdefault(identity, set()).add(uuid)


def saved_state_path(name: str, directories: LibvirtDirectories) -> str:
    """Where libvirt keeps the managed save of the domain `name`; "" for a name that cannot be part of a file name."""
    if not name or "/" in name or "\0" in name:
        return ""
    return f"{directories.state}/save/{name}.save"


def saved_domains(directories: LibvirtDirectories) -> Iterator[tuple[str, DomainFacts]]:
    """(path, domain) of libvirt's saved states: a restore goes by their XML, which may name more than the definition. One that cannot be read or
    understood tells nothing here (it may be half wiped)."""
    for name in list_names(f"{directories.state}/save"):
        path = f"{directories.state}/save/{name}"
        if not name.endswith(".save"):
            continue
        try:
            fd = open_beneath(directories.state, path, os.O_RDONLY, cross_mounts=True)
            try:
                yield path, read_saved_domain(fd)
            finally:
                os.close(fd)
        except (InputError, OSError, RefusedError, StorageError):
            continue


def rotated_logs(log: str, listing: Callable[[str], Iterable[str]]) -> Iterator[str]:
    """Paths of the rotated files that virtlogd left beside `log`: its name, a dot, a number without leading zeros. `listing` gives a directory's names."""
    directory, name = os.path.split(log)
    if not directory.startswith("/") or not name:
        return
    for entry in listing(directory):
        prefix, dot, number = entry.rpartition(".")
        if dot and prefix == name and number.isascii() and number.isdigit() and number == str(int(number[:9])):
            yield os.path.join(directory, entry)


def list_names(directory: str) -> tuple[str, ...]:
    """The names in a directory, sorted; () when it cannot be listed (`why_unlisted` tells whether there is one)."""
    try:
        return tuple(sorted(os.listdir(directory)))
    except (OSError, ValueError):
        return ()


def why_unlisted(directory: str) -> str:
    """Why a directory that is there cannot be listed; "" when it can, or when there is none, which holds nothing."""
    try:
        os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or "cannot be listed"
    return ""


def _spellings(path: str) -> set[str]:
    """A path as it stands, without `.` and `//`, and with symbolic links resolved."""
    try:
        return {path, os.path.normpath(path), os.path.realpath(path)}
    except (OSError, ValueError):
        return {path}
