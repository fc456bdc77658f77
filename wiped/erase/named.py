"""Files that libvirt keys by a domain's *name*: QEMU's and swtpm's logs, firmware variables, dumps, memory directories. Pure.

Names are truncated, changed and used again: such a file is a phone's only where its present or former name claims it and no other domain's present,
former or saved name does. Both questions are answered here, by the same rules (`virt/places.py`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping

from wiped.model.inventory import LibvirtDirectories
from wiped.virt.places import QemuConf, is_log, matches_dump, matches_memory_dir, matches_nvram, nvram_directory, qemu_log_names, swtpm_log


def grants(location: str, names: Collection[str], uuid: str, directories: LibvirtDirectories, conf: QemuConf) -> Iterator[tuple[str, str]]:
    """(way, directory to open beneath) for each way in which one of these names, or the UUID, claims the file."""
    for way, folder, entry in _entries(location, directories, conf):
        if any(_matches(way, entry, name, uuid, is_swtpm=folder == directories.swtpm_logs) for name in names):
            yield way, folder


def claimant(location: str, names: Mapping[str, str], directories: LibvirtDirectories, conf: QemuConf) -> str:
    """The owner of one of these names (name to UUID) that claims the file; "" for none."""
    for way, folder, entry in _entries(location, directories, conf):
        for name, owner in names.items():
            if _matches(way, entry, name, owner, is_swtpm=folder == directories.swtpm_logs):
                return owner
    return ""


def _entries(location: str, directories: LibvirtDirectories, conf: QemuConf) -> Iterator[tuple[str, str, str]]:
    """(way, directory, entry in it) for each place of named things that the file lies in."""
    folder, entry = os.path.split(location)
    if folder == directories.logs.rstrip("/"):
        yield "named-log", directories.logs, entry
    if folder == directories.swtpm_logs.rstrip("/"):
        yield "named-log", directories.swtpm_logs, entry
    if folder == nvram_directory(directories.state):
        yield "nvram", folder, entry
    if folder == conf.auto_dump_path:
        yield "dump", conf.auto_dump_path, entry
    memory = conf.memory_backing_dir
    if location.startswith(memory + "/") and "/" in (inside := location[len(memory) + 1 :]):
        yield "ram", memory, inside.split("/")[0]


def _matches(way: str, entry: str, name: str, uuid: str, *, is_swtpm: bool) -> bool:
    if way == "dump":
        return matches_dump(entry, name, uuid)
    if way == "ram":
        return matches_memory_dir(entry, name)
    if way == "nvram":
        return matches_nvram(entry, name)
    logs = (swtpm_log(name),) if is_swtpm else qemu_log_names(name)
    return any(is_log(entry, log) for log in logs)
