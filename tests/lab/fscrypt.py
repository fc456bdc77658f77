"""A directory under fscrypt on an ext4 filesystem with the feature `encrypt`, without the fscrypt tool (linux/fscrypt.h)."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

_ADD_KEY = 0xC0506617  # _IOWR('f', 23, 80 bytes)
_SET_POLICY = 0x800C6613  # _IOR('f', 19, 12 bytes)
_KEY_BYTES = 64


def encrypt(directory: Path) -> None:
    """Put an empty directory under a new key (AES-256-XTS, policy version 2): files made in it are encrypted. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # key_spec (type identifier, reserved, 32 bytes), raw_size, key_id, reserved; then the key.
        argument = bytearray(struct.pack("=II32sII32x", 2, 0, b"", _KEY_BYTES, 0) + os.urandom(_KEY_BYTES))
        fcntl.ioctl(fd, _ADD_KEY, argument, True)
        identifier = bytes(argument[8:24])
        fcntl.ioctl(fd, _SET_POLICY, struct.pack("=BBBBB3x16s", 2, 1, 4, 3, 0, identifier))
    finally:
        os.close(fd)
