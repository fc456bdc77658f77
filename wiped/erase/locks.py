"""Taking the locks of one plan, all or none, after every check that can be made without writing (docs/design.md, step 3, I2, I5).

In two rounds. First every step is judged: its form, its place, whose it is, and the file as it stands, opened read-only at most; every refusal is
collected. Only when there is none at all, the files are opened for writing, and on each are taken QEMU's locks (they keep a QEMU from starting, and
are kept) and then a write lease (it proves that nobody has the file open: reader, mapping, loop device, `locking=off`; it is dropped again).
In that order, so that whoever honours QEMU's locks cannot slip in after the lease. Who does not honour them (`locking=off`, `cat`) could open the
file after the lease was dropped: the lease is asked for once more before the first byte, and against QEMU stands the fence.

Block devices know no lease. They are claimed from the kernel (O_EXCL, kept), QEMU's locks are taken on the node, every process's open files are looked
through, and what sysfs says of them is asked again; a QEMU with a `/dev` of its own does not meet our locks, but it is seen.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from wiped.decide.refusal import immutable_detail
from wiped.erase.claims import Claims
from wiped.erase.libvirt_files import saved_domain
from wiped.erase.remove import clear_apart
from wiped.erase.target import LOCKED, MISSING, RENAMED, Opened, find, is_in_bounds
from wiped.errors import InputError, RefusedError, StorageError
from wiped.model.inventory import FileIdentity
from wiped.model.outcome import ReasonCode
from wiped.model.plan import Refusal, RefusalCode
from wiped.storage.blockdev import BlockFile, aliases, block_facts, block_protected, prove_alone, shown_files
from wiped.storage.extents import read_extents
from wiped.storage.filesystems import filesystem_facts
from wiped.storage.kernel import identity_of
from wiped.storage.locks import lock_image, take_and_drop_write_lease
from wiped.storage.paths import SafeFile, open_beneath, open_root
from wiped.storage.shared_extents import settle
from wiped.wire.messages import MAX_STEPS, Lock, LockStep

__all__ = ["LOCKED", "MAX_STEPS", "MISSING", "RENAMED", "Held", "alone", "lock_all", "refusals_of", "release", "still_owned"]

#: Whoever only looks (the observer, `qemu-img info`) is gone again after so long.
_GLANCE_SECONDS: Final = 2.0
#: While a whole plan is locked, all its files together: the daemon asks again by itself.
_GLANCES_SECONDS: Final = 0.5


class Folders:
    """The open directories of one plan's files, one for all files of a directory: one for each would be too many for a large plan."""

    def __init__(self) -> None:
        self._open: dict[FileIdentity, int] = {}
        self._users: Counter[int] = Counter()

    def share(self, file: Opened | None) -> None:
        """Let the file use the directory that another one has open, or be the first."""
        if not isinstance(file, SafeFile):
            return
        shared = self._open.setdefault(identity_of(os.fstat(file.dir_fd)), file.dir_fd)
        if shared != file.dir_fd:
            os.close(file.dir_fd)
            file.dir_fd = shared
        self._users[shared] += 1

    def leave(self, file: Opened) -> None:
        """Before the file is closed: keep its directory open if others use it."""
        if not isinstance(file, SafeFile):
            return
        self._users[file.dir_fd] -= 1
        if self._users[file.dir_fd] > 0:
            file.dir_fd = -1
        else:
            self._open = {key: fd for key, fd in self._open.items() if fd != file.dir_fd}


@dataclass(slots=True)
class Held:
    """One artefact that this connection holds. `file` is None when it is missing or was let go. `status`: locked, renamed, missing."""

    step: LockStep
    status: str
    file: Opened | None
    folders: Folders


def refusals_of(request: Lock, claims: Claims) -> tuple[Refusal, ...]:
    """Every reason against this plan that can be found without opening anything for writing; () to go on. Whose files they may be at all is chosen in
    `ownership.claims_for`."""
    found = list(_form(request))
    if found:
        return tuple(found)
    if request.name not in claims.names and not request.vanished:
        detail = f"libvirt's files know no domain {request.uuid} of the plan's name"
        found.append(Refusal(RefusalCode.DRIFT, request.uuid, detail))
    found.extend(Refusal(RefusalCode.UNSUPPORTED_ARTEFACT, place, why) for place, why in claims.unaccounted.items())
    for step in request.steps:
        found.extend(claims.judge(step.location, step.identity))
        found.extend(_place(step, claims))
        found.extend(_as_it_stands(step, request, claims))
    return tuple(dict.fromkeys(found))


