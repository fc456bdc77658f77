"""The state directory: one daemon at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from wiped.errors import ConfigError


@contextlib.contextmanager
def sole_instance(state_dir: str) -> Iterator[None]:
    """Make the state directory (0700) and lock it while the context lasts. Raises ConfigError when another daemon has the lock, or where it cannot be made."""

    def unusable(why: str) -> ConfigError:
        return ConfigError(f"host.state_dir: {state_dir!r} {why}", faults=[("host.state_dir", why)])

    try:
        os.makedirs(state_dir, mode=0o700, exist_ok=True)
        handle = os.open(os.path.join(state_dir, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise unusable(f"cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise unusable("belongs to a daemon that runs already") from error
        yield
    finally:
        os.close(handle)
