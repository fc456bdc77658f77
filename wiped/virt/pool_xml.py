"""libvirt's XML of a storage pool: where its volumes stand, so that a `volume` disk can be resolved from libvirt's own files. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from wiped.errors import InputError
from wiped.virt import safe_xml

#: Pool types whose volumes are plain files directly beneath the target directory.
DIRECTORY_TYPES = frozenset({"dir", "fs", "netfs"})


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """A pool's name, type (dir, fs, netfs, logical, rbd...) and target path ("" for none)."""

    name: str
    type: str
    target: str

    def volume_path(self, volume: str) -> str:
        """The path of a volume, or "" where the type does not say it by name alone or the name is no plain file name."""
        if self.type not in DIRECTORY_TYPES or not self.target or volume in ("", ".", "..") or "/" in volume:
            return ""
        return f"{self.target.rstrip('/')}/{volume}"


def parse_pool(xml: str | bytes) -> PoolFacts:
    """Facts of a `<pool>`. Raises InputError."""
    root = safe_xml.parse(xml, what="pool XML")
    name = root.findtext("name", "")
    if root.tag != "pool" or not name:
        raise InputError("is not a storage pool with a name", where="pool XML")
    return PoolFacts(name, root.get("type", ""), root.findtext("target/path", "").strip())
