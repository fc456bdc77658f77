"""Whether the protected roots are still the directories that root configured.

What is golden is known by where it lies (`mounts.containing_root`). A protected root that was replaced by a symbolic link, moved away or never mounted
protects nothing any more, while its images may lie under another name within a root: so nothing at all may be erased until it is put right.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from wiped.errors import RefusedError, StorageError
from wiped.model.plan import RefusalCode
from wiped.storage.paths import open_straight


def replaced_roots(protected: Sequence[str]) -> tuple[tuple[str, str, str], ...]:
    """(code, path, detail) of each protected root (a directory, a device) that is gone or reached through a link: `symlink`, `missing`, `unreadable`."""
    found: list[tuple[str, str, str]] = []
    for path in protected:
        code, why = "", ""
        try:
            os.close(open_straight(path))
        except RefusedError as error:
            code = RefusalCode.SYMLINK if RefusalCode.SYMLINK in error.codes else RefusalCode.UNREADABLE
            why = "is reached through a symbolic link"
        except StorageError:
            code, why = RefusalCode.MISSING, "is no directory any more"
        if code:
            found.append((str(code), path, f"the protected root {why}: nobody knows what is golden until it is put right"))
    return tuple(found)
