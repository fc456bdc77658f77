"""Disks of every source type, with the chains beneath them; CD and floppy images; block devices; what is opaque is said to be so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from wiped.model.images import GOLDEN, PRIVATE
from wiped.model.inventory import ArtefactKind, DiskSource, DomainState, FoundArtefact, ImageLayer
from wiped.model.outcome import ReasonCode
from wiped.model.plan import RefusalCode
from wiped.observe.places.look import Look, plain
from wiped.virt.places import transient_overlays

_LOCAL = ("file", "block", "volume")
#: Words with which a block device's claim begins, that are reason codes: such storage could not be proven even if it were reached.
_HOPELESS = (ReasonCode.THIN_POOL, ReasonCode.OPAQUE_STORAGE)


def find_disks(look: Look, seeds: Iterable[str] = ()) -> None:
    """Each disk's chain, once per location: current disks first, then those that only a snapshot names. `seeds`: media in the phone's own directory."""
    _Disks(look, {plain(seed) for seed in seeds}).find()


def is_medium(disk: DiskSource) -> bool:
    """Whether the guest has it to read, or as a floppy: it may be everybody's."""
    return disk.readonly or disk.device in ("cdrom", "floppy")


class _Disks:
    """The disks of one look."""

    def __init__(self, look: Look, seeds: set[str]) -> None:
        self.look = look
        self.seeds = seeds

    def find(self) -> None:
        resolved = [replace(disk, location=self.look.pools.location(disk)) for disk in self.look.domain.disks]
        usable = [disk for disk in resolved if self._is_usable(disk)]
        former = {plain(disk.location) for disk in usable if disk.origin == "snapshot"}
        groups: dict[str, list[DiskSource]] = {}
        for disk in sorted(usable, key=lambda disk: disk.origin == "snapshot"):
            groups.setdefault(plain(disk.location), []).append(disk)
        seen: set[str] = set()
        for location, group in groups.items():
            if location in seen and all(disk.origin == "snapshot" for disk in group):
                continue  # what a snapshot named is a layer of a current disk
            self._conflicts(group)
            if any(is_medium(disk) for disk in group):
                self._medium(group)
                continue
            self._only_live(group)
            shareable = any(disk.shareable for disk in group)
            layers = self.look.chain(location, group[0].format, with_extents=not shareable)
            seen.update(plain(layer.location) for layer in layers)
            for found in _chain(group[0], layers, former, str(RefusalCode.SHAREABLE_DISK) if shareable else ""):
                self._add(found)
            if not shareable:
                self._transient(location)
        self._stated(self.look.domain.stated_chain)

    def _transient(self, location: str) -> None:
        """What the guest wrote to a `<transient/>` disk is in a file beside it, which libvirt removes at the stop and a loss of power leaves."""
        for path in transient_overlays(location, self.look.names):
            self.look.file(ArtefactKind.SNAPSHOT_OVERLAY, path, claim="what the phone wrote to a transient disk, left over")

    def _stated(self, members: Iterable[DiskSource]) -> None:
        """QEMU opens the chain that the definition states, whatever the headers say; what only it names is not sorted, so it is refused."""
        for member in members:
            location = self.look.pools.location(member)
            if not self.look.reaches(location):
                detail = f"the definition states it in the chain of disk {member.target}, and no image's header leads to it"
                self.look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, location or f"disk {member.target}", detail)

    def _add(self, found: FoundArtefact) -> None:
        found = replace(found, layer=_told(found.layer))
        if found.layer.block is not None and found.depth == 0 and not found.media:
            found = replace(found, kind=ArtefactKind.BLOCK_DEVICE)
        self.look.add(replace(found, classified=self.look.classified(found.layer)))

    def _is_usable(self, disk: DiskSource) -> bool:
        """Whether the disk is a file or a device here; otherwise its problem is told. An empty drive is nothing."""
        where = disk.location or f"disk {disk.target}"
        if not disk.location and disk.type in _LOCAL and not disk.volume and is_medium(disk):
            return False
        if disk.type not in _LOCAL or (disk.type == "volume" and self.look.pools.is_remote(disk)):
            detail = f"opaque-storage: disk {disk.target} is storage of type {disk.type}, which cannot be wiped from here"
            self.look.problem(ReasonCode.OPAQUE_STORAGE, where, detail)
        elif not disk.location:
            detail = f"disk {disk.target}: the path of its volume is unknown (is the pool active?)" if disk.volume else f"disk {disk.target} names no file"
            self.look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, where, detail)
        elif not disk.location.startswith("/") or "\0" in disk.location:
            self.look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, where, f"disk {disk.target} is not named by an absolute path")
        else:
            return True
        return False

    def _only_live(self, group: Sequence[DiskSource]) -> None:
        """Disks that stopping the phone would make libvirt forget: hot-plugged ones, the destination of a block copy. Told before it is stopped."""
        domain = self.look.domain
        if domain.persistent and domain.state is not DomainState.SHUTOFF and all(disk.origin == "live" for disk in group):
            detail = "only the running phone has this disk, and libvirt forgets it at the stop: attach it with --config too, or detach it"
            self.look.problem(RefusalCode.LIVE_ONLY, group[0].location, detail)

    def _conflicts(self, group: Sequence[DiskSource]) -> None:
        """What several definitions of one file disagree on. Whichever is right, nothing is destroyed before a person settled it."""
        location = group[0].location
        if len({disk.format or "raw" for disk in group}) > 1:
            self.look.problem(RefusalCode.UNTRUSTED_FORMAT, location, "live, inactive or snapshot XML state different formats for it")
        if any(disk.shareable for disk in group):
            self.look.problem(RefusalCode.SHAREABLE_DISK, location, "the disk is marked shareable: other machines may write to it")
        if any(is_medium(disk) for disk in group) and not all(is_medium(disk) for disk in group):
            self.look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, location, "read-only media in one definition and a writable disk in another")

    # -- media

    def _medium(self, group: Sequence[DiskSource]) -> None:
        """A CD, floppy or read-only disk: the phone's own if its place says so or a person did; decided in `decide/`."""
        disk = group[0]
        claim = self._claim(disk.location)
        shareable = any(each.shareable for each in group)
        layers = self.look.chain(disk.location, disk.format, with_extents=not shareable)
        top = FoundArtefact(
            kind=ArtefactKind.INSTALL_MEDIA,
            layer=layers[0],
            target=disk.target,
            claim=claim,
            media=True,
            retain_reason=str(RefusalCode.SHAREABLE_DISK) if shareable else "",
        )
        classified = self.look.classified(top.layer)
        own = bool(claim) or classified == PRIVATE
        if own:
            self._only_live(group)
        self._written(top, own, classified, group)
        self._add(top)
        for depth, layer in enumerate(layers[1:], start=1):
            # What lies beneath a medium that is not the phone's own is not the phone's own either.
            kept = "" if own else "beneath-media"
            self._add(FoundArtefact(kind=ArtefactKind.DISK_IMAGE, layer=layer, target=disk.target, depth=depth, retain_reason=kept))

    def _claim(self, location: str) -> str:
        """Why a medium is the phone's own, "" if nothing says so (the brief's rule: its place, never its content)."""
        if plain(location) in self.seeds:
            return "a medium in the phone's own directory"
        if any(self.look.uuid in part.lower() for part in plain(location).split("/")):
            return "a medium whose path holds the phone's UUID"
        return ""

    def _written(self, found: FoundArtefact, own: bool, classified: str, group: Sequence[DiskSource]) -> None:
        """A floppy that the guest may write to is not passed over where it would be kept."""
        if not any(disk.device == "floppy" and not disk.readonly for disk in group) or found.layer.problem:
            return
        if not own or classified == GOLDEN or found.layer.under_protected or self.look.reach.owners(found.layer):
            detail = "a writable floppy that would be kept: the guest may have stored data on it; make it read-only or detach it"
            self.look.problem(RefusalCode.UNSUPPORTED_ARTEFACT, found.layer.location, detail)


def _told(layer: ImageLayer) -> ImageLayer:
    """A block device's claim that is a reason code under its own name."""
    for code in _HOPELESS:
        if layer.block is not None and layer.problem and layer.detail.startswith(f"{code}:"):
            return replace(layer, problem=str(code))
    return layer


def _chain(disk: DiskSource, layers: Sequence[ImageLayer], former: set[str], retain: str) -> Iterator[FoundArtefact]:
    """The artefacts of one disk's chain. `former`: what this domain's snapshots name as disk sources."""
    made = [plain(layer.location) in former for layer in layers]
    for depth, layer in enumerate(layers):
        if depth:
            kind = ArtefactKind.BACKING_PRIVATE if made[depth] else ArtefactKind.DISK_IMAGE
        else:
            kind = ArtefactKind.SNAPSHOT_OVERLAY if len(layers) > 1 and made[1] else ArtefactKind.DISK_IMAGE
        yield FoundArtefact(kind=kind, layer=layer, target=disk.target, depth=depth, snapshot_made=made[depth], retain_reason=retain)
