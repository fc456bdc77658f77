"""The pattern of the proving pass: AES-256-CTR, so that every byte can be made again from a seed, and none can be a discard's answer (docs/physics.md 2).

    key     = HKDF-SHA256(seed, salt = none, info = b"wiped keystream 1" || 0 || artefact id (UTF-8) || 0 || pass (4 bytes, big endian)), 32 bytes
    block n = AES-256(key, n as 16 bytes, big endian),  n = logical byte offset in the file / 16

Anyone can do the same with stock tools; the test does it with `openssl`.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wiped.errors import StorageError

SEED_BYTES: Final = 32
_INFO: Final = b"wiped keystream 1"
#: Encrypting zeros gives the bare keystream. Longer buffers are filled piece by piece.
_ZEROS: Final = memoryview(bytes(1 << 20))

#: Seed 00 01 ... 1f, artefact `known-answer`, pass 1: SHA-256 over 4096 bytes at offset 0 followed by 4096 bytes at offset 2**40 + 512.
#: Computed with `openssl kdf` and `openssl enc`, as the test shows.
KNOWN_ANSWER: Final = "f9ca231968b3817575ddf7c400393814b9cadc23c295d24e2280ffcee83f7fc2"


class Pattern(Protocol):
    """What a pass writes: a function of the logical offset alone."""

    def fill(self, buffer: memoryview | mmap.mmap | bytearray, offset: int) -> None:
        """Fill all of `buffer` with the pattern's bytes from logical `offset` on. Thread-safe."""


class Keystream:
    """The keystream of one artefact's pass. `seed`: 32 bytes; `pass_index` counts from 1. Raises ValueError for anything else."""

    def __init__(self, seed: bytes, artefact_id: str, pass_index: int = 1) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes")
        if pass_index < 0 or "\0" in artefact_id:
            raise ValueError("a pass is not negative, and an artefact id has no NUL")
        info = _INFO + b"\0" + artefact_id.encode() + b"\0" + pass_index.to_bytes(4, "big")
        self._key = algorithms.AES(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(seed))

    def fill(self, buffer: memoryview | mmap.mmap | bytearray, offset: int) -> None:
        """Fill `buffer` (any length) with the keystream from logical `offset` (a multiple of 16 bytes) on.

        A cipher context of its own each call, so any number of threads may call at once; the GIL is released meanwhile.
        """
        if offset < 0 or offset % 16:
            raise ValueError("a keystream offset is a multiple of 16 bytes")
        stream = Cipher(self._key, modes.CTR((offset // 16).to_bytes(16, "big"))).encryptor()
        with memoryview(buffer) as view:
            for at in range(0, len(view), len(_ZEROS)):
                piece = view[at : at + len(_ZEROS)]
                stream.update_into(_ZEROS[: len(piece)], piece)


class ZeroPattern:
    """Zeros, for an additional pass that a customer's contract asks for. Never the last pass: zeros prove nothing (docs/physics.md 2)."""

    def fill(self, buffer: memoryview | mmap.mmap | bytearray, offset: int) -> None:
        """Fill `buffer` with zeros."""
        with memoryview(buffer) as view:
            ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(view)), 0, len(view))


def zero_fill() -> ZeroPattern:
    """The pattern of zeros."""
    return ZeroPattern()


def known_answer_test() -> None:
    """Compare the keystream with a vector computed by other means. Eraser and observer each run it at start (docs/physics.md 2).

    Raises StorageError when this machine's cipher does not give the known bytes.
    """
    stream = Keystream(bytes(range(SEED_BYTES)), "known-answer", 1)
    digest = hashlib.sha256()
    for offset in (0, 2**40 + 512):
        buffer = bytearray(4096)
        stream.fill(buffer, offset)
        digest.update(buffer)
    if digest.hexdigest() != KNOWN_ANSWER:
        raise StorageError("the keystream does not give its known answer: this program must not wipe or vouch for anything")
