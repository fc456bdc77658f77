"""Reading the head of a saved state: as many bytes as its header says, and no more. What they mean: `wiped.virt.saved_state`."""

from __future__ import annotations

import os

from wiped.model.inventory import DomainFacts
from wiped.virt.saved_state import head_bytes, parse_saved_state


def read_saved_domain(fd: int) -> DomainFacts:
    """The domain in the head of an open saved state (its disks count as `live`: it is what was running).

    Raises InputError when it is not a saved state that can be understood; OSError when it cannot be read.
    """
    data = os.pread(fd, 1 << 16, 0)  # of a file of another kind, no more than this is read
    wanted = head_bytes(data)
    while len(data) < wanted and (more := os.pread(fd, min(wanted - len(data), 1 << 20), len(data))):
        data += more
    return parse_saved_state(data)
