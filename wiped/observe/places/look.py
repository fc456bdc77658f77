"""One look at one phone: what every kind of place shares."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from wiped.errors import RefusedError, StorageError
from wiped.model.images import PRIVATE
from wiped.model.inventory import ArtefactKind, DomainFacts, DomainState, FileIdentity, FoundArtefact, ImageLayer, LibvirtDirectories
from wiped.model.outcome import ReasonCode
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules
from wiped.observe.bounds import Bound, bound_for
from wiped.observe.host_files import why_doubtful, why_unlisted
from wiped.observe.pools import Pools
from wiped.observe.reach import Reach
from wiped.storage.classified import Classified, classified_as, read_classified
from wiped.storage.image_chain import look_at_layer, walk_chain
from wiped.storage.kernel import identity_of
from wiped.storage.paths import open_beneath
from wiped.storage.shared_extents import GoldenFiles
from wiped.storage.time_limit import TimeLimit

#: Problems of a layer that mean that nothing is there.
ABSENT = (RefusalCode.MISSING, ReasonCode.VANISHED)


def general_bounds(directories: LibvirtDirectories) -> tuple[str, ...]:
    """Those in which stands what a domain's XML names by path. The others hold one kind of thing each, whatever an XML says."""
    return (directories.state, directories.logs)


def plain(path: str) -> str:
    """A path without `.`, `..` and doubled slashes, by letters alone."""
    return os.path.normpath(path) if path else ""


