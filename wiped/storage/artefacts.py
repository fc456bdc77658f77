"""What exactly of an open artefact is overwritten, and why it could not be proven: one answer for eraser, observer and read-back alike."""

from __future__ import annotations

import os
import stat as st
from collections.abc import Sequence
from dataclasses import dataclass

from wiped.decide.provable import provability_reasons
from wiped.model.inventory import FilesystemFacts, LibvirtDirectories
from wiped.model.outcome import ReasonCode
from wiped.model.policy import StorageRules
from wiped.storage.blockdev import block_filesystem, whole_device_map
from wiped.storage.extents import ExtentMap, read_extents, stop_reasons
from wiped.storage.filesystems import filesystem_facts
from wiped.storage.kernel import identity_of
from wiped.storage.shared_extents import GoldenFiles, settle, split


@dataclass(frozen=True, slots=True)
class ArtefactMap:
    """`extents`: the ranges that are overwritten and read back, of a reflinked clone the private ones alone. `retained`: those that are the golden image's
    (None or empty for none), `golden` its path. `reasons`: for which overwriting would prove nothing; () to go on. `block`: a whole block device."""

    extents: ExtentMap
    facts: FilesystemFacts
    reasons: tuple[str, ...]
    retained: ExtentMap | None = None
    golden: str = ""
    block: bool = False

    @property
    def digest(self) -> str:
        """The digest of `extents`, which eraser and observer must find again."""
        return self.extents.digest


def map_artefact(
    fd: int,
    rules: StorageRules,
    directories: LibvirtDirectories,
    *,
    golden_directories: Sequence[str] = (),
    goldens: GoldenFiles | None = None,
    settled: bool = False,
) -> ArtefactMap:
    """The map of an open regular file or block device (readable; not O_PATH).

    `golden_directories`: where the volumes of `rules.golden_pools` are, as the caller found out; `goldens` in their place, if one look serves many files.
    `settled`: drop XFS's speculative preallocation first (for whoever is about to write; the phone is stopped).
    Raises StorageError as `read_extents`, RefusedError (unreadable: the classified images cannot be read, asked only for shared blocks).
    """
    found = os.fstat(fd)
    if st.S_ISBLK(found.st_mode):
        facts = block_filesystem(fd)
        return ArtefactMap(whole_device_map(fd), facts, provability_reasons(facts), block=True)
    facts = filesystem_facts(fd)
    extents = read_extents(fd)
    if settled and facts.fs_type == "xfs":
        settle(fd, thoroughly="shared" in extents.flag_counts)
        extents = read_extents(fd)
    reasons = (*provability_reasons(facts), *stop_reasons(extents, facts))
    if reasons != (str(ReasonCode.EXTENT_SHARED),) or facts.fs_type != "xfs":
        return ArtefactMap(extents, facts, reasons)
    parts = split(extents, identity_of(found), goldens or GoldenFiles(rules, directories, golden_directories))
    if parts.foreign:
        return ArtefactMap(extents, facts, reasons)
    return ArtefactMap(parts.private, facts, stop_reasons(parts.private, facts), parts.retained, parts.golden)
