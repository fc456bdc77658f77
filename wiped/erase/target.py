"""Opening one artefact of a plan, below its bound and with the identity that the plan knows: a file under its own name or (after a crash) its rename
target, or a block device. Nothing is opened for writing before every check of `storage.paths` or `storage.blockdev` has passed."""

from __future__ import annotations

import os
from typing import Final

from wiped.erase.claims import Claims
from wiped.errors import RefusedError, StorageError
from wiped.model.inventory import ArtefactKind
from wiped.model.outcome import ReasonCode
from wiped.model.plan import RefusalCode
from wiped.storage.blockdev import BlockFile, block_root, open_block
from wiped.storage.paths import SafeFile, open_image
from wiped.wire.messages import LockStep

LOCKED: Final = "locked"
RENAMED: Final = "renamed"
MISSING: Final = "missing"

Opened = SafeFile | BlockFile


def is_device(step: LockStep) -> bool:
    """Whether the plan takes the artefact for a block device."""
    return step.kind is ArtefactKind.BLOCK_DEVICE


def is_in_bounds(step: LockStep, claims: Claims) -> bool:
    """Whether there is a directory beneath which the artefact may be opened at all."""
    if is_device(step):
        return bool(block_root(step.location, claims.rules.roots))
    return claims.bound(step.location, step.identity) is not None


def find(step: LockStep, claims: Claims, *, write: bool, resumed: bool) -> tuple[Opened | None, str]:
    """The artefact's file and status. Raises RefusedError, StorageError (vanished only where it was not resumed)."""
    if is_device(step):
        return _open_device(step, claims, write=write), LOCKED
    try:
        file = _open(step, os.path.basename(step.location), claims, write=write)
    except (RefusedError, StorageError) as error:
        # Another file under the old name does not matter once ours was renamed.
        gone = isinstance(error, StorageError) and error.reason == ReasonCode.VANISHED
        if not resumed or not (gone or _is_other(error)):
            raise
        return _find_renamed(step, claims, write=write, first=error if not gone else None)
    try:
        os.stat(step.rename_to, dir_fd=file.dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return file, LOCKED
    except OSError as error:
        file.close()
        raise StorageError(f"{step.location}: its directory cannot be read") from error
    file.close()
    raise RefusedError(f"{step.location}: something stands under the name to rename to already", codes=[RefusalCode.IDENTITY_CHANGED])


def _open_device(step: LockStep, claims: Claims, *, write: bool) -> BlockFile:
    """The device, exclusively where it is to be written: the kernel then refuses mounts, swap, mappings and arrays."""
    if not block_root(step.location, claims.rules.roots):
        raise RefusedError(f"{step.location}: it lies under no configured root", codes=[RefusalCode.OUTSIDE_ROOTS])
    return open_block(step.location, step.identity, write=write, exclusive=write)


def _open(step: LockStep, name: str, claims: Claims, *, write: bool) -> SafeFile:
    """Open the artefact under `name` in its directory, with every check of `paths.open_image`."""
    bound = claims.bound(step.location, step.identity)
    if bound is None:
        raise RefusedError(f"{step.location}: it lies under no configured root", codes=[RefusalCode.OUTSIDE_ROOTS])
    path = os.path.join(os.path.dirname(step.location), name)
    return open_image(bound.directory, path, write=write, expected=step.identity, cross_mounts=bound.cross_mounts)


def _is_other(error: Exception) -> bool:
    return isinstance(error, RefusedError) and RefusalCode.IDENTITY_CHANGED in error.codes


def _find_renamed(step: LockStep, claims: Claims, *, write: bool, first: Exception | None) -> tuple[SafeFile | None, str]:
    try:
        return _open(step, step.rename_to, claims, write=write), RENAMED
    except StorageError as error:
        if error.reason != ReasonCode.VANISHED:
            raise
    if first is not None:
        raise first
    return None, MISSING
