"""Overwriting one artefact, file or block device: docs/physics.md 2, steps 2 to 4. Blocks that a clone shares with its golden image are never written.

The last pass is the keystream; whether it arrived is the observer's to say, not ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from wiped.errors import StorageError
from wiped.model.outcome import EraseResult, ReasonCode
from wiped.storage.artefacts import ArtefactMap
from wiped.storage.direct import write_ranges
from wiped.storage.extents import ExtentMap
from wiped.storage.keystream import Keystream, Pattern, zero_fill

#: More passes buy nothing on today's media (SP 800-88r2); this bounds what a contract may ask for.
MAX_PASSES: Final = 35


@dataclass(frozen=True, slots=True)
class Order:
    """What to write. `seed`: 32 bytes. `map_digest`: of the ranges saved in the ledger (I1). `passes`: 1 to MAX_PASSES, the last one proves.
    `writers`: threads. `rate_limit`: bytes a second, 0 for none."""

    artefact_id: str
    seed: bytes
    map_digest: str
    passes: int = 1
    writers: int = 4
    rate_limit: int = 0


#: The map of an open artefact, as the observer sees it too: of a reflinked clone the private ranges, of a device all of it.
Look = Callable[[int], ArtefactMap]


class Interrupted(Exception):
    """`should_stop` said so in the middle; the I/O in flight is finished, some ranges are overwritten and some are not."""


def overwrite(fd: int, order: Order, *, look: Look, progress: Callable[[int, int], None], should_stop: Callable[[], bool]) -> EraseResult:
    """Overwrite all mapped ranges of the open, locked file, or nothing, or say where it failed (`reasons`).

    Nothing is written when the map is not the one in the ledger (`extent-moved`), or when overwriting would prove nothing there. Bytes
    that were written before a failure stay written; the artefact is then to be erased again. `progress(done, total)` and the result's
    `bytes_overwritten`: bytes over all passes.
    Raises Interrupted.
    """
    try:
        seen = look(fd)
    except StorageError as error:
        return EraseResult(order.artefact_id, 0, 0, "", "", 0, reasons=(error.reason,), detail=str(error))
    moved = (str(ReasonCode.EXTENT_MOVED),) if seen.digest != order.map_digest else ()
    if reasons := (*moved, *seen.reasons):
        detail = "the file lies elsewhere than the ledger says" if moved else f"overwriting proves nothing here ({seen.facts.fs_type})"
        return _untouched(order, seen.extents, tuple(dict.fromkeys(reasons)), f"{detail}: nothing was written")
    return _write(fd, order, seen.extents, look, progress=progress, should_stop=should_stop)


def patterns(order: Order) -> tuple[Pattern, ...]:
    """The patterns of all passes, in order: zeros first where there is more than one, the artefact's keystream of the last pass at the end."""
    early = [zero_fill() if index == 1 else Keystream(order.seed, order.artefact_id, index) for index in range(1, order.passes)]
    return (*early, Keystream(order.seed, order.artefact_id, order.passes))


def _write(fd: int, order: Order, before: ExtentMap, look: Look, *, progress: Callable[[int, int], None], should_stop: Callable[[], bool]) -> EraseResult:
    total = before.bytes * order.passes
    written = passes = 0

    def told(done: int) -> None:
        nonlocal written
        written = before.bytes * passes + done
        progress(written, total)

    result = replace(_untouched(order, before, (), ""), digest_after="")
    try:
        for pattern in patterns(order):
            done = write_ranges(fd, before, pattern, writers=order.writers, progress=told, rate_limit=order.rate_limit, should_stop=should_stop)
            os.fsync(fd)
            if done < before.bytes:
                raise Interrupted
            passes += 1
        after = look(fd).digest
    except StorageError as error:
        return replace(result, bytes_overwritten=written, passes=passes, reasons=(error.reason,), detail=str(error))
    except OSError as error:
        detail = f"syncing: {os.strerror(error.errno or 0)}"
        return replace(result, bytes_overwritten=written, passes=passes, reasons=(str(ReasonCode.IO_ERROR),), detail=detail)
    result = replace(result, bytes_overwritten=written, passes=passes, digest_after=after)
    if after != before.digest:
        return replace(result, reasons=(str(ReasonCode.EXTENT_MOVED),), detail="the file moved on the device while it was overwritten")
    return result


def _untouched(order: Order, before: ExtentMap, reasons: tuple[str, ...], detail: str) -> EraseResult:
    """The result where nothing was written."""
    return EraseResult(
        artefact_id=order.artefact_id,
        bytes_overwritten=0,
        passes=0,
        digest_before=before.digest,
        digest_after=before.digest,
        extents=before.count,
        flags=before.flag_names,
        reasons=reasons,
        detail=detail,
    )
