"""The negative rule: everything that any *other* domain reaches, read as liberally as can be; it only ever protects more.

Chains under every disk, by headers and as stated, the device stacks beneath them, every path mentioned anywhere, shared directories, console logs, saved
states (a restore goes by their XML), present, former and saved names, and the secrets that any of them, a pool or qemu.conf mentions.
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from wiped.erase.claims import Claims, Why
from wiped.erase.libvirt_files import Document, names_in, saved_domain_at, unreadable
from wiped.erase.pools import every_location, is_unknown
from wiped.errors import RefusedError, StorageError
from wiped.model.inventory import DiskSource, DomainFacts, FileIdentity
from wiped.storage.blockdev import aliases, block_facts, stack_identities
from wiped.storage.blockstack import DeviceTree
from wiped.storage.doubt import Doubt, paths_in
from wiped.storage.image_chain import names_reached
from wiped.storage.kernel import identity_of
from wiped.storage.mounts import real_path
from wiped.storage.reached import OPAQUE
from wiped.storage.time_limit import TimeLimit
from wiped.virt.devices import refused_devices
from wiped.virt.places import CREDENTIALS, absolute, transient_overlays


@dataclass(frozen=True, slots=True)
class _Walk:
    """One look at the host: images that were followed already, by path and stated format, and its devices."""

    done: set[tuple[str, str]] = field(default_factory=set)
    tree: DeviceTree = field(default_factory=DeviceTree)
    limit: TimeLimit = field(default_factory=TimeLimit)


def claim_others(claims: Claims) -> None:
    """Fill in what the other domains' documents and saved states reach. Raises RefusedError (unreadable) where that cannot be followed to its end."""
    walk = _Walk()
    for path, document in claims.shelf.documents.items():
        if document.facts.uuid != claims.uuid:
            _claim_document(claims, path, document, walk)
    _claim_saved(claims, walk)


def _claim_document(claims: Claims, path: str, document: Document, walk: _Walk) -> None:
    facts = document.facts
    owner = facts.uuid or f"of {os.path.basename(path)}"
    if facts.name and document.origin != "snapshot":
        _claim_mentioned(claims, owner, (os.path.join(claims.directories.state, "save", f"{facts.name}.save"),), walk)
    _claim_mentioned(claims, owner, document.mentioned, walk)
    _claim_facts(claims, owner, path, facts, walk)


def _claim_facts(claims: Claims, owner: str, path: str, facts: DomainFacts, walk: _Walk) -> None:
    for name in (facts.name, *facts.former_names):
        if name:
            claims.other_names.setdefault(name, owner)
    for log in map(absolute, facts.console_logs):
        for spelling in (os.path.normpath(log), real_path(log)):
            claims.logs.setdefault(spelling, owner)
    for shared in map(absolute, facts.shared_directories):
        claims.trees.setdefault(os.path.normpath(shared), owner)
    named = (facts.nvram, *facts.former_nvram, *facts.console_logs, *facts.snapshot_memory_files)
    _claim_mentioned(claims, owner, map(absolute, filter(None, named)), walk)
    for disk in (*facts.disks, *facts.stated_chain):
        _claim_disk(claims, owner, path, disk, walk)
        locations, _ = every_location(disk, claims.shelf.pools)
        for location in map(absolute, locations) if disk.type in ("file", "volume") else ():
            _claim_mentioned(claims, owner, transient_overlays(location, (facts.name, *facts.former_names)), walk)


def _claim_disk(claims: Claims, owner: str, path: str, disk: DiskSource, walk: _Walk) -> None:
    if is_unknown(disk, claims.shelf.pools):
        where = f"volume {disk.volume} of the pool {disk.pool!a}"
        claims.doubts.setdefault(where, (owner, Doubt(where, "libvirt's files do not know that pool", os.fsencode(disk.volume))))
        return
    locations, certain = every_location(disk, claims.shelf.pools)
    if not certain:
        claims.unresolved = f"where the disk {disk.target} of {owner} is cannot be told (a volume of the pool {disk.pool!a})"
    for location in map(absolute, locations):
        if disk.part and disk.format not in OPAQUE:
            raise unreadable(path, f"its disk {disk.target} is a part of the file {location}, and what that part reaches cannot be followed")
        if disk.type == "dir":
            claims.trees.setdefault(os.path.normpath(location), owner)
        elif (location, disk.format) not in walk.done:
            walk.done.add((location, disk.format))
            _claim_image(claims, owner, path, replace(disk, location=location), walk)


def _claim_image(claims: Claims, owner: str, path: str, disk: DiskSource, walk: _Walk) -> None:
    try:
        reached = walk.limit.run(f"{disk.location} as {disk.format}", lambda: names_reached(disk.location, disk.format, tree=walk.tree))
    except StorageError as error:
        raise unreadable(path, f"what its disk {disk.target} reaches cannot be told: {error}") from error
    if reached.incomplete:
        raise unreadable(path, f"what its disk {disk.target} reaches cannot be followed to the end ({reached.reason})")
    for doubt in reached.doubts:
        claims.doubts.setdefault(doubt.place, (owner, doubt))
    behind, shown = _behind(disk.location, walk.tree)
    for identity in reached.identities:
        (claims.behind if identity in behind else claims.identities).setdefault(identity, owner)
    for name in reached.paths - shown:
        claims.paths.setdefault(name, owner)


