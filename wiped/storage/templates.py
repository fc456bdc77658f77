"""Templates of paths that belong to one phone (`extra_artefacts`, `phone_directories`), and the walk through a directory whose content others chose.

A template is an absolute path with `{uuid}` in it, then perhaps globs: `*` and `?` within one name, `[...]`, and `**` as a name of its own for any number
of directories. Names that begin with a dot match too: what is left behind is not less left for being hidden. A domain's name never enters.

The walk goes by descriptor from the deepest literal directory on. It follows no symbolic link, crosses no mount, and takes regular files of one name only;
everything else that a template reaches is a problem, told and not touched.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat as st
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from wiped.errors import InputError, RefusedError, StorageError
from wiped.model.plan import RefusalCode
from wiped.storage.kernel import (
    RESOLVE_BENEATH,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    openat2,
    translated,
)

MAX_FILES: Final = 10_000
#: Names looked at, matching or not.
MAX_NAMES: Final = 200_000
MAX_DEPTH: Final = 64
UUID: Final = "{uuid}"
_PLAIN_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_GLOB: Final = frozenset("*?[")
_STRAIGHT: Final = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
_INSIDE: Final = _STRAIGHT | RESOLVE_BENEATH | RESOLVE_NO_XDEV

#: (refusal code, path, detail)
Problem = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a template reaches now. `bound`: the deepest literal directory of it (absolute); `files` lie beneath; `problems`: (code, path, detail)."""

    bound: str
    files: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Walked:
    """All regular files beneath a directory (absolute paths, sorted), and what else stands there."""

    files: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def check_template(text: str, *, globs: bool = True) -> str:
    """What is wrong with a template, "" for nothing. `globs=False`: for a phone's own directory, which is one."""
    literal = text.replace(UUID, "")
    if not text.startswith("/"):
        return f"{text!r} is relative; write an absolute path"
    if "\0" in text or not text.isprintable():
        return f"{text!r} holds control characters"
    if text != os.path.normpath(text) or text.startswith("//"):
        return f"{text!r} is not in normal form; write {os.path.normpath(text).replace('//', '/')!r}"
    if "{" in literal or "}" in literal:
        return f"{text!r} holds braces other than {UUID}; nothing else is filled in"
    if UUID not in text:
        return f"{text!r} holds no {UUID}, so it would be every phone's"
    first = min((text.index(letter) for letter in _GLOB if letter in text), default=len(text))
    if text.index(UUID) > first:
        return f"{text!r} has a glob before {UUID}; what comes first must be literal"
    if not globs and (_GLOB & set(literal)):
        return f"{text!r} holds a glob; name one directory"
    parts = text.split("/")[1:]
    if any("**" in part and part != "**" for part in parts):
        return f"{text!r}: '**' must stand between slashes"
    if parts.count("**") > 2:
        return f"{text!r} has more than two '**'"
    if any("[" in part and not re.search(r"\[!?\]?[^\]]*\]", part) for part in parts):
        return f"{text!r} has a '[' without ']'"
    if parts.index(next(part for part in parts if UUID in part)) == 0:
        return f"{text!r} lies directly below the root directory of the host"
    return ""


def _checked(template: str, uuid: str, *, globs: bool) -> str:
    if fault := check_template(template, globs=globs):
        raise InputError(fault, where="template")
    if not _PLAIN_UUID.fullmatch(uuid):
        raise InputError("not a UUID in lower-case with dashes", where="uuid")
    return template.replace(UUID, uuid)


def directory_of(template: str, uuid: str) -> str:
    """The directory that a `phone_directories` template names for one phone. Raises InputError for a template or UUID that is not sound."""
    return _checked(template, uuid, globs=False)


def bound_of(template: str, uuid: str) -> str:
    """The deepest literal directory of a template: everything that it can reach lies in or beneath it. Raises InputError."""
    return _apart(_checked(template, uuid, globs=True))[0]


def _apart(path: str) -> tuple[str, list[str]]:
    parts = path.split("/")[1:]
    count = next((index for index, part in enumerate(parts) if _GLOB & set(part)), len(parts) - 1)
    return "/" + "/".join(parts[:count]), parts[count:]


def expand(template: str, uuid: str) -> Expansion:
    """The files that a template reaches now. A directory that is not there holds nothing. Raises InputError for a template or UUID that is not sound;
    whatever it meets on the host is told in `problems`: symlink, not-regular, hard-link, mounted, unreadable, untrusted-format (a name that is no text),
    unsupported-artefact (more than MAX_FILES files, deeper than MAX_DEPTH)."""
    bound, pattern = _apart(_checked(template, uuid, globs=True))
    walk = _Walk(bound)
    walk.start(lambda parts: matches(pattern, parts), lambda parts: may_lead(pattern, parts))
    return Expansion(bound, tuple(sorted(walk.files)), tuple(walk.problems))


def walk_directory(path: str) -> Walked:
    """Every regular file in and beneath a directory; see `expand` for problems. One that is not there holds nothing. Never raises."""
    if not path.startswith("/") or "\0" in path:
        return Walked(problems=((str(RefusalCode.UNSUPPORTED_ARTEFACT), ascii(path)[1:-1], "not an absolute path"),))
    walk = _Walk(os.path.normpath(path))
    walk.start(lambda parts: True, lambda parts: True)
    return Walked(tuple(sorted(walk.files)), tuple(walk.problems))


def matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a path relative to the bound, in parts, is what the pattern's parts say."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        if len(pattern) == 1:
            return len(parts) > 0
        return any(matches(pattern[1:], parts[count:]) for count in range(len(parts)))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and matches(pattern[1:], parts[1:])


def may_lead(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether something beneath this directory could match."""
    if not parts:
        return bool(pattern)
    if not pattern:
        return False
    if pattern[0] == "**":
        return True
    return len(pattern) > 1 and fnmatch.fnmatchcase(parts[0], pattern[0]) and may_lead(pattern[1:], parts[1:])


_Choice = Callable[[tuple[str, ...]], bool]


@dataclass(slots=True)
class _Walk:
    """One walk. `wanted` says of a relative path whether it is meant; `leads` whether to look inside a directory."""

    bound: str
    files: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    names: int = 0
    full: bool = False

    def start(self, wanted: _Choice, leads: _Choice) -> None:
        try:
            fd = openat2(-100, self.bound, os.O_RDONLY | os.O_DIRECTORY, _STRAIGHT)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return
            if error.errno == errno.ENOTDIR:
                self._problem(RefusalCode.NOT_REGULAR, self.bound, "not a directory")
                return
            self._failed(error, self.bound)
            return
        self._directory(fd, (), wanted, leads)

    def _directory(self, fd: int, parts: tuple[str, ...], wanted: _Choice, leads: _Choice) -> None:
        """Look through an open directory, and close it."""
        try:
            names = os.listdir(fd)
            for name in sorted(names):
                self.names += 1
                if self.full or self.names > MAX_NAMES:
                    self._stop()
                    return
                self._entry(fd, (*parts, name), wanted, leads)
        except OSError as error:
            self._failed(error, self._path(parts))
        finally:
            os.close(fd)

    def _entry(self, dir_fd: int, parts: tuple[str, ...], wanted: _Choice, leads: _Choice) -> None:
        path, is_wanted = self._path(parts), wanted(parts)
        if not is_wanted and not leads(parts):
            return
        try:
            looked_at = openat2(dir_fd, parts[-1], os.O_PATH | os.O_NOFOLLOW, _INSIDE)
        except OSError as error:
            if error.errno == errno.EXDEV:
                self._problem(RefusalCode.MOUNTED, path, "something else is mounted here")
            elif error.errno == errno.ELOOP:
                if is_wanted:
                    self._problem(RefusalCode.SYMLINK, path, "a symbolic link, which is not followed")
            elif error.errno != errno.ENOENT:  # it was removed meanwhile
                self._failed(error, path)
            return
        try:
            found = os.fstat(looked_at)
            if st.S_ISDIR(found.st_mode):
                if leads(parts):
                    self._below(looked_at, parts, wanted, leads)
            elif is_wanted:
                self._found(path, found)
        finally:
            os.close(looked_at)

    def _found(self, path: str, found: os.stat_result) -> None:
        if st.S_ISLNK(found.st_mode):
            self._problem(RefusalCode.SYMLINK, path, "a symbolic link, which is not followed")
        elif not st.S_ISREG(found.st_mode):
            self._problem(RefusalCode.NOT_REGULAR, path, "a socket, pipe or device")
        elif not _is_text(path):
            self._problem(RefusalCode.UNTRUSTED_FORMAT, path, "a name with control characters, or that is not UTF-8")
        elif found.st_nlink != 1:
            self._problem(RefusalCode.HARD_LINK, path, f"{found.st_nlink} names (hard links) lead to the file")
        elif len(self.files) >= MAX_FILES:
            self._stop()
        else:
            self.files.append(path)

    def _below(self, looked_at: int, parts: tuple[str, ...], wanted: _Choice, leads: _Choice) -> None:
        if len(parts) >= MAX_DEPTH:
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, self._path(parts), f"deeper than {MAX_DEPTH} directories")
            return
        try:
            fd = os.open(f"/proc/self/fd/{looked_at}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            self._failed(error, self._path(parts))
            return
        self._directory(fd, parts, wanted, leads)

    def _path(self, parts: tuple[str, ...]) -> str:
        return os.path.join(self.bound, *parts)

    def _stop(self) -> None:
        if not self.full:
            self.full = True
            self._problem(RefusalCode.UNSUPPORTED_ARTEFACT, self.bound, f"more than {MAX_FILES} files (or {MAX_NAMES} names) in it")

    def _failed(self, error: OSError, path: str) -> None:
        ours = translated(error, "it")
        code = ours.codes[0] if isinstance(ours, RefusedError) else str(RefusalCode.UNREADABLE)
        self._problem(code, path, str(ours) if isinstance(ours, RefusedError | StorageError) else "")

    def _problem(self, code: str, path: str, detail: str) -> None:
        self.problems.append((str(code), path if _is_text(path) else ascii(path)[1:-1], detail))


def _is_text(path: str) -> bool:
    return not any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) < 0xE000 for letter in path)
