"""Files that root's configuration makes a phone's own by its UUID: `extra_artefacts` templates, and `phone_directories` by their profile.

Asked by path alone, without listing: a file that an earlier run renamed is still meant by its old name. A domain's name never enters a pattern.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Self

from wiped.errors import InputError, RefusedError
from wiped.model.inventory import ArtefactKind
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules
from wiped.storage.profiles import Entry, load_profile
from wiped.storage.templates import UUID, bound_of, directory_of, matches

Pattern = tuple[str, ...]
#: Wherever one begins: those that overlap too.
_A_UUID: Final = re.compile(r"(?=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))")


@dataclass(frozen=True, slots=True)
class Templated:
    """`extras`: (directory, pattern beneath it); `directories`: the phone's own; `entries`: the profile, in its order, with patterns filled in."""

    rules: StorageRules = field(default_factory=StorageRules)
    uuid: str = ""
    extras: tuple[tuple[str, Pattern], ...] = ()
    directories: tuple[str, ...] = ()
    entries: tuple[tuple[Pattern, Entry], ...] = ()

    @classmethod
    def of(cls, rules: StorageRules, uuid: str) -> Self:
        """What the configuration says for one phone. Raises RefusedError (unreadable) for a profile or a template that cannot be used."""
        if not rules.extra_artefacts and not rules.phone_directories:
            return cls()
        try:
            extras = tuple(_parted(template, uuid) for template in rules.extra_artefacts)
            directories = tuple(directory_of(template, uuid) for template in rules.phone_directories)
        except InputError as error:
            raise RefusedError(f"a template of the configuration: {error}", codes=[RefusalCode.UNREADABLE]) from error
        profile = load_profile(rules.profile).entries if directories else ()
        return cls(rules, uuid, extras, directories, tuple((tuple(entry.glob.replace(UUID, uuid).split("/")), entry) for entry in profile))

    def grants(self, location: str) -> Iterator[tuple[str, str]]:
        """(way, directory to open beneath) for each template that means this path, and each own directory whose profile lists it."""
        for bound, pattern in self.extras:
            if (parts := _beneath(location, bound)) and matches(pattern, parts):
                yield "extra", bound
        for directory in self.directories:
            entry = self._entry(location, directory)
            if entry is not None and not entry.keep:
                yield "directory", directory

    def others(self, location: str) -> str:
        """The other phone whose the templates make this path, whether libvirt knows it (any more) or not; "" for none."""
        found: dict[str, None] = dict.fromkeys(match[1] for match in _A_UUID.finditer(location))
        for uuid in found if self.uuid else ():
            if uuid != self.uuid and (
                any(
                    (parts := _beneath(location, bound)) and matches(pattern, parts)
                    for bound, pattern in (_parted(each, uuid) for each in self.rules.extra_artefacts)
                )
                or any(_beneath(location, directory_of(each, uuid)) for each in self.rules.phone_directories)
            ):
                return uuid
        return ""

    def is_kept(self, location: str) -> bool:
        """Whether the profile lists the file as not the phone's: shared, or the provider's."""
        return any((entry := self._entry(location, directory)) is not None and entry.keep for directory in self.directories)

    def is_seed(self, location: str) -> bool:
        """Whether the profile lists the file as a medium of the phone's own."""
        found = (self._entry(location, directory) for directory in self.directories)
        return any(entry is not None and not entry.keep and entry.kind is ArtefactKind.INSTALL_MEDIA for entry in found)

    def _entry(self, location: str, directory: str) -> Entry | None:
        parts = _beneath(location, directory)
        return next((entry for pattern, entry in self.entries if parts and not entry.special and matches(pattern, parts)), None)


def _parted(template: str, uuid: str) -> tuple[str, Pattern]:
    bound = bound_of(template, uuid)
    return bound, _beneath(template.replace(UUID, uuid), bound)


def _beneath(location: str, directory: str) -> Pattern:
    """The parts of a path below a directory, by its letters; () for one that is not below."""
    prefix = directory.rstrip("/") + "/"
    return tuple(os.path.normpath(location)[len(prefix) :].split("/")) if location.startswith(prefix) and location != prefix else ()
