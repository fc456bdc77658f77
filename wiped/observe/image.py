"""Everything that one phone reaches on this host, and who else reaches it: the survey from which a plan is made.

Nothing is decided here: what must not be touched is told as a layer's problem, as a `retain_reason`, or as a problem of the inventory, and
`decide/` refuses. What this version cannot wipe is named (`unsupported-artefact`), never skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from wiped.errors import InputError, RefusedError, StorageError
from wiped.model.inventory import ArtefactKind, DiskSource, DomainFacts, DomainState, FoundArtefact, ImageLayer, Inventory, LibvirtDirectories
from wiped.model.outcome import ReasonCode
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules
from wiped.observe.reach import Reach, list_names, rotated_logs, saved_domains, saved_state_path, why_unlisted
from wiped.observe.saved import read_saved_domain
from wiped.storage.chain import look_at_layer, walk_chain
from wiped.storage.paths import open_beneath

#: Why media is kept (FoundArtefact.retain_reason).
READ_ONLY_MEDIA = "read-only-media"
#: So many unreadable images of others are named.
MAX_UNCLEAR = 5
_ABSENT = (RefusalCode.MISSING, ReasonCode.VANISHED)
_FILES = ("file", "volume")


def survey(domain: DomainFacts, others: Sequence[DomainFacts], rules: StorageRules, directories: LibvirtDirectories, *, with_extents: bool = True) -> Inventory:
    """What `domain` reaches. `others`: every other domain that libvirt knows, for owners. `with_extents` maps every file that may be erased.

    Artefacts come chain by chain, top first (depth 0). Never raises for what it meets on the host: that is told in the inventory.
    """
    look = _Survey(domain, rules, directories, with_extents)
    look.disks()
    look.plain_files()
    look.managed_save()
    look.stray_saves()
    look.unsupported()
    reach = Reach(domain.uuid, others, directories)
    look.unclear(reach)
    artefacts = tuple(
        # A lock that was seen tells nothing here: it is the running phone's own, or already our eraser's. The eraser finds strangers out (`in-use`).
        replace(found, layer=replace(found.layer, in_use=False), owners=tuple(sorted({domain.uuid} | reach.owners(found.layer))))
        for found in look.artefacts
    )
    return Inventory(domain=domain, artefacts=artefacts, problems=tuple(dict.fromkeys(look.problems)), swap_bytes=swapped_bytes(domain, directories))


@dataclass(slots=True)
class _Survey:
    """One look at one domain; collects artefacts and problems."""

    domain: DomainFacts
    rules: StorageRules
    directories: LibvirtDirectories
    with_extents: bool
    artefacts: list[FoundArtefact] = field(default_factory=list)
    problems: list[tuple[str, str, str]] = field(default_factory=list)

    def _problem(self, code: str, location: str, detail: str) -> None:
        self.problems.append((str(code), location, detail))

    def _look(self, path: str, *, with_extents: bool) -> ImageLayer:
        return look_at_layer(
            path,
            "raw",
            roots=self.rules.roots,
            protected=self.rules.protected,
            libvirt_dirs=libvirt_bounds(self.directories),
            with_extents=with_extents,
        )

    def _walk(self, disk: DiskSource, *, with_extents: bool) -> tuple[ImageLayer, ...]:
        return walk_chain(
            disk.location,
            disk.format or "raw",
            roots=self.rules.roots,
            protected=self.rules.protected,
            libvirt_dirs=libvirt_bounds(self.directories),
            with_extents=with_extents,
        )

    # -- disks

    def disks(self) -> None:
        """Each disk's chain, once per location: current disks first, then those that only a snapshot names."""
        usable = [disk for disk in self.domain.disks if self._is_usable(disk)]
        former = {_plain(disk.location) for disk in usable if disk.origin == "snapshot"}
        groups: dict[str, list[DiskSource]] = {}
        for disk in sorted(usable, key=lambda disk: disk.origin == "snapshot"):
            groups.setdefault(_plain(disk.location), []).append(disk)
        seen: set[str] = set()
        self._only_live(groups)
        for location, group in groups.items():
            if location in seen and all(disk.origin == "snapshot" for disk in group):
                continue  # what a snapshot named is a layer of a current disk
            self._conflicts(group)
            retain = _retain_reason(group)
            layers = self._walk(group[0], with_extents=self.with_extents and not retain)
            seen.update(_plain(layer.location) for layer in layers)
            self.artefacts.extend(_chain(group[0], layers, former, retain))

    def _only_live(self, groups: dict[str, list[DiskSource]]) -> None:
        """Disks that stopping the phone would make libvirt forget: hot-plugged ones, the destination of a block copy. Told before it is stopped."""
        if not self.domain.persistent or self.domain.state is DomainState.SHUTOFF:
            return
        for location, group in groups.items():
            if all(disk.origin == "live" for disk in group) and not _retain_reason(group):
                detail = "only the running phone has this disk, and libvirt forgets it at the stop: attach it with --config too, or detach it"
                self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, location, detail)

    def _is_usable(self, disk: DiskSource) -> bool:
        """Whether the disk is a file here; otherwise its problem is told. An empty drive is nothing."""
        where = disk.location or f"disk {disk.target}"
        if not disk.location and disk.type in _FILES and not disk.volume and _is_medium(disk):
            return False
        if disk.device == "nvdimm":
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, where, "a memory device backed by a file: this version does not wipe it")
        elif disk.type == "block":
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, where, f"disk {disk.target} is a block device: this version wipes image files only")
        elif disk.type not in _FILES:
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, where, f"disk {disk.target} is opaque storage of type {disk.type}: it cannot be wiped from here")
        elif not disk.location:
            detail = f"disk {disk.target}: the path of its volume is unknown (is the pool active?)" if disk.volume else f"disk {disk.target} names no file"
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, where, detail)
        elif not disk.location.startswith("/") or "\0" in disk.location:
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, where, f"disk {disk.target} is not named by an absolute path")
        else:
            return True
        return False

    def _conflicts(self, group: Sequence[DiskSource]) -> None:
        """What several definitions of one file disagree on. Whichever is right, nothing is destroyed before a person settled it."""
        location = group[0].location
        if len({disk.format or "raw" for disk in group}) > 1:
            self._problem(RefusalCode.UNTRUSTED_FORMAT, location, "live, inactive or snapshot XML state different formats for it")
        if any(disk.shareable for disk in group):
            self._problem(RefusalCode.SHAREABLE_DISK, location, "the disk is marked shareable: other machines may write to it")
        if any(_is_medium(disk) for disk in group) and not all(_is_medium(disk) for disk in group):
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, location, "read-only media in one definition and a writable disk in another")
        if any(disk.device == "floppy" and not disk.readonly for disk in group):
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, location, "a writable floppy: the guest may have stored data on it; make it read-only or detach it")

    # -- other files

    def plain_files(self) -> None:
        """NVRAM and console logs, the rotated ones too. What is not there (a phone that never started) left nothing."""
        for path in dict.fromkeys((self.domain.nvram, *self.domain.former_nvram)):
            self._file(ArtefactKind.NVRAM, path)
        for log in self.domain.console_logs:
            self._file(ArtefactKind.CONSOLE_LOG, log)
            self._listable(os.path.dirname(log), "rotated console logs may stand in it")
            for rotated in rotated_logs(log, list_names):
                self._file(ArtefactKind.CONSOLE_LOG, rotated)

    def _file(self, kind: ArtefactKind, path: str) -> None:
        if not path or any(_plain(found.layer.location) == _plain(path) for found in self.artefacts):
            return
        if not path.startswith("/") or "\0" in path:
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, path, f"{kind} is not named by an absolute path")
            return
        layer = self._look(path, with_extents=self.with_extents)
        if layer.problem not in _ABSENT and not _is_sink(path):
            self.artefacts.append(FoundArtefact(kind=kind, layer=layer))

    def _listable(self, directory: str, what: str) -> None:
        """A directory that cannot be listed is told: not to have looked is not to have found nothing."""
        if directory.startswith("/") and (why := why_unlisted(directory)):
            self._problem(RefusalCode.UNREADABLE, directory, f"{why}: {what}")

    def managed_save(self) -> None:
        """The RAM that libvirt saved for this name, if it is this phone's."""
        self._listable(f"{self.directories.state}/save", "saved RAM may stand in it")
        path = saved_state_path(self.domain.name, self.directories)
        if not path:
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, "managed save", "the domain's name cannot be part of a file name")
            return
        layer = self._look(path, with_extents=self.with_extents)
        if layer.problem in _ABSENT:
            if self.domain.has_managed_save:
                self._problem(RefusalCode.MISSING, path, "libvirt says that there is a managed save image, but it is not there")
            return
        self.artefacts.append(FoundArtefact(kind=ArtefactKind.MEMORY_IMAGE, layer=layer))
        if layer.problem:
            return
        try:
            fd = open_beneath(self.directories.state, path, os.O_RDONLY, cross_mounts=True)
            try:
                saved = read_saved_domain(fd)
            finally:
                os.close(fd)
        except InputError:
            self._problem(RefusalCode.IDENTITY_CHANGED, path, "it cannot be told whose saved state this is")
        except (OSError, StorageError, RefusedError):
            self._problem(RefusalCode.UNREADABLE, path, "the head of the saved state cannot be read")
        else:
            self._compare_saved(path, saved)

    def stray_saves(self) -> None:
        """Saved states of this phone under another name than its present one: a restore would not find them, a wipe must not forget them."""
        own = saved_state_path(self.domain.name, self.directories)
        for path, saved in saved_domains(self.directories):
            if saved.uuid == self.domain.uuid and path != own:
                self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, path, "this phone's RAM, saved under another name: remove it, or give it the phone's name")

    def _compare_saved(self, path: str, saved: DomainFacts) -> None:
        if saved.uuid != self.domain.uuid:
            self._problem(RefusalCode.IDENTITY_CHANGED, path, "the saved state of another domain that had this name")
            return
        known = {_plain(disk.location) for disk in self.domain.disks}
        for disk in saved.disks:
            if not _is_medium(disk) and disk.location and _plain(disk.location) not in known:
                self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, disk.location, "a disk that only the saved state names (it was attached to the running phone)")

    def unclear(self, reach: Reach) -> None:
        """Images of others that cannot be read: the eraser would refuse everything because of them, so the phone is better not stopped at all."""
        for path, reason in list(reach.unclear.items())[:MAX_UNCLEAR]:
            self._problem(RefusalCode.UNREADABLE, path, reason)

    def unsupported(self) -> None:
        """Places of data that this version does not reach."""
        domain = self.domain
        for path in domain.snapshot_memory_files:
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, path, "RAM that an external snapshot kept")
        if domain.has_snapshot_memory and not domain.snapshot_memory_files:
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, "snapshot memory", "RAM that an external snapshot kept")
        if domain.tpm:
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, "tpm", "the state of a TPM")
        for path in domain.shared_directories:
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, path, "a directory of the host shared with the guest")
        if domain.memory_backing_file:
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, "memory backing", "the guest's RAM is backed by a file")


