"""The file that holds a receiver's secrets."""

from __future__ import annotations

import os
import stat

from wiped.errors import ConfigError, InputError
from wiped.notify.signing import parse_secrets

_MAX_BYTES = 4096


def read_secrets(path: str, key: str = "webhooks.secret_file") -> tuple[bytes, ...]:
    """The keys in `path`, newest first. Raises ConfigError under the setting's name `key`; no text of the file is in it."""

    def unusable(why: str) -> ConfigError:
        return ConfigError(f"{key}: {path!r} {why}", faults=[(key, f"{path!r} {why}")])

    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise unusable(f"cannot be read: {error.strerror}") from error
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MAX_BYTES:
            raise unusable("is not a small regular file")
        if facts.st_mode & 0o027:
            raise unusable(f"can be read or changed by others (mode {stat.S_IMODE(facts.st_mode):04o}); chmod 0600")
        data = os.read(handle, _MAX_BYTES)
    finally:
        os.close(handle)
    try:
        return parse_secrets(data.decode("ascii"))
    except (UnicodeDecodeError, InputError) as error:
        raise unusable(str(error) if isinstance(error, InputError) else "is not ASCII text") from None
