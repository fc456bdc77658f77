"""Where the observer may open what it is asked to map or read back, and how: the same bounds as for looking, by descriptor, for reading alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wiped.errors import InputError, RefusedError
from wiped.model.inventory import FileIdentity, LibvirtDirectories
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules
from wiped.observe.host_files import read_small
from wiped.observe.pools import read_pools
from wiped.storage.artefacts import ArtefactMap, map_artefact
from wiped.storage.blockdev import DEV, BlockFile, block_root, open_block
from wiped.storage.paths import SafeFile, containing_root, open_image
from wiped.storage.templates import bound_of, directory_of
from wiped.virt.places import memory_backing_directory, parse_qemu_conf

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Bound:
    """A directory to open beneath. `cross_mounts`: filesystems may be mounted on the way (libvirt's own directories only)."""

    directory: str
    cross_mounts: bool = False


def libvirt_bounds(directories: LibvirtDirectories) -> tuple[str, ...]:
    """libvirt's own directories in which a phone's files need no configured root (docs/contract.md, "Configuration")."""
    return (directories.state, directories.logs, directories.swtpm, directories.swtpm_logs, directories.secrets)


def bound_for(location: str, rules: StorageRules, directories: LibvirtDirectories) -> Bound:
    """Where `location` may be opened beneath. Raises RefusedError (outside-roots)."""
    own = (*libvirt_bounds(directories), *_moved(directories))
    root = containing_root(location, (*rules.roots, *own))
    if root:
        return Bound(root, cross_mounts=root in own and root not in rules.roots)
    for directory in _templated(location, rules):
        if location.startswith(directory.rstrip("/") + "/"):
            return Bound(directory)
    raise RefusedError(f"{location}: under no configured root", codes=[RefusalCode.OUTSIDE_ROOTS])


def _moved(directories: LibvirtDirectories) -> tuple[str, ...]:
    """The directories that qemu.conf moved elsewhere: libvirt's own all the same."""
    try:
        conf = parse_qemu_conf(read_small(directories.qemu_conf).decode("utf-8", "surrogateescape"), state=directories.state)
    except (OSError, InputError, RefusedError):
        return ()
    return (conf.auto_dump_path, memory_backing_directory(conf))


def _templated(location: str, rules: StorageRules) -> Iterator[str]:
    """The literal directories of the templates, for every UUID that stands in the path itself: no other can have led there."""
    for uuid in dict.fromkeys(_UUID.findall(location)):
        for template in rules.extra_artefacts:
            try:
                yield bound_of(template, uuid)
            except InputError:
                continue
        for template in rules.phone_directories:
            try:
                yield directory_of(template, uuid)
            except InputError:
                continue


def open_artefact(location: str, identity: FileIdentity, rules: StorageRules, directories: LibvirtDirectories) -> SafeFile | BlockFile:
    """The file or block device at `location`, which must be `identity`, open for reading; a context manager.

    Raises RefusedError (outside-roots, symlink, not-regular, identity-changed, ...), StorageError (vanished, io-error).
    """
    if location.startswith(DEV + "/") and identity.inode == 0:
        if not block_root(location, rules.roots):
            raise RefusedError(f"{location}: under no configured root", codes=[RefusalCode.OUTSIDE_ROOTS])
        return open_block(location, identity, write=False, exclusive=False)
    bound = bound_for(location, rules, directories)
    return open_image(bound.directory, location, write=False, expected=identity, cross_mounts=bound.cross_mounts)


def map_of(image: SafeFile | BlockFile, rules: StorageRules, directories: LibvirtDirectories) -> ArtefactMap:
    """What of it is overwritten and read back: the eraser's own answer, found anew. Raises StorageError, RefusedError (unreadable)."""
    golden, _ = read_pools(directories).golden(rules)
    return map_artefact(image.fd, rules, directories, golden_directories=golden)