def libvirt_bounds(directories: LibvirtDirectories) -> tuple[str, ...]:
    """libvirt's own directories in which a phone's files need no configured root (CONTRACT, Configuration)."""
    return (directories.state, directories.logs)


def _chain(disk: DiskSource, layers: Sequence[ImageLayer], former: set[str], retain: str) -> Iterator[FoundArtefact]:
    """The artefacts of one disk's chain. `former`: what this domain's snapshots name as disk sources."""
    made = [_plain(layer.location) in former for layer in layers]
    for depth, layer in enumerate(layers):
        if retain == READ_ONLY_MEDIA:
            kind = ArtefactKind.INSTALL_MEDIA
        elif depth:
            kind = ArtefactKind.BACKING_PRIVATE if made[depth] else ArtefactKind.DISK_IMAGE
        else:
            kind = ArtefactKind.SNAPSHOT_OVERLAY if len(layers) > 1 and made[1] else ArtefactKind.DISK_IMAGE
        yield FoundArtefact(kind=kind, layer=layer, target=disk.target, depth=depth, snapshot_made=made[depth], retain_reason=retain)


def _is_medium(disk: DiskSource) -> bool:
    return disk.readonly or disk.device in ("cdrom", "floppy")


def _retain_reason(group: Sequence[DiskSource]) -> str:
    """Why none of this chain is the phone's own: one definition that says so is enough."""
    if any(_is_medium(disk) for disk in group):
        return READ_ONLY_MEDIA
    return str(RefusalCode.SHAREABLE_DISK) if any(disk.shareable for disk in group) else ""


def _plain(path: str) -> str:
    return os.path.normpath(path) if path else ""


def _is_sink(path: str) -> bool:
    """A console that is thrown away."""
    return _plain(path) == "/dev/null"


def swapped_bytes(domain: DomainFacts, directories: LibvirtDirectories) -> int:
    """How much of the running QEMU's memory is in swap now (`VmSwap`), 0 when there is no such process or it cannot be told."""
    if not saved_state_path(domain.name, directories):
        return 0
    try:
        with open(f"{directories.run}/{domain.name}.pid", encoding="ascii") as source:
            pid = int(source.read(32))
        with open(f"/proc/{pid}/cmdline", "rb") as command:
            if domain.uuid.encode() not in command.read(1 << 20).split(b"\0"):
                return 0  # the number was reused by another program
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
            line = next((line for line in status if line.startswith("VmSwap:")), "")
        return int(line.split()[1]) * 1024 if line else 0
    except (OSError, ValueError, IndexError):
        return 0
