"""Where the volume of a pool stands, from the storage driver's own files, and which pools are golden."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wiped.erase.libvirt_files import unreadable
from wiped.model.inventory import DiskSource
from wiped.virt.pool_xml import DIRECTORY_TYPES, PoolFacts

#: Types of pools whose volumes are no files or devices of this host.
_REMOTE = frozenset({"rbd", "sheepdog", "gluster", "iscsi-direct"})

#: Types whose volumes stand in the target directory under their own names.
_BY_NAME = DIRECTORY_TYPES | {"logical", "disk", "mpath", "zfs"}

#: Pools by name: a running pool and its definition may differ.
Pools = Mapping[str, tuple[PoolFacts, ...]]


def one_location(disk: DiskSource, pools: Pools) -> str:
    """Where a disk of this phone's stands; "" for storage that is no file of this host, and where that is not beyond doubt."""
    if disk.location or disk.type != "volume":
        return disk.location
    found = {_volume(pool, disk.volume) for pool in pools.get(disk.pool, ())}
    return found.pop() if len(found) == 1 else ""


def is_unknown(disk: DiskSource, pools: Pools) -> bool:
    """Whether a disk is a volume of a pool that libvirt's files do not know."""
    return not disk.location and disk.type == "volume" and not pools.get(disk.pool)


def every_location(disk: DiskSource, pools: Pools) -> tuple[tuple[str, ...], bool]:
    """Wherever a disk of another domain may stand, and whether that is all; nothing for storage that is no file or device of this host.

    Of a volume of an unknown pool nothing is known but its name: the caller asks `is_unknown` first.
    """
    if disk.location or disk.type != "volume":
        return ((disk.location,) if disk.location else ()), True
    known = pools.get(disk.pool, ())
    local = [pool for pool in known if pool.type not in _REMOTE]
    return tuple(dict.fromkeys(volume for pool in local if (volume := _perhaps(pool, disk.volume)))), all(pool.type in _BY_NAME for pool in local)


def _volume(pool: PoolFacts, volume: str) -> str:
    if pool.type == "logical" and pool.target.startswith("/dev/") and volume not in ("", ".", "..") and "/" not in volume:
        return f"{pool.target.rstrip('/')}/{volume}"
    return pool.volume_path(volume)


def _perhaps(pool: PoolFacts, volume: str) -> str:
    return f"{pool.target.rstrip('/')}/{volume}" if pool.target.startswith("/") and volume else ""


def golden_directories(names: Iterable[str], pools: Pools) -> tuple[str, ...]:
    """The targets of the pools that the configuration calls golden. Raises RefusedError (unreadable) for one that cannot be found: what it protects is
    then unknown."""
    found: list[str] = []
    for name in names:
        targets = [pool.target for pool in pools.get(name, ()) if pool.target.startswith("/")]
        if not targets:
            raise unreadable(f"pool {name}", "it is configured as golden, and libvirt's files do not say where it is")
        found += targets
    return tuple(dict.fromkeys(found))
