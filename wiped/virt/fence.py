"""Fence files (I6): what libvirt's hook reads to veto the start of a phone, under its own UUID or by any of its disks. The port Fences.

One file a phone, `/var/lib/wiped/fence/<uuid>`, 0644 in a directory 0755, whole or absent: written beside under a dot name (which the hook ignores),
synced, renamed, the directory synced. The format is fixed, because a POSIX shell hook reads it::

    wiped-fence 1
    uuid <uuid>
    path <absolute path>            (any number; a path with a newline has only its inode line)
    inode <st_dev, decimal>:<st_ino>    (of a block device: <st_rdev>:0)
    volume <pool> <name>
    end
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from wiped.errors import InputError, StorageError
from wiped.machine import durable_file
from wiped.model.inventory import FileIdentity

P = ParamSpec("P")
T = TypeVar("T")

FENCE_DIRECTORY = "/var/lib/wiped/fence"
HOOK_DIRECTORY = "/etc/libvirt/hooks/qemu.d"
#: Where the daemons that run hooks keep their process ids; the first that lives counts.
PID_FILES = ("/run/libvirtd.pid", "/run/virtqemud.pid", "/run/libvirt/libvirtd.pid", "/run/libvirt/virtqemud.pid")
#: Where the shipped hook leaves "<process id> <start time in ticks>" of the daemon that called it.
SEEN_FILE = "/run/wiped-hook-seen"
#: SHA-256 of the shipped `config/libvirt-hook` (a test keeps them equal): an older hook knows less of what a fence means.
HOOK_SHA256 = "3f7309c8a166b4ad980f20df8c76bb24c0b8d4af1da0ba418c2b07a4d5b5e17a"
_MAX_HOOK_BYTES = 1 << 20
_DAEMONS = ("libvirtd", "virtqemud")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def fence_text(uuid: str, paths: Sequence[str], identities: Sequence[FileIdentity], volumes: Sequence[tuple[str, str]]) -> str:
    """The fence file's text. What the format cannot hold (a newline, a path that is not absolute) is left out: the UUID and the inodes still stand."""
    lines = ["wiped-fence 1", f"uuid {uuid}"]
    lines += [f"path {path}" for path in paths if path.startswith("/")]
    lines += [f"inode {identity.device}:{identity.inode}" for identity in identities]
    lines += [f"volume {pool} {name}" for pool, name in volumes if pool and name]
    kept = [line for line in dict.fromkeys(lines) if "\n" not in line and "\0" not in line]
    return "\n".join([*kept, "end", ""])


class FenceFiles:
    """Fences in a directory, and a look at the hook that obeys them.

    `expected_hook`: the shipped hook's SHA-256; None skips the comparison. The other places differ in tests only. Raises StorageError for I/O.
    """

    def __init__(
        self,
        directory: str = FENCE_DIRECTORY,
        *,
        hook_directory: str = HOOK_DIRECTORY,
        expected_hook: str | None = HOOK_SHA256,
        pid_files: Sequence[str] = PID_FILES,
        seen_file: str = SEEN_FILE,
    ) -> None:
        self._directory = directory
        self._hook_directory = hook_directory
        self._expected = expected_hook
        self._pid_files = tuple(pid_files)
        self._seen_file = seen_file

    async def put(self, uuid: str, paths: Sequence[str], identities: Sequence[FileIdentity], volumes: Sequence[tuple[str, str]]) -> None:
        """See the port."""
        text = fence_text(_checked(uuid), paths, identities, volumes)
        await asyncio.to_thread(_translated, self._put, uuid, os.fsencode(text))

    async def lift(self, uuid: str) -> None:
        """See the port."""
        await asyncio.to_thread(_translated, self._lift, _checked(uuid))

    async def standing(self) -> frozenset[str]:
        """See the port. Whatever bears a UUID as its name counts, since the hook vetoes by the name alone."""
        found = await asyncio.to_thread(_translated, self._list)
        return frozenset(found)

    async def hook_fault(self) -> str:
        """See the port. Loaded is known by either: the running libvirtd has called the hook (its seen file), or it started after the hook was there."""
        return await asyncio.to_thread(self._hook_fault)

    def _put(self, uuid: str, content: bytes) -> None:
        durable_file.make_directory(self._directory, 0o755)
        durable_file.put(os.path.realpath(self._directory), uuid, content, 0o644)  # readable by all: the hook may run as another user

    def _lift(self, uuid: str) -> None:
        durable_file.remove(os.path.realpath(self._directory), uuid)

    def _list(self) -> list[str]:
        try:
            return [name for name in os.listdir(self._directory) if _UUID.fullmatch(name)]
        except FileNotFoundError:
            return []

    # -- the hook

    def _hook_fault(self) -> str:
        fix = f"install the shipped libvirt-hook as {self._hook_directory}/50-wiped (mode 0755) and restart libvirtd"
        try:
            names = sorted(name for name in os.listdir(self._hook_directory) if "wiped" in name and not name.startswith("."))
        except FileNotFoundError:
            names = []
        except OSError as error:
            return f"cannot look for the libvirt hook: {error.strerror}"
        if not names:
            return f"the libvirt hook is not installed: {fix}"
        faults = [self._fault_of(os.path.join(self._hook_directory, name), fix) for name in names]
        return "" if "" in faults else faults[0]

    def _fault_of(self, path: str, fix: str) -> str:
        """What is wrong with one hook file, "" for nothing."""
        try:
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o111 == 0:
                return f"{path} is not executable: chmod 0755 it and restart libvirtd"
            if status.st_uid != 0 or status.st_mode & 0o022:
                return f"{path} can be written by others than root: {fix}"
            if self._expected is not None:
                with open(path, "rb") as file:
                    if hashlib.sha256(file.read(_MAX_HOOK_BYTES)).hexdigest() != self._expected:
                        return f"{path} is not the hook that this version ships: {fix}"
        except OSError as error:
            return f"cannot read {path}: {error.strerror}"
        daemon = self._daemon()
        if daemon is None or self._has_called(*daemon):
            return ""  # none runs: it will look for hooks when it starts
        started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + daemon[1] / os.sysconf("SC_CLK_TCK")
        if started < status.st_ctime:
            # A SIGHUP leaves no trace but the hook's own, which comes with the next start or stop of a domain.
            return f"{path} is newer than the running libvirtd, and not known to be loaded: restart or reload libvirtd, then start any domain"
        return ""

    def _daemon(self) -> tuple[int, int] | None:
        """Process id and start (clock ticks since boot) of the running libvirtd or virtqemud."""
        for pid_file in self._pid_files:
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(pid_file, encoding="ascii") as file:
                    pid = int(file.read(32))
                with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                    name, _, fields = file.read().partition("(")[2].rpartition(")")
                if name in _DAEMONS:  # else the pid file is a stale one
                    return pid, int(fields.split()[19])
        return None

    def _has_called(self, pid: int, ticks: int) -> bool:
        try:
            with open(self._seen_file, encoding="ascii", errors="replace") as file:
                return file.read(64).split() == [str(pid), str(ticks)]
        except OSError:
            return False


def _checked(uuid: str) -> str:
    """The UUID, which becomes a file name: nothing else may."""
    if not _UUID.fullmatch(uuid):
        raise InputError("is not a domain's UUID in lower case", where="fence")
    return uuid


def _translated(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call, with the kernel's errors as ours."""
    try:
        return function(*arguments, **named)
    except OSError as error:
        raise StorageError(f"the fence directory: {error.strerror}") from error
