"""Removing one proven artefact: rename, truncate, unlink, sync the directory (docs/physics.md 2, step 6), and what counts as proof (I3).

Each step can be the last one before a crash: the file is then found under its rename target, or not at all (at worst its name, without content, is left in
a directory of ours beside it). A name is unlinked only where nobody else can put another file under it in the meantime (`_unlink_apart`).
Directories that become empty stay: they hold no data, and others may be about to use them. But one that bears the phone's UUID, and what is empty beneath
it, goes: its name is the phone's.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import stat as st
from typing import Final

from wiped.erase.bounds import Bound
from wiped.erase.overwrite import Look
from wiped.erase.target import Opened
from wiped.errors import RefusedError, StorageError
from wiped.model.inventory import FileIdentity
from wiped.model.outcome import Evidence, Via
from wiped.model.plan import RefusalCode
from wiped.storage.blockdev import BlockFile, discard
from wiped.storage.kernel import identity_of, translated
from wiped.storage.paths import SafeFile, open_beneath, open_root

_RENAME_NOREPLACE: Final = 1
_VIAS: Final = frozenset(str(via) for via in Via)

_libc = ctypes.CDLL(None, use_errno=True)


def evidence_faults(evidence: Evidence, artefact_id: str, map_digest: str, mapped_bytes: int, *, sampling: bool) -> tuple[str, ...]:
    """Why this evidence does not allow removing the artefact whose map has `map_digest` and `mapped_bytes`; () if it does (I3).

    `sampling`: root's configuration allows sampled verification.
    """
    faults = []
    if evidence.artefact_id != artefact_id:
        faults.append("it is another artefact's")
    if evidence.reasons:
        faults.append("it has reasons against it")
    if evidence.via not in _VIAS:
        faults.append("it does not say how it was read back")
    if evidence.mismatches != 0:
        faults.append("blocks differed")
    if not map_digest or evidence.map_digest != map_digest:
        faults.append("it is about other ranges")
    if evidence.sampled and not sampling:
        faults.append("it is a sample, and the configuration asks for everything")
    if evidence.bytes_verified < (min(1, mapped_bytes) if evidence.sampled else mapped_bytes):
        faults.append("it covers too few bytes")
    return tuple(faults)


def still_as_proven(file: Opened, look: Look, map_digest: str, *, renamed: bool) -> int:
    """The mapped bytes of the artefact, whose map must still be the proven one; 0 for a renamed file that was truncated already.

    Raises RefusedError (drift), StorageError.
    """
    extents = look(file.fd).extents
    if renamed and extents.count == 0 and os.fstat(file.fd).st_size == 0:
        return 0
    if extents.digest != map_digest:
        raise RefusedError("the file lies elsewhere than when it was proven", codes=[RefusalCode.DRIFT])
    return extents.bytes


def give_back(device: BlockFile) -> bool:
    """A proven block device is not unlinked (its node is the operator's, as `lvremove` is): the device is told that nothing on it is needed. Whether it
    said yes; that proves nothing and is not needed for anything. Raises RefusedError (identity-changed), StorageError."""
    device.check(device.identity)
    return discard(device.fd)


def remove(file: SafeFile, rename_to: str, *, renamed: bool) -> None:
    """Remove the open, locked, proven file from its directory; `renamed`: it already stands under `rename_to`. Its descriptors stay open.

    Raises RefusedError (hard-link; identity-changed when another file took its place: that one is put back), StorageError. After an error
    the file is complete under its old or its new name, or at worst truncated under the new one; removing again is safe.
    """
    identity = file.identity
    file.check(identity)
    if not renamed:
        _rename(file, file.name, rename_to)
        if _identity_at(file, rename_to) != identity:
            _put_back(file, rename_to)
        file.name = rename_to
    file.check(identity)
    try:
        os.ftruncate(file.fd, 0)
        _unlink_apart(file, rename_to)
        os.fsync(file.dir_fd)
        left = os.fstat(file.fd).st_nlink
    except OSError as error:
        raise translated(error, "removing an artefact") from error
    if left != 0:
        raise RefusedError("somebody interfered while the artefact was removed: it still has a name elsewhere", codes=[RefusalCode.IDENTITY_CHANGED])


def _unlink_apart(file: SafeFile, name: str) -> None:
    """Unlink the file's name. The kernel has no *unlink this inode*, and between a last look at a name and its unlinking whoever may write the directory
    could put another file there. So it is first moved into a new directory that root alone can enter, looked at there, and unlinked there; another file
    is moved back. Raises RefusedError (identity-changed), OSError."""
    clear_apart(file.dir_fd, name, file.identity)  # what an earlier try left
    apart = apart_name(name)
    try:
        os.mkdir(apart, 0o700, dir_fd=file.dir_fd)
    except FileExistsError:  # somebody else's by that name
        apart = f".wiped-{os.urandom(16).hex()}"
        os.mkdir(apart, 0o700, dir_fd=file.dir_fd)
    inside = os.open(apart, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=file.dir_fd)
    try:
        found = os.fstat(inside)
        if (found.st_uid, st.S_IMODE(found.st_mode) & 0o077, os.listdir(inside)) != (os.geteuid(), 0, []):
            raise RefusedError("another directory stands where one was just made", codes=[RefusalCode.IDENTITY_CHANGED])
        _move(file.dir_fd, name, inside, name)
        if identity_of(os.stat(name, dir_fd=inside, follow_symlinks=False)) != file.identity:
            _move(inside, name, file.dir_fd, name)
            raise RefusedError("another file stood under the name that was to be removed; it stands there again", codes=[RefusalCode.IDENTITY_CHANGED])
        os.unlink(name, dir_fd=inside)
    finally:
        os.close(inside)
        with contextlib.suppress(OSError):
            os.rmdir(apart, dir_fd=file.dir_fd)


def apart_name(name: str) -> str:
    """The directory in which the file of this rename target is unlinked: the same in every try, so that what a crash leaves is found again."""
    return f".wiped-{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}"


def clear_apart(dir_fd: int, name: str, identity: FileIdentity) -> None:
    """Take away what a crash within `_unlink_apart` left in a directory: the one of ours that belongs to this rename target, with this very file in it or
    empty. Anything else by that name (not ours alone, holding another thing) is left as it is. Raises OSError."""
    apart = apart_name(name)
    try:
        inside = os.open(apart, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            return
        raise
    try:
        found = os.fstat(inside)
        if found.st_uid != os.geteuid() or st.S_IMODE(found.st_mode) & 0o077:
            return
        if os.listdir(inside) == [name] and identity_of(os.stat(name, dir_fd=inside, follow_symlinks=False)) == identity:
            os.unlink(name, dir_fd=inside)
    finally:
        os.close(inside)
    with contextlib.suppress(OSError):  # not empty: not ours to judge
        os.rmdir(apart, dir_fd=dir_fd)
        os.fsync(dir_fd)


def remove_folders(location: str, uuid: str, bound: Bound) -> None:
    """Remove the directories above `location` that are empty now, up to the one whose name is the phone's UUID; none where there is no such one below
    `bound`. Never raises: a directory that somebody fills, holds or exchanges meanwhile stays."""
    folder, root = os.path.dirname(location), os.path.normpath(bound.directory)
    parts = os.path.relpath(folder, root).split(os.sep)
    if uuid not in parts or ".." in parts:
        return
    for depth in range(len(parts), parts.index(uuid), -1):
        above = os.path.join(root, *parts[: depth - 1])
        try:
            flags = os.O_RDONLY | os.O_DIRECTORY
            fd = open_root(root) if above == root else open_beneath(root, above, flags, cross_mounts=bound.cross_mounts)
        except (RefusedError, StorageError):
            return
        try:
            os.rmdir(parts[depth - 1], dir_fd=fd)
        except OSError:
            return
        finally:
            os.close(fd)


def _rename(file: SafeFile, old: str, new: str) -> None:
    """Rename within the directory, never onto an existing name. Raises RefusedError (identity-changed), StorageError."""
    try:
        _move(file.dir_fd, old, file.dir_fd, new)
    except OSError as error:
        raise translated(error, "renaming an artefact") from error


def _move(from_fd: int, old: str, to_fd: int, new: str) -> None:
    """renameat2(2), never onto an existing name. Raises RefusedError (identity-changed) where there is one, OSError."""
    if _libc.renameat2(from_fd, os.fsencode(old), to_fd, os.fsencode(new), _RENAME_NOREPLACE) == 0:
        return
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        raise RefusedError("something stands under the name to rename to", codes=[RefusalCode.IDENTITY_CHANGED])
    raise OSError(number, os.strerror(number))


def _put_back(file: SafeFile, rename_to: str) -> None:
    """Another file was renamed in ours' stead: give it its name again, and refuse."""
    detail = "another file had taken the artefact's name"
    try:
        _rename(file, rename_to, file.name)
        detail += " and keeps it"
    except (RefusedError, StorageError):
        detail += f"; it stands under {rename_to} now, since the name was taken once more"
    raise RefusedError(detail, codes=[RefusalCode.IDENTITY_CHANGED])


def _identity_at(file: SafeFile, name: str) -> FileIdentity | None:
    try:
        return identity_of(os.stat(name, dir_fd=file.dir_fd, follow_symlinks=False))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise translated(error, "looking at an artefact's name") from error
