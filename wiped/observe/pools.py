"""libvirt's storage pools, from the storage driver's own files: which directories are golden, and where a volume stands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from xml.etree.ElementTree import tostring

from wiped.errors import InputError, RefusedError, StorageError
from wiped.model.inventory import DiskSource, LibvirtDirectories
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules
from wiped.observe.host_files import list_names, read_small
from wiped.virt import safe_xml
from wiped.virt.pool_xml import PoolFacts, parse_pool

#: Types of pools whose volumes are no files or devices of this host.
_REMOTE = frozenset({"rbd", "sheepdog", "gluster", "iscsi-direct"})


@dataclass(frozen=True, slots=True)
class Pools:
    """Pools by name; `faults`: (path, why) of definitions that are there and cannot be understood."""

    by_name: dict[str, PoolFacts]
    every: tuple[PoolFacts, ...] = ()
    """Both, where a running pool and its definition differ."""
    faults: tuple[tuple[str, str], ...] = ()
    words: frozenset[str] = frozenset()
    """Every attribute and text of the definitions, in lower case: what may name a secret."""

    def location(self, disk: DiskSource) -> str:
        """Where a disk's volume stands; "" when it cannot be told."""
        if disk.location or disk.type != "volume":
            return disk.location
        pool = self.by_name.get(disk.pool)
        if pool is None:
            return ""
        if pool.type == "logical" and pool.target.startswith("/dev/") and disk.volume and "/" not in disk.volume:
            return f"{pool.target.rstrip('/')}/{disk.volume}"
        return pool.volume_path(disk.volume)

    def is_remote(self, disk: DiskSource) -> bool:
        """Whether the volume is known to be no file and no device of this host."""
        pool = self.by_name.get(disk.pool)
        return pool is not None and pool.type in _REMOTE

    def golden(self, rules: StorageRules) -> tuple[tuple[str, ...], tuple[tuple[str, str, str], ...]]:
        """The directories of the pools that the configuration calls golden, and (code, location, detail) of those that cannot be found."""
        directories, problems = [], []
        for name in rules.golden_pools:
            targets = [pool.target for pool in self.every if pool.name == name and pool.target.startswith("/")]
            directories += targets
            if not targets:
                why = "; ".join(f"{path}: {why}" for path, why in self.faults) or "libvirt's files do not know it"
                problems.append((str(RefusalCode.UNREADABLE), f"pool {name}", f"where the golden pool {name!a} is cannot be told: {why}"))
        return tuple(dict.fromkeys(directories)), tuple(problems)


def read_pools(directories: LibvirtDirectories) -> Pools:
    """All pools, active and defined. Never raises."""
    found: list[PoolFacts] = []
    faults = []
    words: set[str] = set()
    for base in (directories.run, directories.config):
        folder = os.path.join(os.path.dirname(base.rstrip("/")), "storage")
        for name in list_names(folder):
            path = os.path.join(folder, name)
            if not name.endswith(".xml"):
                continue
            try:
                root = safe_xml.parse(read_small(path), what="pool XML")
                words.update(text.strip().lower() for each in root.iter() for text in (each.text or "", *each.attrib.values()))
                inner = root.find("pool") if root.tag == "poolstate" else root
                found.append(parse_pool(tostring(inner if inner is not None else root)))
            except FileNotFoundError:
                continue
            except (InputError, RefusedError, StorageError) as error:
                faults.append((path, str(error)))
    return Pools({pool.name: pool for pool in reversed(found)}, tuple(found), tuple(faults), frozenset(words - {""}))
