"""Beneath which directory may an artefact be opened? By its letters here; the opening (`storage.paths.open_image`) then insists that it is true.

What libvirt's XML names by path: a configured root, or libvirt's own state and log directories. What libvirt keeps by UUID or by name: only the directory
where it keeps that kind. What root's configuration names by a template: below the template's literal part. The deepest root comes first, since it
allows the least. Protected places (`protected`, golden pools) are looked up here too, by resolved path, identity and mount.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wiped.model.inventory import FileIdentity, LibvirtDirectories
from wiped.storage.kernel import identity_of
from wiped.storage.paths import containing_root


@dataclass(frozen=True, slots=True)
class Bound:
    """A directory to open beneath. `cross_mounts`: filesystems may be mounted on the way (libvirt's own directories alone)."""

    directory: str
    cross_mounts: bool = False


def general(directories: LibvirtDirectories) -> tuple[str, ...]:
    """libvirt's own directories in which files stand that a domain's XML names by path: NVRAM, saved states, logs."""
    return (directories.state, directories.logs)


def own_places(directories: LibvirtDirectories) -> tuple[str, ...]:
    """Every directory of libvirt's own that holds files of phones: filesystems may be mounted in them."""
    return (*general(directories), directories.swtpm, directories.swtpm_logs, directories.secrets)


def below(location: str, roots: Iterable[str]) -> str:
    """The deepest of these directories that contains the path by its letters, not being it; "" for none."""
    prefixes = [root for root in roots if location.startswith("/" + root.strip("/") + "/") and root.strip("/")]
    return max(prefixes, key=len, default="")


def bound_of(location: str, granted: Iterable[str], roots: Sequence[str], directories: LibvirtDirectories) -> Bound | None:
    """Where to open the file beneath; None for nowhere. `granted`: bounds of the ways in which the file is the phone's ("" for the general one)."""
    ways = tuple(granted)
    if root := below(location, roots):
        return Bound(root)
    if special := below(location, [way for way in ways if way]):
        return Bound(special, cross_mounts=special in own_places(directories))
    if ("" in ways or not ways) and (own := below(location, general(directories))):
        return Bound(own, cross_mounts=True)
    return None


class Places:
    """Which of some directories a file lies in, really (`containing_root`), asked once per directory: for plans with thousands of files in few."""

    def __init__(self, roots: Iterable[str]) -> None:
        self.roots = tuple(dict.fromkeys(roots))
        self._folders: dict[str, str] = {}
        self._files: dict[FileIdentity | str, str] = {}
        for root in self.roots:
            self._files[os.path.realpath(root)] = root
            try:
                self._files[identity_of(os.stat(root))] = root
            except OSError:
                continue

    def __bool__(self) -> bool:
        return bool(self.roots)

    def of(self, location: str, identity: FileIdentity | None = None) -> str:
        """The directory (or the very file, where one was listed) that contains this file; "" for none."""
        if not self.roots:
            return ""
        folder = os.path.dirname(location)
        if folder not in self._folders:
            self._folders[folder] = containing_root(folder, self.roots)
        itself = self._files.get(location) or (self._files.get(identity) if identity is not None else None)
        return itself or self._folders[folder]
