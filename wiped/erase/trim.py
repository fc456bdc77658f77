"""Answering `trim`: the free space of one filesystem, where this phone's freed blocks may be (docs/physics.md 3). How it is done: `storage/free_space.py`.

Nothing that has a name is touched. Only at directories that the configuration names, or that libvirt keeps its own things in.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

from wiped.errors import RefusedError
from wiped.model.inventory import LibvirtDirectories
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules
from wiped.storage.free_space import make_free_space_unreadable
from wiped.storage.paths import containing_root
from wiped.storage.templates import UUID
from wiped.wire.messages import Trimmed

#: A discard of a large filesystem tells nothing while it lasts: so often the daemon hears that it does.
_BEAT_SECONDS: Final = 5.0


def trim(
    location: str,
    rules: StorageRules,
    directories: LibvirtDirectories,
    *,
    progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
    beat: float = _BEAT_SECONDS,
) -> Trimmed:
    """Make the free space at a directory unreadable, if that can be shown. `progress(done, total)` in bytes, and again every `beat` seconds without news.

    Raises RefusedError (outside-roots, protected-root, symlink).
    """
    _check(location, rules, directories)
    found: list[Trimmed] = []
    last = (0, 0)

    def told(done: int, total: int) -> None:
        nonlocal last
        last = (done, total)
        progress(done, total)

    def work() -> None:
        found.append(make_free_space_unreadable(location, rules, progress=told, should_stop=should_stop))

    worker = threading.Thread(target=work, name="trim")
    worker.start()
    while worker.is_alive():
        worker.join(beat)
        if worker.is_alive():
            progress(*last)
    return found[0] if found else Trimmed(location, "", 0, "a fault in the eraser while trimming")


def _check(location: str, rules: StorageRules, directories: LibvirtDirectories) -> None:
    """Where this may be done at all."""
    if not os.path.isabs(location) or "\0" in location or os.path.normpath(location) != location:
        raise RefusedError("not an absolute path in its plain form", codes=[RefusalCode.OUTSIDE_ROOTS])
    own = (directories.state, directories.logs, directories.swtpm, directories.swtpm_logs, directories.secrets)
    templated = (os.path.dirname(template.partition(UUID)[0]) for template in (*rules.extra_artefacts, *rules.phone_directories))
    allowed = [each.rstrip("/") for each in (*rules.roots, *own, *templated) if each.strip("/")]
    if not any(location == each or location.startswith(each + "/") for each in allowed):
        raise RefusedError(f"{location}: neither under a root nor one of libvirt's own directories", codes=[RefusalCode.OUTSIDE_ROOTS])
    if protected := containing_root(location, rules.protected):
        raise RefusedError(f"{location}: it lies under the protected root {protected}", codes=[RefusalCode.PROTECTED_ROOT])
    if os.path.realpath(location) != location:
        raise RefusedError(f"{location}: a component of the path is a symbolic link", codes=[RefusalCode.SYMLINK])
