"""Taking the locks of one plan, all or none, after every check that can be made without writing (DESIGN step 3, I2, I5).

In two rounds. First every step is judged: its form, its place, whose it is, and the file as it stands, opened read-only at most; every refusal is
collected. Only when there is none at all, the files are opened for writing, and on each are taken QEMU's locks (they keep a QEMU from starting, and
are kept) and then a write lease (it proves that nobody has the file open: reader, mapping, loop device, `locking=off`; it is dropped again).
In that order, so that whoever honours QEMU's locks cannot slip in after the lease. Who does not honour them (`locking=off`, `cat`) could open the
file after the lease was dropped: the lease is asked for once more before the first byte, and against QEMU stands the fence.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from wiped.erase.ownership import Claims, saved_domain
from wiped.errors import InputError, RefusedError, StorageError
from wiped.model.inventory import LibvirtDirectories
from wiped.model.outcome import ReasonCode
from wiped.model.plan import Refusal, RefusalCode
from wiped.model.policy import StorageRules
from wiped.storage.locks import lock_image, take_and_drop_write_lease
from wiped.storage.paths import SafeFile, containing_root, open_image
from wiped.wire.messages import Lock, LockStep

MAX_STEPS: Final = 10_000
LOCKED, RENAMED, MISSING = "locked", "renamed", "missing"
#: Whoever only looks (the observer, `qemu-img info`) is gone again after so long.
_GLANCE_SECONDS: Final = 2.0
#: While a whole plan is locked, all its files together: the daemon asks again by itself.
_GLANCES_SECONDS: Final = 0.5


@dataclass(slots=True)
class Held:
    """One artefact that this connection holds. `file` is None when it is missing or was let go. `status`: locked, renamed, missing."""

    step: LockStep
    status: str
    file: SafeFile | None


def refusals_of(request: Lock, rules: StorageRules, claims: Claims) -> tuple[Refusal, ...]:
    """Every reason against this plan that can be found without opening anything for writing; () to go on."""
    found = list(_form(request))
    if found:
        return tuple(found)
    if request.name not in claims.names:
        detail = f"libvirt's files know no domain {request.uuid} of the plan's name"
        found.append(Refusal(RefusalCode.DRIFT, request.uuid, detail))
    for step in request.steps:
        found.extend(claims.judge(step.location, step.identity))
        found.extend(_place(step.location, rules, claims.directories))
        found.extend(_as_it_stands(step, request, rules, claims))
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


def _libvirts_own(directories: LibvirtDirectories) -> tuple[str, ...]:
    return (directories.state, directories.logs)


def _below(location: str, roots: Sequence[str]) -> str:
    """The deepest root that contains the path by its letters; the opening then insists that it is true."""
    prefixes = [root for root in roots if location.startswith("/" + root.strip("/") + "/")]
    return max(prefixes, key=len, default="")


def _place(location: str, rules: StorageRules, directories: LibvirtDirectories) -> Iterator[Refusal]:
    if protected := containing_root(location, rules.protected):
        yield Refusal(RefusalCode.PROTECTED_ROOT, location, f"it lies under the protected root {protected}")
    if not _below(location, (*rules.roots, *_libvirts_own(directories))):
        yield Refusal(RefusalCode.OUTSIDE_ROOTS, location, "it lies under no configured root")


def _open(step: LockStep, name: str, rules: StorageRules, directories: LibvirtDirectories, *, write: bool) -> SafeFile:
    """Open the artefact under `name` in its directory, with every check of `paths.open_image`."""
    root = _below(step.location, rules.roots)
    own = "" if root else _below(step.location, _libvirts_own(directories))
    path = os.path.join(os.path.dirname(step.location), name)
    return open_image(root or own, path, write=write, expected=step.identity, cross_mounts=bool(own))


def _as_it_stands(step: LockStep, request: Lock, rules: StorageRules, claims: Claims) -> Iterator[Refusal]:
    """Look at the file, read-only, under its name or (resumed) its rename target."""
    if not _below(step.location, (*rules.roots, *_libvirts_own(claims.directories))):
        return
    try:
        file, _status = _find(step, rules, claims.directories, write=False, resumed=request.resumed)
    except (RefusedError, StorageError) as error:
        yield _refusal(step, error)
        return
    if file is None:
        return
    with file:
        if claims.is_save(step.location):
            yield from _inside_save(step, file, request)


def _find(step: LockStep, rules: StorageRules, directories: LibvirtDirectories, *, write: bool, resumed: bool) -> tuple[SafeFile | None, str]:
    """The artefact's file and status. Raises RefusedError, StorageError (vanished only where it was not resumed)."""
    try:
        file = _open(step, os.path.basename(step.location), rules, directories, write=write)
    except (RefusedError, StorageError) as error:
        # Another file under the old name does not matter once ours was renamed.
        gone = isinstance(error, StorageError) and error.reason == ReasonCode.VANISHED
        if not resumed or not (gone or _is_other(error)):
            raise
        return _find_renamed(step, rules, directories, write=write, first=error if not gone else None)
    try:
        os.stat(step.rename_to, dir_fd=file.dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return file, LOCKED
    except OSError as error:
        file.close()
        raise StorageError(f"{step.location}: its directory cannot be read") from error
    file.close()
    raise RefusedError(f"{step.location}: something stands under the name to rename to already", codes=[RefusalCode.IDENTITY_CHANGED])


def _is_other(error: Exception) -> bool:
    return isinstance(error, RefusedError) and RefusalCode.IDENTITY_CHANGED in error.codes


def _find_renamed(step: LockStep, rules: StorageRules, directories: LibvirtDirectories, *, write: bool, first: Exception | None) -> tuple[SafeFile | None, str]:
    try:
        return _open(step, step.rename_to, rules, directories, write=write), RENAMED
    except StorageError as error:
        if error.reason != ReasonCode.VANISHED:
            raise
    if first is not None:
        raise first
    return None, MISSING


def _inside_save(step: LockStep, file: SafeFile, request: Lock) -> Iterator[Refusal]:
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


def lock_all(request: Lock, rules: StorageRules, directories: LibvirtDirectories) -> tuple[dict[str, Held], tuple[Refusal, ...]]:
    """Open for writing and lock every artefact, or none. Only after `refusals_of` had nothing to say. (held by artefact id, refusals)"""
    held: dict[str, Held] = {}
    refusals = []
    until = time.monotonic() + _GLANCES_SECONDS
    for step in request.steps:
        file = None
        try:
            file, status = _find(step, rules, directories, write=True, resumed=request.resumed)
            if file is not None:
                lock_image(file.fd)
                _alone(file, until)
            held[step.artefact_id] = Held(step, status, file)
        except (RefusedError, StorageError) as error:
            refusals.append(_refusal(step, error))
            if file is not None:
                file.close()
    if refusals:
        release(held.values())
        return {}, tuple(refusals)
    return held, ()


def alone(file: SafeFile) -> None:
    """Prove by a write lease that nobody else has the file open, and look at its identity once more. Who only looks is waited for, 2 s at most.

    Raises RefusedError (in-use, hard-link, identity-changed), StorageError.
    """
    _alone(file, time.monotonic() + _GLANCE_SECONDS)


def _alone(file: SafeFile, until: float) -> None:
    while True:
        try:
            take_and_drop_write_lease(file.fd)
            break
        except RefusedError:
            if time.monotonic() >= until:
                raise
        time.sleep(0.05)
    file.check(file.identity)


def release(held: Iterable[Held]) -> None:
    """Close the files; their locks go with them."""
    for each in held:
        if each.file is not None:
            each.file.close()
            each.file = None
