"""Files under the roots that no domain reaches: left behind by somebody else, or a phone's that vanished. Listed, never judged and never wiped by themselves.

The walk follows no symbolic link, enters no other filesystem and no protected root, and stops at a bound: what was not looked at is told.
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from wiped.errors import RefusedError, StorageError
from wiped.model.images import GOLDEN
from wiped.model.instants import instant_text
from wiped.model.inventory import DomainFacts, FileIdentity, ImageLayer, LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.observe.reach import Reach
from wiped.storage.classified import read_classified
from wiped.storage.filesystems import filesystem_facts
from wiped.storage.paths import containing_root
from wiped.wire.messages import Orphan, OrphansFound

#: No survey counts as a phone's own here: everybody is somebody else.
_NOBODY: Final = ""
MAX_FILES: Final = 200_000
MAX_ORPHANS: Final = 10_000
MAX_PROBLEMS: Final = 100


def find_orphans(
    domains: Sequence[DomainFacts], rules: StorageRules, directories: LibvirtDirectories, *, max_files: int = MAX_FILES, max_orphans: int = MAX_ORPHANS
) -> OrphansFound:
    """What stands under the roots and is reached by none of `domains`. Images that people classified as golden are nobody's to miss: left out.

    Never raises for what it meets on the host: that is told in `problems`.
    """
    walk = _Walk(rules, max_files)
    reach = Reach(_NOBODY, domains, directories)
    problems = [(path, f"an image that cannot be followed: what lies beneath may look like an orphan ({why})") for path, why in reach.unclear.items()]
    problems += [
        (place, f"an image that cannot be followed: what lies beneath may look like an orphan ({doubt.reason})") for place, (_, doubt) in reach.doubts.items()
    ]
    try:
        golden = {identity for identity, record in read_classified(directories.classified, directories.records_uid).items() if record.as_ == GOLDEN}
    except RefusedError as error:
        golden = set()
        problems.append((directories.classified, str(error)))
    found: list[Orphan] = []
    local: dict[int, bool] = {}
    truncated = False
    for path, status in walk.files():
        identity = FileIdentity(status.st_dev, status.st_ino)
        if identity in golden or reach.owners(ImageLayer(location=path, format="raw", identity=identity)):
            continue
        if len(found) >= max_orphans:
            truncated = True
            break
        found.append(
            Orphan(
                location=path,
                identity=identity,
                size_bytes=status.st_size,
                allocated_bytes=status.st_blocks * 512,
                modified=instant_text(datetime.fromtimestamp(max(0, int(status.st_mtime)), UTC)),
                local=_is_local(path, status.st_dev, local),
                links=status.st_nlink,
            )
        )
    return OrphansFound(tuple(found), truncated or walk.truncated, (*problems, *walk.problems)[:MAX_PROBLEMS])


def _is_local(path: str, device: int, known: dict[int, bool]) -> bool:
    if device not in known:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                known[device] = filesystem_facts(fd).local
            finally:
                os.close(fd)
        except (OSError, StorageError, RefusedError):
            return False
    return known[device]


class _Walk:
    """The regular files beneath the roots, each once."""

    def __init__(self, rules: StorageRules, max_files: int) -> None:
        self._rules = rules
        self.problems: list[tuple[str, str]] = []
        self.truncated = False
        self._left = max_files

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """(path, status), directory by directory."""
        seen: set[tuple[int, int]] = set()
        for root in self._rules.roots:
            try:
                status = os.lstat(root)
            except (OSError, ValueError) as error:
                self._problem(root, error)
                continue
            if not st.S_ISDIR(status.st_mode) or containing_root(root, self._rules.protected):
                continue  # a root that is a device node, or a link: nothing is listed beneath it
            for path, found in self._below(root, status.st_dev):
                key = (found.st_dev, found.st_ino)
                if key not in seen:
                    seen.add(key)
                    yield path, found

    def _below(self, root: str, device: int) -> Iterator[tuple[str, os.stat_result]]:
        waiting = [root]
        while waiting:
            directory = waiting.pop()
            try:
                entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
            except OSError as error:
                self._problem(directory, error)
                continue
            for entry in entries:
                if self._left <= 0:
                    self.truncated = True
                    return
                self._left -= 1
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError as error:
                    self._problem(entry.path, error)
                    continue
                if status.st_dev != device:
                    continue
                if st.S_ISDIR(status.st_mode):
                    if not containing_root(entry.path, self._rules.protected):
                        waiting.append(entry.path)
                elif st.S_ISREG(status.st_mode):
                    yield entry.path, status

    def _problem(self, path: str, error: OSError | ValueError) -> None:
        if len(self.problems) < MAX_PROBLEMS and not isinstance(error, FileNotFoundError):
            self.problems.append((path, getattr(error, "strerror", None) or "cannot be looked at"))