def _form(request: Lock) -> Iterator[Refusal]:
    """What is wrong with the plan itself, whatever stands on the disk."""
    if len(request.steps) > MAX_STEPS:
        yield Refusal(RefusalCode.DRIFT, request.uuid, f"more than {MAX_STEPS} artefacts")
        return
    retained = set(request.retained)
    for step in request.steps:
        parts = step.location.split("/")
        if not os.path.isabs(step.location) or "\0" in step.location or os.path.normpath(step.location) != step.location or ".." in parts:
            yield Refusal(RefusalCode.OUTSIDE_ROOTS, step.location, "not an absolute path in its plain form")
        if not _is_plain_name(step.rename_to):
            yield Refusal(RefusalCode.OUTSIDE_ROOTS, step.location, "the name to rename to is not a plain file name")
        if step.identity in retained:
            yield Refusal(RefusalCode.AMBIGUOUS_BASE, step.location, "the plan keeps this very file")
    for what, values in (
        ("artefact", [step.artefact_id for step in request.steps]),
        ("path", [step.location for step in request.steps]),
        ("file", [(step.identity.device, step.identity.inode) for step in request.steps]),
        ("name to rename to", [(os.path.dirname(step.location), step.rename_to) for step in request.steps]),
    ):
        for value, count in Counter[object](values).items():
            if count > 1:
                yield Refusal(RefusalCode.DRIFT, str(value), f"the plan names the same {what} twice")


def _is_plain_name(name: str) -> bool:
    return name not in ("", ".", "..") and not set(name) & {"/", "\0"} and name.isprintable() and len(os.fsencode(name)) <= 255


def _place(step: LockStep, claims: Claims) -> Iterator[Refusal]:
    if protected := claims.protected.of(step.location, step.identity):
        yield Refusal(RefusalCode.PROTECTED_ROOT, step.location, f"it lies under the protected root {protected}")
    if not is_in_bounds(step, claims):
        yield Refusal(RefusalCode.OUTSIDE_ROOTS, step.location, "it lies under no configured root")


def _as_it_stands(step: LockStep, request: Lock, claims: Claims) -> Iterator[Refusal]:
    """Look at the file, read-only, under its name or (resumed) its rename target."""
    if not is_in_bounds(step, claims):
        return
    try:
        file, _status = find(step, claims, write=False, resumed=request.resumed)
    except (RefusedError, StorageError) as error:
        yield _refusal(step, error)
        return
    if file is None:
        return
    with file:
        if isinstance(file, BlockFile):
            yield from _device(step, file, claims)
            return
        for word in filesystem_facts(file.fd).mount_options:
            if detail := immutable_detail(word, step.location):
                yield Refusal(RefusalCode.IMMUTABLE, step.location, detail)
        if claims.needs_uuid_inside(step.location):
            yield from _inside_save(step, file, request)


def _device(step: LockStep, file: BlockFile, claims: Claims) -> Iterator[Refusal]:
    """Everything against an open block device that sysfs, /proc and libvirt's files say now."""
    try:
        facts = block_facts(file.fd)
        yield from claims.judge_device(step.location, facts, aliases(facts))
        if protected := block_protected(step.location, facts, claims.protected.roots):
            yield Refusal(RefusalCode.PROTECTED_ROOT, step.location, f"it is, or stands in one stack with, the protected {protected}")
        for shown in shown_files(facts):
            if _names_of(shown) > 1:  # the other name may be golden, or anybody's
                yield Refusal(RefusalCode.HARD_LINK, step.location, "a file behind the device has a second name")
    except (RefusedError, StorageError) as error:
        yield _refusal(step, error)


def _names_of(path: str) -> int:
    """How many names a file has; 0 for one that cannot be seen (which the map of the device tells)."""
    try:
        return os.stat(path).st_nlink
    except OSError:
        return 0


def still_owned(step: LockStep, file: Opened, claims: Claims) -> tuple[Refusal, ...]:
    """The verdict again, right before bytes or names go: for a file that is open and locked."""
    found = (*claims.judge(step.location, step.identity), *_place(step, claims))
    return (*found, *_device(step, file, claims)) if isinstance(file, BlockFile) else found