def beneath(path: str, directory: str) -> bool:
    """Whether `path` stands beneath `directory`, by letters alone."""
    return plain(path).startswith(plain(directory).rstrip("/") + "/")


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass(slots=True)
class Look:
    """One look at one domain; collects artefacts and problems. `pools`, `reach`: what is known of the whole host."""

    domain: DomainFacts
    rules: StorageRules
    directories: LibvirtDirectories
    with_extents: bool
    pools: Pools
    reach: Reach
    limit: TimeLimit = field(default_factory=TimeLimit)
    artefacts: list[FoundArtefact] = field(default_factory=list)
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    protected: tuple[str, ...] = ()
    """Protected roots and the directories of golden pools."""
    _goldens: GoldenFiles | None = None
    _classified: dict[FileIdentity, Classified] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        golden, problems = self.pools.golden(self.rules)
        self.problems.extend(problems)
        self.protected = (*self.rules.protected, *golden)
        self._goldens = GoldenFiles(self.rules, self.directories, golden)
        try:
            self._classified.update(read_classified(self.directories.classified, self.directories.records_uid))
        except RefusedError as error:
            # A record that cannot be read may be the one that says `golden`.
            self.problem(error.codes[0], self.directories.classified, str(error))

    @property
    def uuid(self) -> str:
        """The phone's UUID, lower-case."""
        return self.domain.uuid

    @property
    def names(self) -> tuple[str, ...]:
        """The phone's present and former names that can be part of a file name."""
        return tuple(dict.fromkeys(name for name in (self.domain.name, *self.domain.former_names) if name and "/" not in name and "\0" not in name))

    @property
    def runs(self) -> bool:
        """Whether the phone has a process: whatever libvirt does not say is off has one, a crashed one that is kept for a look at it too."""
        return self.domain.state is not DomainState.SHUTOFF

    # -- telling

    def problem(self, code: str, location: str, detail: str) -> None:
        """Tell what belongs to no artefact. A file's name may hold bytes that are no text: those are told escaped, for a digest and a ledger take text."""
        self.problems.append((str(code), _text(location), _text(detail)))

    def listable(self, directory: str, what: str) -> None:
        """A directory that cannot be listed is told: not to have looked is not to have found nothing."""
        if directory.startswith("/") and (why := why_unlisted(directory)):
            self.problem(RefusalCode.UNREADABLE, directory, f"{why}: {what}")

    def add(self, found: FoundArtefact) -> None:
        """Keep an artefact; the first at one place counts."""
        self._seen.add(plain(found.layer.location))
        self.artefacts.append(found)

    def knows(self, path: str) -> bool:
        """Whether an artefact stands at this path already."""
        return plain(path) in self._seen

    def reaches(self, path: str) -> bool:
        """Whether an artefact is this file, under whatever name."""
        if self.knows(path):
            return True
        try:
            identity = identity_of(os.stat(path))
        except (OSError, ValueError):
            return False
        return any(found.layer.identity == identity for found in self.artefacts)

    # -- looking

    def layer(self, path: str, fmt: str = "raw", *, bounds: Sequence[str] = (), own: Sequence[str] = (), with_extents: bool = True) -> ImageLayer:
        """What stands at a path. `bounds`: directories that count as roots for this one file; `own`: that are libvirt's, for this kind of thing."""
        return look_at_layer(
            path,
            fmt,
            roots=(*self.rules.roots, *bounds),
            protected=self.protected,
            libvirt_dirs=(*general_bounds(self.directories), *own),
            with_extents=with_extents and self.with_extents,
            goldens=self._goldens,
        )

    def chain(self, path: str, fmt: str, *, with_extents: bool = True) -> tuple[ImageLayer, ...]:
        """The layers of a disk, top first. Where its storage hangs, the first alone, as `unreadable`."""
        roots, protected, libvirt_dirs = self.rules.roots, self.protected, general_bounds(self.directories)

        def headers() -> tuple[ImageLayer, ...]:
            return walk_chain(path, fmt or "raw", roots=roots, protected=protected, libvirt_dirs=libvirt_dirs)

        try:
            layers = self.limit.run(f"{path} as {fmt}", headers)
        except StorageError as error:
            return (ImageLayer(location=path, format=fmt or "raw", problem=RefusalCode.UNREADABLE.value, detail=f"{path}: {error}"),)
        if not (with_extents and self.with_extents):
            return layers
        # A map writes dirty pages out first, which may take minutes.
        return walk_chain(path, fmt or "raw", roots=roots, protected=protected, libvirt_dirs=libvirt_dirs, with_extents=True, goldens=self._goldens)

    def classified(self, layer: ImageLayer) -> str:
        """`golden`, `private` or "", as `wipectl images classify` settled it for this path and inode."""
        return classified_as(self._classified, layer.location, layer.identity)

    def file(
        self,
        kind: ArtefactKind,
        path: str,
        *,
        claim: str = "",
        owners: Iterable[str] = (),
        bounds: Sequence[str] = (),
        own: Sequence[str] = (),
        media: bool = False,
    ) -> bool:
        """One file that is no disk. Nothing there: nothing is told, unless that is in doubt. True when something is (an artefact, or a problem)."""
        if not path or self.knows(path) or plain(path) == "/dev/null":
            return False
        if not path.startswith("/") or "\0" in path:
            self.problem(RefusalCode.UNSUPPORTED_ARTEFACT, path, f"{kind} is not named by an absolute path")
            return True
        layer = self.layer(path, bounds=bounds, own=own)
        if layer.problem in ABSENT:
            if why := why_doubtful(path):
                self.problem(RefusalCode.UNREADABLE, path, f"{kind}: it cannot be told whether it is there: {why}")
            return bool(why)
        found = FoundArtefact(kind=kind, layer=layer, claim=claim, owners=tuple(owners), classified=self.classified(layer), media=media)
        self.add(found)
        return True

    def named_file(self, kind: ArtefactKind, path: str, matches: Callable[[str, str], bool], claim: str) -> bool:
        """One file in a directory of libvirt's that is keyed by a name: whoever else has or had such a name owns it too. `matches(name, uuid)`."""
        return self.file(kind, path, claim=claim, owners=sorted(self.reach.claimants(matches)), own=(os.path.dirname(path),))

    def finished(self) -> tuple[FoundArtefact, ...]:
        """Every artefact with its owners, this phone's UUID included."""
        bounds: dict[str, Bound] = {}
        for found in self.artefacts:
            # What lies beneath is kept or refused by itself, unless it is the phone's own.
            own = not found.retain_reason and (not found.depth or found.snapshot_made or found.classified == PRIVATE)
            if own and (why := self.reach.in_doubt(found.layer)):
                self.problem(RefusalCode.UNREADABLE, found.layer.location, why)
        return tuple(
            replace(
                found,
                # A lock that was seen tells nothing here: it is the running phone's own, or our eraser's already. The eraser finds strangers out (`in-use`).
                layer=self._reachable(replace(found.layer, in_use=False), found, bounds),
                owners=tuple(sorted({self.uuid, *found.owners} | self.reach.owners(found.layer))),
            )
            for found in self.artefacts
        )

    def _reachable(self, layer: ImageLayer, found: FoundArtefact, bounds: dict[str, Bound]) -> ImageLayer:
        """What may be erased must be open to the eraser beneath its root: what it would refuse (a mount on the way) is told before the phone is stopped."""
        lasting = found.retain_reason or layer.problem or layer.block is not None or not (layer.under_root or layer.libvirt_owned)
        if lasting or (found.depth and not found.snapshot_made and found.classified != PRIVATE) or (found.media and not found.claim):
            return layer
        try:
            folder = os.path.dirname(layer.location)
            if folder not in bounds:
                bounds[folder] = bound_for(layer.location, self.rules, self.directories)
            bound = bounds[folder]
            os.close(open_beneath(bound.directory, layer.location, os.O_PATH, cross_mounts=bound.cross_mounts))
        except RefusedError as error:
            return replace(layer, problem=error.codes[0], detail=str(error))
        except StorageError as error:
            return replace(layer, problem=error.reason, detail=str(error))
        return layer
