"""Profiles: what a phone's own directory may hold. A declarative list of globs and kinds, in TOML; what none of them lists is unknown, and stops the wipe.

    description = "..."
    file = [
      { glob = "instances/*/userdata.img", kind = "disk-image" },
      { glob = "**/vmlinux", kind = "disk-image", keep = true },
      { glob = "**/*.sock", kind = "extra", special = true },
    ]

A glob is relative to the directory: `*`, `?`, `[...]`, and `**` between slashes; `{uuid}` is the phone's. `kind` is an artefact kind. `keep`: shared with
others or the provider's own, never erased. `special`: matches sockets, pipes and symbolic links only, which hold no data: they are left alone. The first
entry that matches counts, so put exceptions first.
"""

from __future__ import annotations

import os
import re
import stat as st
import tomllib
from dataclasses import dataclass
from typing import Any, Final

from wiped.errors import RefusedError
from wiped.model.inventory import ArtefactKind
from wiped.model.plan import RefusalCode
from wiped.storage.templates import UUID, Problem, matches, walk_directory

PACKAGED: Final = ("libvirt", "cuttlefish")
_MAX_BYTES: Final = 1 << 20
#: Problems of things that hold no data of their own.
_SPECIAL: Final = (str(RefusalCode.NOT_REGULAR), str(RefusalCode.SYMLINK))
_HERE: Final = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a profile."""

    glob: str
    kind: ArtefactKind
    keep: bool = False
    special: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """A loaded profile."""

    name: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class DirectoryContents:
    """What stands in a phone's own directory. `files` are the phone's; `kept` are listed as not its own; `unknown` are not listed; `problems` as of
    `templates.walk_directory`."""

    files: tuple[tuple[str, ArtefactKind], ...] = ()
    unknown: tuple[str, ...] = ()
    kept: tuple[tuple[str, ArtefactKind], ...] = ()
    problems: tuple[Problem, ...] = ()


def profile_fault(name: str) -> str:
    """What is wrong with a profile's name in the configuration, "" for nothing; does not look for the file."""
    if name in PACKAGED or (name.startswith("/") and name == os.path.normpath(name) and name.isprintable()):
        return ""
    return f"{name!r} is neither {' nor '.join(repr(each) for each in PACKAGED)}, nor the absolute path of a profile"


def load_profile(name: str) -> Profile:
    """A packaged profile by name, or the operator's own by absolute path (root's, and writable by nobody else).

    Raises RefusedError (unreadable) for one that is not there, not trusted, or wrong; the message says where.
    """
    if name not in PACKAGED and not name.startswith("/"):
        raise _unreadable(name, "no profile of that name")
    path = os.path.join(_HERE, f"{name}.toml") if name in PACKAGED else name
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(fd)
            if not st.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
                raise _unreadable(path, "not a small regular file")
            if name not in PACKAGED and (found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022):
                raise _unreadable(path, "others than root can write it")
            with os.fdopen(os.dup(fd), "rb") as stream:
                data = stream.read(_MAX_BYTES + 1)
        finally:
            os.close(fd)
        return parse_profile(name, tomllib.loads(data.decode("utf-8")))
    except OSError as error:
        raise _unreadable(path, os.strerror(error.errno or 0)) from error
    except RecursionError as error:
        raise _unreadable(path, "nested too deeply") from error
    except ValueError as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: str, why: str) -> RefusedError:
    return RefusedError(f"the profile {path}: {why}", codes=[RefusalCode.UNREADABLE])


def parse_profile(name: str, tables: dict[str, Any]) -> Profile:
    """The profile in a parsed TOML document. Raises ValueError."""
    if unknown := sorted(set(tables) - {"description", "file"}):
        raise ValueError(f"{unknown[0]!r} is no key of a profile")
    rows = tables.get("file")
    if not isinstance(rows, list) or not rows:
        raise ValueError("lists no [[file]]")
    return Profile(name, tuple(_entry(number, row) for number, row in enumerate(rows, start=1)))


def _entry(number: int, row: object) -> Entry:
    where = f"[[file]] number {number}"
    if not isinstance(row, dict) or set(row) - {"glob", "kind", "keep", "special"}:
        raise ValueError(f"{where}: has glob and kind, and perhaps keep or special")
    if any(not isinstance(row.get(key, False), bool) for key in ("keep", "special")):
        raise ValueError(f"{where}: keep and special are true or false")
    glob, kind = row.get("glob"), row.get("kind")
    if not isinstance(glob, str) or not glob or glob.startswith(("/", "..")) or os.path.normpath(glob) != glob:
        raise ValueError(f"{where}: its glob is not a relative path in plain form")
    parts = glob.split("/")
    if any("**" in part and part != "**" for part in parts) or re.search(r"[{}]", glob.replace(UUID, "")):
        raise ValueError(f"{where}: '**' stands between slashes, and braces are for {UUID} alone")
    if kind not in set(ArtefactKind):
        raise ValueError(f"{where}: {kind!r} is no artefact kind")
    return Entry(glob, ArtefactKind(kind), row.get("keep", False), row.get("special", False))


def classify_directory(directory: str, uuid: str, profile: str | Profile) -> DirectoryContents:
    """Every file in a phone's own directory, by its profile. Raises RefusedError (unreadable) for the profile; else as `templates.walk_directory`."""
    loaded = load_profile(profile) if isinstance(profile, str) else profile
    base = os.path.normpath(directory)
    walked = walk_directory(base)
    patterns = [(entry.glob.replace(UUID, uuid).split("/"), entry) for entry in loaded.entries]

    def entry_of(path: str, *, special: bool) -> Entry | None:
        parts = path[len(base.rstrip("/")) + 1 :].split("/")
        return next((entry for pattern, entry in patterns if entry.special is special and matches(pattern, parts)), None)

    files: list[tuple[str, ArtefactKind]] = []
    kept: list[tuple[str, ArtefactKind]] = []
    unknown: list[str] = []
    for path in walked.files:
        entry = entry_of(path, special=False)
        if entry is None:
            unknown.append(path)
        else:
            (kept if entry.keep else files).append((path, entry.kind))
    problems = tuple(each for each in walked.problems if each[0] not in _SPECIAL or each[1] == base or entry_of(each[1], special=True) is None)
    return DirectoryContents(tuple(files), tuple(unknown), tuple(kept), problems)