def _inside_save(step: LockStep, file: Opened, request: Lock) -> Iterator[Refusal]:
    """A saved state is keyed by a name, which is reused: the UUID inside decides. Once erasing began there may be none."""
    try:
        inside = saved_domain(file.fd)
    except (InputError, OSError):
        inside = None
    if inside is None:
        if not request.resumed:
            yield Refusal(RefusalCode.UNREADABLE, step.location, "no header tells whose saved state it is")
    elif inside.uuid != request.uuid:
        yield Refusal(RefusalCode.SHARED_BY_DOMAIN, step.location, f"it is the saved state of {inside.uuid}")


def _refusal(step: LockStep, error: RefusedError | StorageError) -> Refusal:
    if isinstance(error, RefusedError):
        code = RefusalCode(error.codes[0]) if error.codes and error.codes[0] in set(RefusalCode) else RefusalCode.UNREADABLE
        return Refusal(code, step.location, str(error))
    gone = error.reason == ReasonCode.VANISHED
    return Refusal(RefusalCode.MISSING if gone else RefusalCode.UNREADABLE, step.location, str(error))


def lock_all(request: Lock, claims: Claims) -> tuple[dict[str, Held], tuple[Refusal, ...]]:
    """Open for writing and lock every artefact, or none. Only after `refusals_of` had nothing to say. (held by artefact id, refusals)"""
    held: dict[str, Held] = {}
    refusals: list[Refusal] = []
    until = time.monotonic() + _GLANCES_SECONDS
    calm = _Calm()
    folders = Folders()
    for step in request.steps:
        file = None
        try:
            file, status = find(step, claims, write=True, resumed=request.resumed)
            if status == MISSING:
                _clear_up(step, claims)
            if file is not None:
                lock_image(file.fd)
                _alone(file, until)
                calm.down(file)
                refusals.extend(_device(step, file, claims) if isinstance(file, BlockFile) else ())
            held[step.artefact_id] = Held(step, status, file, folders)
            folders.share(file)
        except (RefusedError, StorageError) as error:
            refusals.append(_refusal(step, error))
            if file is not None:
                file.close()
    if refusals:
        release(held.values())
        return {}, tuple(refusals)
    return held, ()


def _clear_up(step: LockStep, claims: Claims) -> None:
    """A crash while the file was unlinked may have left the directory in which that was done. What is not plainly ours stays; nothing hangs on it."""
    bound, folder = claims.bound(step.location, step.identity), os.path.dirname(step.location)
    if bound is None:
        return
    with contextlib.suppress(OSError, RefusedError, StorageError):
        at_root = folder == os.path.normpath(bound.directory)
        fd = open_root(folder) if at_root else open_beneath(bound.directory, folder, os.O_RDONLY | os.O_DIRECTORY, cross_mounts=bound.cross_mounts)
        try:
            clear_apart(fd, step.rename_to, step.identity)
        finally:
            os.close(fd)


@dataclass(slots=True)
class _Calm:
    """XFS keeps blocks in reserve for files that grow and clones that are written to, and drops them in its own time: told to do so before anybody maps the
    files for good."""

    is_xfs: dict[int, bool] = field(default_factory=dict)
    """Filesystems by `st_dev`."""

    def down(self, file: Opened) -> None:
        """For a file on XFS."""
        if isinstance(file, BlockFile):
            return
        device = file.identity.device
        if device not in self.is_xfs:
            self.is_xfs[device] = filesystem_facts(file.fd).fs_type == "xfs"
        if self.is_xfs[device]:
            settle(file.fd, thoroughly="shared" in read_extents(file.fd).flag_counts)


def alone(file: Opened) -> None:
    """Prove that nobody else has the file or device open, and look at its identity once more. Who only looks is waited for, 2 s at most.

    Raises RefusedError (in-use, hard-link, identity-changed), StorageError.
    """
    _alone(file, time.monotonic() + _GLANCE_SECONDS)


def _alone(file: Opened, until: float) -> None:
    while True:
        try:
            if isinstance(file, BlockFile):
                prove_alone(file.fd)
            else:
                take_and_drop_write_lease(file.fd)
            break
        except RefusedError:
            if time.monotonic() >= until:
                raise
        time.sleep(0.05)
    file.check(file.identity)


def release(held: Iterable[Held]) -> None:
    """Close the files; their locks go with them. Directories that files of one plan share are closed with the last of them."""
    for each in held:
        if each.file is not None:
            each.folders.leave(each.file)
            each.file.close()
            each.file = None
