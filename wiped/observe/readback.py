"""After the erasing: read one file back from the device it lies on, and compare with the keystream made anew (docs/physics.md 2, step 5).

The eyes' own way: the observer maps the file again by itself and trusts nothing of the eraser but the seed and the digest in the ledger. What cannot
be proven is said in the evidence's reasons; nothing is concluded from silence.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from wiped.errors import HelperError, RefusedError, StorageError
from wiped.model.instants import millisecond_text
from wiped.model.inventory import LibvirtDirectories
from wiped.model.outcome import Evidence, ReasonCode, Via
from wiped.model.policy import StorageRules
from wiped.observe.bounds import map_of, open_artefact
from wiped.storage.artefacts import ArtefactMap
from wiped.storage.blockdev import BlockFile, open_block
from wiped.storage.direct import BLOCK, Comparison, aligned_buffer, compare_ranges
from wiped.storage.extents import ExtentMap
from wiped.storage.filesystems import open_block_device
from wiped.storage.inode import is_cached
from wiped.storage.keystream import SEED_BYTES, Keystream
from wiped.storage.paths import SafeFile, reopen
from wiped.wire.messages import ReadBack

WHOLE = 1_000_000
#: Filesystems on which a FIEMAP address is a place on the device `st_dev` (docs/physics.md 2), so that an O_DIRECT read of the file reads the same blocks.
_PLACED = frozenset({"ext2", "ext3", "ext4", "xfs"})
#: Seconds before each look at whether a file's reads pass the cache.
_LOOK_AGAIN = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


def read_back(
    request: ReadBack,
    rules: StorageRules,
    directories: LibvirtDirectories,
    *,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Evidence:
    """Evidence about one artefact: `via` set and no reasons means that all that was to be read was the keystream of the last pass.

    `progress(done, total)` in bytes, from the reading threads. Raises HelperError for a request that makes no sense; all that goes wrong on the
    host becomes reasons (io-error, vanished, extent-moved, readback-mismatch, readback-impossible, ...).
    """
    keystream = _keystream(request)
    started = millisecond_text(datetime.now(UTC))
    try:
        with open_artefact(request.location, request.identity, rules, directories) as image:
            mapped = map_of(image, rules, directories)
            via, found = _compare(image, request, mapped, keystream, readers=rules.writers, progress=progress, should_stop=should_stop)
            extents = mapped.extents
            reasons, detail = _judge(image, request, extents, found, map_of(image, rules, directories).digest)
    except _ImpossibleError as error:
        return _evidence(request, started, reasons=error.reasons, detail=str(error))
    except StorageError as error:
        return _evidence(request, started, reasons=(error.reason,), detail=str(error))
    except RefusedError as error:
        return _evidence(request, started, reasons=(str(ReasonCode.READBACK_IMPOSSIBLE),), detail=f"{error} ({', '.join(error.codes)})")
    return _evidence(request, started, via=via, extents=extents, found=found, reasons=reasons, detail=detail)


class _ImpossibleError(Exception):
    """Nothing can be proven here, for these reasons."""

    def __init__(self, detail: str, reasons: Sequence[str]) -> None:
        super().__init__(detail)
        self.reasons = tuple(dict.fromkeys(str(reason) for reason in reasons))


def _keystream(request: ReadBack) -> Keystream:
    try:
        seed = bytes.fromhex(request.seed)
        if len(seed) != SEED_BYTES or request.passes < 1 or not 0 < request.fraction_millionths <= WHOLE:
            raise ValueError
        return Keystream(seed, request.artefact_id, request.passes)
    except ValueError:
        raise HelperError("a read-back with an impossible seed, number of passes or fraction") from None


def _compare(
    image: SafeFile | BlockFile,
    request: ReadBack,
    mapped: ArtefactMap,
    keystream: Keystream,
    *,
    readers: int,
    progress: Callable[[int, int], None] | None,
    should_stop: Callable[[], bool] | None,
) -> tuple[Via, Comparison]:
    """Choose the way, read and compare."""
    extents = mapped.extents
    moved = [] if extents.digest == request.map_digest else [ReasonCode.EXTENT_MOVED]
    against = [*moved, *mapped.reasons]
    if against:
        raise _ImpossibleError("the file does not lie where it was overwritten" if moved else "this file's blocks cannot be traced", against)
    via, fd = _way(image, mapped)
    fraction = request.fraction_millionths / WHOLE
    total = extents.bytes if fraction >= 1.0 else max(1, int(extents.bytes * fraction))
    try:
        found = compare_ranges(
            fd,
            extents,
            keystream,
            physical=via is Via.BLOCK_ODIRECT,
            readers=readers,
            fraction=fraction,
            pick_seed=secrets.token_bytes(32),  # drawn now, after the erasing: nobody could know the places before
            progress=None if progress is None else lambda done: progress(min(done, total), total),
            should_stop=should_stop,
        )
    finally:
        os.close(fd)
    return via, found


def _way(image: SafeFile | BlockFile, mapped: ArtefactMap) -> tuple[Via, int]:
    """How to read, and a descriptor for it; the strongest way that there is."""
    facts = mapped.facts
    if mapped.block:
        with open_block(image.path, image.identity, write=False, exclusive=False) as whole:
            return Via.BLOCK_ODIRECT, os.dup(whole.fd)
    if facts.fs_type in _PLACED:
        device = open_block_device(image.stat.st_dev)
        if device is not None:
            return Via.BLOCK_ODIRECT, device
        return Via.FILE_ODIRECT, _past_the_cache(image, mapped.extents)
    if facts.fs_type == "btrfs" and not facts.cow:
        return Via.BTRFS_NODATACOW_FILE, _past_the_cache(image, mapped.extents)
    raise _ImpossibleError(f"there is no way to read back from {facts.fs_type}", [ReasonCode.READBACK_IMPOSSIBLE])


def _past_the_cache(image: SafeFile | BlockFile, extents: ExtentMap) -> int:
    """A descriptor for reading the file itself, where its device cannot be opened; only after a look at this very file showed that such reads come from
    below the page cache: a piece that was dropped from the cache is not in it after it was read so (docs/physics.md 2, step 5).

    The kernel accepts O_DIRECT on files that it then serves from the cache (fscrypt, inline data, journalled data): there no look ever shows it. Elsewhere
    a look fails where a neighbour's plan reads this file's header at that moment, so it is repeated for about three seconds. The first piece, the last and
    one drawn by chance must each be shown.
    """
    fd, plain, shown = reopen(image.fd, os.O_RDONLY | os.O_DIRECT, image.path), -1, False
    try:
        plain = reopen(image.fd, os.O_RDONLY, image.path)
        shown = all(any(_is_read_below(fd, plain, piece, pause) for pause in _LOOK_AGAIN) for piece in _pieces(extents))
    except OSError as error:
        raise StorageError(f"reading past the cache: {os.strerror(error.errno or 0)}", reason=ReasonCode.IO_ERROR) from error
    finally:
        if plain >= 0:
            os.close(plain)
        if not shown:
            os.close(fd)
    if not shown:
        raise _ImpossibleError("reading the file cannot be shown to read its device, and the device cannot be opened", [ReasonCode.READBACK_IMPOSSIBLE])
    return fd


def _pieces(extents: ExtentMap) -> tuple[tuple[int, int], ...]:
    """(offset, length) of the first block, the last, and one drawn by chance; () of a file without any."""
    if not extents.count:
        return ()

    def blocks(number: int) -> int:
        return -(-extents.length[number] // BLOCK)

    last, drawn = extents.count - 1, secrets.randbelow(extents.count)
    chosen = dict.fromkeys(((0, 0), (last, blocks(last) - 1), (drawn, secrets.randbelow(blocks(drawn)))))
    return tuple((extents.logical[number] + block * BLOCK, min(extents.length[number] - block * BLOCK, BLOCK)) for number, block in chosen)


def _is_read_below(direct: int, plain: int, piece: tuple[int, int], pause: float) -> bool:
    """One look, after `pause` seconds."""
    time.sleep(pause)
    offset, length = piece
    with aligned_buffer(BLOCK) as room:
        os.preadv(direct, [room], offset)  # writes back what was still waiting, so that it can be dropped
        os.posix_fadvise(plain, 0, 0, os.POSIX_FADV_DONTNEED)  # the whole file: a part of a large folio alone is not dropped
        os.preadv(direct, [room], offset)
    return not is_cached(plain, offset, length)


def _judge(image: SafeFile | BlockFile, request: ReadBack, extents: ExtentMap, found: Comparison, digest_now: str) -> tuple[tuple[str, ...], str]:
    """Reasons against the proof after reading, and a sentence."""
    reasons: list[str] = []
    details: list[str] = []
    if found.mismatches:
        reasons.append(ReasonCode.READBACK_MISMATCH)
        details.append(f"{found.mismatches} blocks differ, the first at offset {found.first_mismatch}")
    if found.repeating_or_zero:
        reasons.append(ReasonCode.READBACK_MISMATCH)
        details.append(f"{found.repeating_or_zero} blocks repeat or are zero, which no keystream does")
    if not found.sampled and found.bytes != extents.bytes:
        reasons.append(ReasonCode.READBACK_IMPOSSIBLE)
        details.append(f"only {found.bytes} of {extents.bytes} bytes were read")
    image.check(request.identity)
    if digest_now != request.map_digest:
        reasons.append(ReasonCode.EXTENT_MOVED)
        details.append("the file moved while it was read")
    return tuple(dict.fromkeys(str(reason) for reason in reasons)), "; ".join(details)


def _evidence(
    request: ReadBack,
    started: str,
    *,
    via: str = "",
    extents: ExtentMap | None = None,
    found: Comparison | None = None,
    reasons: tuple[str, ...] = (),
    detail: str = "",
) -> Evidence:
    return Evidence(
        artefact_id=request.artefact_id,
        via=str(via),
        bytes_verified=found.bytes if found else 0,
        mismatches=found.mismatches if found else 0,
        map_digest=extents.digest if extents else "",
        sampled=found.sampled if found else request.fraction_millionths < WHOLE,
        started_at=started,
        ended_at=millisecond_text(datetime.now(UTC)),
        reasons=reasons,
        detail=detail,
    )