def _behind(path: str, tree: DeviceTree) -> tuple[frozenset[FileIdentity], frozenset[str]]:
    """Of a block device, the files that loop devices at and below it show, by identity and path; nothing for anything else."""
    try:
        if not st.S_ISBLK(os.stat(path).st_mode):
            return frozenset(), frozenset()
        facts = block_facts(path, tree)
    except (OSError, ValueError, StorageError, RefusedError):
        return frozenset(), frozenset()
    return aliases(facts, tree), frozenset({facts.backing_file, real_path(facts.backing_file)} if facts.backing_file else ())


def _claim_mentioned(claims: Claims, owner: str, mentioned: Iterable[str], walk: _Walk) -> None:
    for name in mentioned:
        normal = os.path.normpath(name)
        if normal not in claims.paths and "\0" not in name:
            claims.paths[normal] = owner
            behind, _ = _behind(name, walk.tree)
            for identity in _identities(name, walk.tree):
                (claims.behind if identity in behind else claims.identities).setdefault(identity, owner)


def _identities(path: str, tree: DeviceTree) -> frozenset[FileIdentity]:
    """What stands at a path: the file, or the device and its whole stack; nothing when there is nothing."""
    try:
        found = os.stat(path)
        return frozenset({identity_of(found)}) | (stack_identities(block_facts(path, tree), tree) if st.S_ISBLK(found.st_mode) else frozenset())
    except (OSError, ValueError):
        return frozenset()
    except StorageError:
        return frozenset()  # it went away meanwhile
    except RefusedError as error:
        raise unreadable(path, str(error)) from error


def _claim_saved(claims: Claims, walk: _Walk) -> None:
    """Saved states hold XML too, which a restore goes by. One without the header claims nothing but itself: it is half wiped. One that is not understood may
    name what stands in its head; the phone's own, by its name, is its own business."""
    folder = os.path.join(claims.directories.state, "save")
    own = {f"{name}.save" for name in claims.names - claims.other_names.keys()}
    for name in names_in(folder, required=False):
        path = os.path.normpath(os.path.join(folder, name))
        if not path.endswith(".save"):
            continue
        try:
            found = saved_domain_at(path)
        except RefusedError:
            if name in own:
                continue
            raise
        if isinstance(found, Doubt):
            if name in own:
                continue
            claims.doubts.setdefault(path, (f"of {name}", found))
            _claim_mentioned(claims, f"of {name}", paths_in(found.head, folder), walk)
        elif found is not None and found.facts.uuid != claims.uuid:
            _claim_mentioned(claims, found.facts.uuid, (path, *found.mentioned), walk)
            _claim_facts(claims, found.facts.uuid, path, found.facts, walk)
        elif found is not None:
            claims.unaccounted.update((*found.facts.unaccounted, *refused_devices(found.facts.host_devices, claims.rules.harmless_host_devices)))


def claim_overlaps(claims: Claims) -> None:
    """A directory of ours in which another domain reaches something, or that lies in another's or holds it, is not ours alone: none of it."""
    for tree, grant in claims.own_trees.items():
        if grant.why is not Why.SHARED:
            continue
        prefixes = {tree.rstrip("/") + "/", real_path(tree).rstrip("/") + "/"}
        inside = next((owner for path, owner in (*claims.paths.items(), *claims.trees.items()) if any(f"{path}/".startswith(each) for each in prefixes)), "")
        if inside:
            claims.trees.setdefault(tree, inside)


def claim_secrets(claims: Claims) -> None:
    """Grant the values of the secrets that this phone's XML names, or whose volume is its own disk; note those that anybody else mentions."""
    documents = claims.shelf.documents.values()
    named = {secret for document in documents if document.facts.uuid == claims.uuid for secret in document.facts.secrets}
    words = dict.fromkeys(_plain(claims.shelf.host_words), "(the host's own configuration)")
    for path, document in claims.shelf.documents.items():
        if document.facts.uuid != claims.uuid:
            words |= dict.fromkeys(_plain(document.words), document.facts.uuid or f"of {os.path.basename(path)}")
    for secret in claims.shelf.secrets.values():
        facts = secret.facts
        value = os.path.join(claims.directories.secrets, f"{facts.uuid}.base64")
        volume = os.path.normpath(facts.usage) if facts.usage_type == "volume" and facts.usage.startswith("/") else ""
        if facts.usage_type in CREDENTIALS:
            continue  # it opens storage elsewhere, which others use too, today or tomorrow
        if facts.uuid in named or facts.reference in named or (volume and _is_own_disk(claims, volume)):
            claims.grant(value, Why.SECRET, claims.directories.secrets)
        other = words.get(facts.uuid) or (words.get(facts.usage) if facts.usage else None) or (claims.paths.get(volume) if volume else None)
        if other:
            claims.paths.setdefault(value, other)


def _is_own_disk(claims: Claims, path: str) -> bool:
    return any(grant.why in (Why.DISK, Why.BASE) for grant in claims.grants(path))


def _plain(words: Iterable[str]) -> set[str]:
    """Words as they stand, and what may be a UUID in its usual form."""
    found: set[str] = set()
    for word in words:
        found.add(word)
        digits = word.lower().replace("-", "")
        if len(digits) == 32 and len(word) in (32, 36):
            found.add("-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])))
    return found
