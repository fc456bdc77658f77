"""The eraser's verdict on one file: is it this phone's, and nobody else's? (I5)

Positive rule: some *grant* names the file: this phone's XML directly, or its UUID, or (where libvirt keys files by name) its name, at the place where libvirt
keeps that kind of thing. In libvirt's own places only the grant of that very kind counts, so that no XML can point a console log at another's key.
Negative rule, which no grant overrides: no other domain reaches the file, by whatever way; it is not golden, and not lent to the phone.

Nothing is read here: `own.py` and `others.py` fill a `Claims`, `ownership.py` puts it together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from wiped.erase import named
from wiped.erase.bounds import Bound, Places, below, bound_of
from wiped.erase.libvirt_files import Shelf, are_folders_current, is_current
from wiped.erase.templated import Templated
from wiped.errors import RefusedError
from wiped.model.images import GOLDEN
from wiped.model.inventory import BlockFacts, FileIdentity, LibvirtDirectories
from wiped.model.plan import Refusal, RefusalCode
from wiped.model.policy import StorageRules
from wiped.storage.classified import Classified, classified_as, read_classified
from wiped.storage.doubt import Doubt
from wiped.storage.mounts import real_path
from wiped.virt.places import rotated_from


class Why(StrEnum):
    """In which way a file is the phone's own."""

    DISK = "disk"
    NVRAM = "nvram"
    LOG = "log"
    NAMED_LOG = "named-log"
    SAVE = "save"
    MEMORY = "memory"
    DUMP = "dump"
    RAM = "ram"
    TPM = "tpm"
    SECRET = "secret"
    MEDIUM = "medium"
    SHARED = "shared"
    EXTRA = "extra"
    DIRECTORY = "directory"
    BASE = "base"
    REMEMBERED = "remembered"


#: What must have this phone's UUID inside, since nothing else tells whose it is.
UUID_INSIDE: Final = frozenset({Why.SAVE, Why.MEMORY})


@dataclass(frozen=True, slots=True)
class Grant:
    """One way in which a file is this phone's. `bound`: the directory beneath which it may be opened then; "" for the roots and libvirt's state and logs."""

    why: Why
    bound: str = ""


