"""Destroying bytes of a file of ours in place, by the recipe for phones (docs/physics.md 2): the only thing in this room that knows `wiped.storage`."""

from __future__ import annotations

import os

from wiped.decide.provable import provability_reasons
from wiped.errors import StorageError
from wiped.model.outcome import ReasonCode
from wiped.storage.direct import compare_ranges, write_ranges
from wiped.storage.extents import ExtentMap, read_extents, stop_reasons
from wiped.storage.filesystems import filesystem_facts, open_block_device
from wiped.storage.keystream import Keystream


def _part(whole: ExtentMap, offset: int, length: int) -> ExtentMap:
    """The ranges of `whole` that lie within `length` bytes from `offset`."""
    part = ExtentMap()
    for logical, physical, size in whole.iter_ranges():
        start, end = max(logical, offset), min(logical + size, offset + length)
        if start < end:
            part.append(start, physical + start - logical, end - start)
    return part


def destroy_range(path: str, offset: int, length: int) -> tuple[str, ...]:
    """Overwrite `length` bytes from `offset` of the file `path` with a keystream, sync, and read the blocks back from the device where it can be opened.

    Returns () when that proves the old bytes gone, else the reason codes; the bytes are overwritten either way, as well as the filesystem does it.
    `offset` and `length` are multiples of 4096. Raises StorageError, OSError.
    """
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    device: int | None = None
    try:
        facts = filesystem_facts(fd)
        try:
            whole = read_extents(fd)
        except StorageError as error:
            if error.reason != ReasonCode.OPAQUE_STORAGE:
                raise
            # No map to be had (tmpfs, overlays): overwritten through the file, and nothing is claimed.
            os.pwrite(fd, os.urandom(length), offset)
            os.fsync(fd)
            return tuple(sorted({*provability_reasons(facts), error.reason}))
        before = _part(whole, offset, length)
        reasons = {*provability_reasons(facts), *stop_reasons(whole, facts)}
        if before.bytes != length:
            reasons.add(str(ReasonCode.EXTENT_UNKNOWN))
        pattern = Keystream(os.urandom(32), "slot")
        written = write_ranges(fd, before, pattern, writers=1, chunk=length)
        os.fsync(fd)
        if written != before.bytes or _part(read_extents(fd), offset, length).digest != before.digest:
            reasons.add(str(ReasonCode.EXTENT_MOVED))
        device = open_block_device(os.fstat(fd).st_dev)
        seen = compare_ranges(fd if device is None else device, before, pattern, physical=device is not None, readers=1, chunk=length)
        if not seen.proven or seen.bytes != before.bytes:
            reasons.add(str(ReasonCode.READBACK_MISMATCH))
        return tuple(sorted(reasons))
    finally:
        os.close(fd)
        if device is not None:
            os.close(device)
