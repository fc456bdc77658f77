"""Limits of this process that the kernel sets."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

#: As many open files as the daemon asks for: the doors take some 300 at most, so every wipe finds descriptors.
DESCRIPTORS: Final = 65_536


def raise_descriptors() -> int:
    """Raise the soft limit of open files to `DESCRIPTORS`, as far as the hard one lets it; returns what is in force. Never raises."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