@dataclass(slots=True)
class Claims:
    """What the host's files say about one phone and everybody else at one moment; made by `ownership.read_claims`."""

    uuid: str
    directories: LibvirtDirectories
    rules: StorageRules
    shelf: Shelf
    names: set[str] = field(default_factory=set)
    """Names under which the phone is defined or runs."""
    former: set[str] = field(default_factory=set)
    """Names that its snapshots tell of."""
    own: dict[str, set[Grant]] = field(default_factory=dict)
    """Files by path."""
    own_trees: dict[str, Grant] = field(default_factory=dict)
    """Directories of which every file is this phone's."""
    own_logs: set[str] = field(default_factory=set)
    """Console logs: their rotated files are this phone's too."""
    block_disks: set[str] = field(default_factory=set)
    """Paths that the XML gives as disks of type `block` or `volume`: only these may be devices."""
    unaccounted: dict[str, str] = field(default_factory=dict)
    """Places in this phone's XML that the data map does not account for, and why (docs/design.md, I13)."""
    lent: dict[str, RefusalCode] = field(default_factory=dict)
    """Paths that this phone uses but that are not its own: media, shareable disks."""
    lent_identities: dict[FileIdentity, RefusalCode] = field(default_factory=dict)
    bases: dict[str, FileIdentity] = field(default_factory=dict)
    """Bases classified as private to which this phone's own chain led."""
    remembered: dict[str, FileIdentity] = field(default_factory=dict)
    """Files of a phone that vanished, as they were remembered (`remembered.py`)."""
    paths: dict[str, str] = field(default_factory=dict)
    """Paths that others reach, with one owner of them (a UUID)."""
    identities: dict[FileIdentity, str] = field(default_factory=dict)
    behind: dict[FileIdentity, str] = field(default_factory=dict)
    """Files that loop devices of others show: never erased as files. (A sibling partition of the same loop disk is another's and ours all the same.)"""
    logs: dict[str, str] = field(default_factory=dict)
    """Console logs of others: whoever writes a log has its rotated files too."""
    trees: dict[str, str] = field(default_factory=dict)
    """Directories that others share with their guests."""
    other_names: dict[str, str] = field(default_factory=dict)
    """Present, former and saved names of others."""
    unresolved: str = ""
    """A volume of another domain that may be any block device, in words."""
    doubts: dict[str, tuple[str, Doubt]] = field(default_factory=dict)
    """Disks of other domains that nobody can follow, with their owners: each could be files of certain names (`storage.doubt`)."""
    classified: dict[FileIdentity, Classified] = field(default_factory=dict)
    templated: Templated = field(default_factory=Templated)
    protected: Places = field(default_factory=lambda: Places(()))
    """`protected` of the configuration, and the targets of golden pools."""
    tree_places: Places = field(default_factory=lambda: Places(()))

    def grant(self, location: str, why: Why, bound: str = "") -> None:
        """Note that a file is this phone's."""
        self.own.setdefault(os.path.normpath(location), set()).add(Grant(why, bound))

    # -- still so?

    def is_current(self) -> bool:
        """Whether every file that the claims rest on is still as it was read (each is looked at). False also when they cannot be listed."""
        try:
            return is_current(self.shelf, self.directories) and read_classified(self.directories.classified, self.directories.records_uid) == self.classified
        except RefusedError:
            return False

    def seems_current(self) -> bool:
        """The same by directories alone, which is cheap before each of thousands of artefacts."""
        return are_folders_current(self.shelf, self.directories)

    # -- the verdict

    def judge(self, location: str, identity: FileIdentity) -> tuple[Refusal, ...]:
        """Why this file must not be erased as this phone's; () if it may. `location`: absolute and normal."""
        out = []
        if other := self._other(location, identity):
            out.append(Refusal(RefusalCode.SHARED_BY_DOMAIN, location, f"the domain {other} reaches it too"))
        for owner, doubt in self.doubts.values():
            if doubt.may_be(location, device=location in self.block_disks):
                detail = f"it may be what the domain {owner} reaches by {doubt.place}, which cannot be followed to its end ({doubt.reason})"
                out.append(Refusal(RefusalCode.UNREADABLE, location, detail))
        if classified_as(self.classified, location, identity) == GOLDEN or self._golden(identity):
            out.append(Refusal(RefusalCode.PROTECTED_ROOT, location, "it was classified as a golden image"))
        code = self.lent_identities.get(identity) or self.lent.get(location)
        if code is None and self.templated.is_kept(location):
            code = RefusalCode.AMBIGUOUS_BASE
        if code is not None:
            out.append(Refusal(code, location, "the phone uses it as shared or read-only, and it is not its own"))
        elif not self.grants(location, identity):
            out.append(Refusal(RefusalCode.AMBIGUOUS_BASE, location, "libvirt's files do not name it as this phone's own"))
        return tuple(out)

    def judge_device(self, location: str, facts: BlockFacts, aliases: frozenset[FileIdentity]) -> tuple[Refusal, ...]:
        """What there is against a block device beside `judge`: it is none of the XML's disks, others reach what lies behind it, that is golden or lent,
        somebody claims it."""
        out = [Refusal(RefusalCode(code), location, detail) for code, detail in facts.claims]
        if location not in self.block_disks:
            out.append(Refusal(RefusalCode.NOT_REGULAR, location, "a block device that the phone's XML does not give as one"))
        others = [self.identities[alias] for alias in aliases if alias in self.identities]
        others += [self.paths[facts.backing_file]] if facts.backing_file in self.paths else []
        if others:
            out.append(Refusal(RefusalCode.SHARED_BY_DOMAIN, location, f"the domain {others[0]} reaches what lies behind the device"))
        if any(self._golden(alias) for alias in aliases):
            out.append(Refusal(RefusalCode.PROTECTED_ROOT, location, "what lies behind the device was classified as a golden image"))
        out += [
            Refusal(self.lent_identities[alias], location, "what lies behind the device is lent to the phone")
            for alias in aliases & self.lent_identities.keys()
        ]
        if self.unresolved:
            out.append(Refusal(RefusalCode.UNREADABLE, location, f"{self.unresolved}: it may be this device"))
        return tuple(out)

    def grants(self, location: str, identity: FileIdentity | None = None) -> tuple[Grant, ...]:
        """Every way in which the file is this phone's; () if in none. A base counts only with the identity that the chain led to."""
        only = self._reserved(location)
        found = dict.fromkeys(grant for grant in self._granted(location, identity) if only is None or grant.why in only)
        return tuple(found)

    def _granted(self, location: str, identity: FileIdentity | None) -> Iterator[Grant]:
        yield from self.own.get(location, ())
        if not self.own_logs.isdisjoint(rotated_from(location)):
            yield Grant(Why.LOG)
        if tree := below(location, self.own_trees):
            yield self.own_trees[tree]
        if identity is not None and self.bases.get(location) == identity:
            yield Grant(Why.BASE)
        if identity is not None and self.remembered.get(location) == identity:
            yield Grant(Why.REMEMBERED, self.directories.swtpm_logs if below(location, (self.directories.swtpm_logs,)) else "")
        for why, bound in named.grants(location, self.names | self.former, self.uuid, self.directories, self.shelf.conf):
            yield Grant(Why(why), bound)
        for why, bound in self.templated.grants(location):
            yield Grant(Why(why), bound)

    def bound(self, location: str, identity: FileIdentity | None = None) -> Bound | None:
        """The directory beneath which the file may be opened; None for nowhere."""
        return bound_of(location, (grant.bound for grant in self.grants(location, identity)), self.rules.roots, self.directories)

    def needs_uuid_inside(self, location: str) -> bool:
        """Whether only the UUID inside the file tells whose it is."""
        ways = {grant.why for grant in self.grants(location)}
        return self.is_save(location) or bool(ways and ways <= UUID_INSIDE)

    def is_save(self, location: str) -> bool:
        """Whether the file is a managed-save image by its place, so that the UUID inside must be looked at."""
        return os.path.dirname(location) == os.path.join(self.directories.state, "save")

    # -- others

    def _other(self, location: str, identity: FileIdentity) -> str:
        real = real_path(location)
        other = self.identities.get(identity) or self.behind.get(identity) or self.paths.get(location) or self.paths.get(real)
        other = other or next((self.logs[log] for log in (*rotated_from(location), *rotated_from(real)) if log in self.logs), "")
        if not other and (tree := self.tree_places.of(location, identity)):
            other = self.trees[tree]
        other = other or self.templated.others(location) or self.templated.others(real)
        return other or self._by_uuid(location) or named.claimant(location, self.other_names, self.directories, self.shelf.conf)

    def _by_uuid(self, location: str) -> str:
        """The other phone in whose TPM directory the file lies."""
        if not location.startswith(self.directories.swtpm.rstrip("/") + "/"):
            return ""
        owner = location[len(self.directories.swtpm.rstrip("/")) + 1 :].partition("/")[0].lower()
        return owner if owner != self.uuid else ""

    def _golden(self, identity: FileIdentity) -> bool:
        """Golden by identity is golden under every name."""
        found = self.classified.get(identity)
        return found is not None and found.as_ == GOLDEN

    def _reserved(self, location: str) -> frozenset[Why] | None:
        """The only grants that count in a place that libvirt keeps for one kind of thing, whatever an XML says; None elsewhere."""
        state, folder = self.directories.state.rstrip("/"), os.path.dirname(location)
        if folder == f"{state}/save":  # whatever the grant, the UUID inside is asked for
            return UUID_INSIDE | {Why.REMEMBERED}
        if folder == self.shelf.conf.auto_dump_path:
            return frozenset({Why.DUMP, Why.MEMORY, Why.REMEMBERED})
        for place, ways in (
            (self.directories.swtpm, {Why.TPM}),
            (self.directories.secrets, {Why.SECRET}),
            (self.shelf.conf.memory_backing_dir, {Why.RAM}),
            (f"{state}/snapshot", {Why.MEMORY}),
            (f"{state}/checkpoint", set[Why]()),
            (self.directories.config, set[Why]()),
            (self.directories.run, set[Why]()),
            (self.directories.classified, set[Why]()),
            (self.directories.remembered, set[Why]()),
        ):
            if location.startswith(place.rstrip("/") + "/"):
                return frozenset(ways)
        return None
