"""What is mounted where in this process's view, and under which configured directory a path really lies."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wiped.errors import RefusedError
from wiped.model.inventory import FileIdentity
from wiped.model.plan import RefusalCode
from wiped.storage.kernel import identity_of

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/self/mountinfo. `root`: which directory of the filesystem stands at `mount_point`; `options`: the mount's and the superblock's."""

    number: int
    device: tuple[int, int]
    root: str
    mount_point: str
    options: tuple[str, ...]
    fs_type: str
    source: str


def _plain(field: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), field)


def read_mounts() -> dict[int, Mount]:
    """All mounts by their id. Empty where /proc cannot be read."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as source:
            lines = source.read().splitlines()
    except OSError:
        return {}
    mounts = {}
    for line in lines:
        front, _, back = line.partition(" - ")
        fields, tail = front.split(" "), back.split(" ")
        major, _, minor = fields[2].partition(":")
        options = dict.fromkeys([*fields[5].split(","), *tail[2].split(",")]) if len(tail) > 2 else dict.fromkeys(fields[5].split(","))
        mounts[int(fields[0])] = Mount(
            number=int(fields[0]),
            device=(int(major), int(minor)),
            root=_plain(fields[3]),
            mount_point=_plain(fields[4]),
            options=tuple(options),
            fs_type=tail[0],
            source=_plain(tail[1]),
        )
    return mounts


def mount_of(fd: int, mounts: dict[int, Mount] | None = None) -> Mount | None:
    """The mount that an open descriptor (O_PATH too) was opened through; None if this process cannot see it. `mounts`: the table, if it is read already."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as source:
            for line in source:
                if line.startswith("mnt_id:"):
                    return (read_mounts() if mounts is None else mounts).get(int(line.split()[1]))
    except OSError:
        pass
    return None


def real_path(path: str) -> str:
    """`os.path.realpath` where somebody may rename meanwhile: that one fails if a link became a file between its two looks, and is asked again.

    Raises RefusedError (drift) for a path that never stands still.
    """
    for _ in range(1_000):
        try:
            return os.path.realpath(path)
        except OSError:
            continue
    raise RefusedError(f"{path}: it changes faster than it can be looked at", codes=[RefusalCode.DRIFT])


def containing_root(path: str, roots: Sequence[str]) -> str:
    """The configured directory (as spelled in `roots`) in or under which `path` really lies, the deepest of several; "" for none.

    Three ways of looking, any of which is enough, so that neither symbolic links nor bind mounts hide the answer: the resolved path, the identity of
    every directory above, and the place within the filesystem that the mount shows. `path` need not exist. For protected roots that is the safe
    side; for permitted roots the opening (`paths.open_image`) is stricter still.
    """
    if not path or not os.path.isabs(path):
        return ""
    own = {real_path(path), os.path.join(real_path(os.path.dirname(path.rstrip("/"))), os.path.basename(path.rstrip("/")))}
    names = {name for item in own for name in _above(item)}
    identities = {found for name in names if (found := _identity(name)) is not None}
    mounts = read_mounts()
    places = [place for item in own if (place := _place(item, mounts)) is not None]
    best, depth = "", -1
    for root in roots:
        resolved = real_path(root)
        if len(resolved) <= depth or not os.path.isabs(root):
            continue
        if resolved in names or _identity(root) in identities or _within(_place(resolved, mounts), places):
            best, depth = root, len(resolved)
    return best


def _within(place: tuple[tuple[int, int], str] | None, places: list[tuple[tuple[int, int], str]]) -> bool:
    return place is not None and any(at[0] == place[0] and _is_under(at[1], place[1]) for at in places)


def _above(path: str) -> Iterator[str]:
    yield path
    while path != "/":
        path = os.path.dirname(path)
        yield path


def _is_under(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _identity(path: str) -> FileIdentity | None:
    try:
        return identity_of(os.stat(path))
    except OSError:
        return None


def _place(path: str, mounts: dict[int, Mount]) -> tuple[tuple[int, int], str] | None:
    """(device, path within that filesystem) of an already resolved path; of the nearest existing directory if it is not there."""
    tail = ""
    for name in _above(path):
        try:
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            tail = os.path.join(os.path.basename(name), tail) if tail else os.path.basename(name)
            continue
        try:
            mount = mount_of(fd, mounts)
        finally:
            os.close(fd)
        if mount is None or not _is_under(name, mount.mount_point):
            return None
        below = os.path.relpath(os.path.join(name, tail) if tail else name, mount.mount_point)
        return mount.device, os.path.normpath(os.path.join(mount.root, below))
    return None
