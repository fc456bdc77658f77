"""Firmware variables and logs: NVRAM, what the phone wrote to its consoles, QEMU's and swtpm's own logs of it, each with its rotations."""

from __future__ import annotations

import os

from wiped.model.inventory import QEMU_LOG_CLAIM, ArtefactKind
from wiped.observe.host_files import list_names
from wiped.observe.places.look import Look, plain
from wiped.observe.reach import rotated_logs
from wiped.virt.places import is_log, matches_nvram, nvram_directory, qemu_log_names, swtpm_log


def find_nvram(look: Look) -> None:
    """The firmware variables: where the definition names a place, and where libvirt made one under the phone's name, which a definition need not say. What is
    not there (a phone that never started) left nothing."""
    folder = nvram_directory(look.directories.state)
    for path in dict.fromkeys((look.domain.nvram, *look.domain.former_nvram)):
        named = os.path.basename(path) if os.path.dirname(plain(path)) == folder else ""
        look.file(ArtefactKind.NVRAM, path, owners=_owners_of_nvram(look, named))
    look.listable(folder, "firmware variables may stand in it")
    for entry in list_names(folder):
        if any(matches_nvram(entry, name) for name in look.names):
            look.file(ArtefactKind.NVRAM, os.path.join(folder, entry), claim="firmware variables under the phone's name", owners=_owners_of_nvram(look, entry))


def _owners_of_nvram(look: Look, entry: str) -> list[str]:
    """The other domains under one of whose names libvirt would keep variables in this file of its directory."""
    return sorted(look.reach.claimants(lambda name, _: matches_nvram(entry, name)))


def find_console_logs(look: Look) -> None:
    """Logs that the phone's XML names, with the files that virtlogd rotated away from them."""
    for log in look.domain.console_logs:
        look.file(ArtefactKind.CONSOLE_LOG, log)
        look.listable(os.path.dirname(log), "rotated console logs may stand in it")
        for rotated in rotated_logs(log, list_names):
            look.file(ArtefactKind.CONSOLE_LOG, rotated)


def find_logs_by_name(look: Look) -> None:
    """QEMU's log of the phone and swtpm's: keyed by its name, so another domain that has or had the name owns them too."""
    places = look.directories
    look.listable(places.logs, "QEMU's logs may stand in it")
    look.listable(places.swtpm_logs, "swtpm's logs may stand in it")
    for name in look.names:
        for log in qemu_log_names(name):
            _log(look, places.logs, log, QEMU_LOG_CLAIM)
        _log(look, places.swtpm_logs, swtpm_log(name), "swtpm's log of this phone")


def _log(look: Look, directory: str, log: str, claim: str) -> None:
    for entry in list_names(directory):
        if is_log(entry, log):
            path = os.path.join(directory, entry)
            look.named_file(ArtefactKind.CONSOLE_LOG, path, lambda name, _, entry=entry: _is_log_of(entry, name), claim)  # type: ignore[misc]


def _is_log_of(entry: str, name: str) -> bool:
    """Whether a file in a directory of logs is keyed by this name."""
    return any(is_log(entry, log) for log in (*qemu_log_names(name), swtpm_log(name)))
