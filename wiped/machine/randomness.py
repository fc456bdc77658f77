"""Secrets, random names and identifiers from the kernel's generator (port Randomness)."""

from __future__ import annotations

import os
import time
import uuid


class KernelRandomness:
    """Port Randomness over getrandom(2)."""

    def seed(self) -> bytes:
        """32 random bytes."""
        return os.urandom(32)

    def name(self) -> str:
        """A random file name that begins with a dot, so that no tool that lists images takes the file for an image."""
        return ".wiped-" + os.urandom(16).hex()

    def identifier(self) -> str:
        """A UUIDv7 (RFC 9562 5.7): 48 bits of milliseconds, then random bits."""
        value = (int(time.time() * 1000) & (2**48 - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
        value = value & ~(0xF << 76) | 7 << 76
        return str(uuid.UUID(int=value & ~(3 << 62) | 2 << 62))
