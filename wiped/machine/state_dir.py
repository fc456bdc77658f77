"""The state directory: one daemon at a time, on the machine that it belongs to."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator

from wiped.errors import ConfigError

#: The identity of the installed system (machine-id(5)); kept over restarts, another one on every host.
MACHINE_ID = "/etc/machine-id"


def machine_digest() -> str:
    """Which machine this is, as it may be shown to others (machine-id(5) itself may not); "" where it has no identity, or none yet."""
    try:
        with open(MACHINE_ID, encoding="ascii") as file:
            found = file.read(64).strip()
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(f"wiped {found}".encode()).hexdigest()[:32] if re.fullmatch(r"[0-9a-f]{32}", found) else ""


def sole_instance(*directories: str) -> contextlib.ExitStack:
    """Make the state directory, and other directories of which there is one for each host (0700), and lock them while the context lasts; one that is named
    twice, by whatever path, is locked once. Raises ConfigError when another daemon has a lock, or where one cannot be made."""
    with contextlib.ExitStack() as stack:
        seen: list[os.stat_result] = []
        for directory in directories:
            stack.enter_context(_locked(directory, seen))
        return stack.pop_all()


@contextlib.contextmanager
def _locked(directory: str, seen: list[os.stat_result]) -> Iterator[None]:
    def unusable(why: str, hint: str = "") -> ConfigError:
        return ConfigError(f"host.state_dir: {directory!r} {why}", faults=[("host.state_dir", why)], hint=hint)

    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        handle = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise unusable(f"cannot be used: {error.strerror}") from error
    try:
        found = os.fstat(handle)
        if not any(os.path.samestat(found, other) for other in seen):
            seen.append(found)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise unusable("belongs to a daemon that runs already", "stop the one that runs, whatever its state directory is") from error
        yield
    finally:
        os.close(handle)
