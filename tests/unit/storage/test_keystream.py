"""The keystream: what stock tools compute too, the same from any offset, different for anything else."""

from __future__ import annotations

import hashlib
import hmac
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as some

from wiped.storage.keystream import KNOWN_ANSWER, Keystream, known_answer_test, zero_fill

SEED = bytes(range(32))


def bytes_of(stream: Keystream, offset: int, length: int) -> bytes:
    """`length` bytes from `offset`."""
    buffer = bytearray(length)
    stream.fill(buffer, offset)
    return bytes(buffer)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
def test_openssl_computes_the_known_answer() -> None:
    """openssl alone, from the words of the module's docstring, gives the very vector that the program tests itself with."""
    info = b"wiped keystream 1\0known-answer\0" + (1).to_bytes(4, "big")
    kdf = ["openssl", "kdf", "-keylen", "32", "-kdfopt", "digest:SHA2-256", "-kdfopt", f"hexkey:{SEED.hex()}"]
    done = subprocess.run([*kdf, "-kdfopt", f"hexinfo:{info.hex()}", "-binary", "HKDF"], capture_output=True, check=True)
    digest = hashlib.sha256()
    for offset in (0, 2**40 + 512):
        cipher = ["openssl", "enc", "-aes-256-ctr", "-K", done.stdout.hex(), "-iv", f"{offset // 16:032x}"]
        digest.update(subprocess.run(cipher, input=bytes(4096), capture_output=True, check=True).stdout)
    assert digest.hexdigest() == KNOWN_ANSWER


def test_known_answer() -> None:
    """This machine's cipher passes the test that eraser and observer make at start."""
    known_answer_test()


def test_key_is_hkdf() -> None:
    """The key is RFC 5869's, computed here with nothing but HMAC."""
    prk = hmac.digest(bytes(32), SEED, "sha256")
    key = hmac.digest(prk, b"wiped keystream 1\0a\0" + (2).to_bytes(4, "big") + b"\x01", "sha256")
    assert Keystream(SEED, "a", 2)._key.key == key


@given(some.integers(0, 2**50).map(lambda number: number * 512), some.integers(1, 8192), some.integers(0, 500))
def test_any_range_regenerates(offset: int, length: int, skip: int) -> None:
    """A range in the middle equals that part of a longer one: offsets alone decide."""
    stream = Keystream(SEED, "artefact", 1)
    whole = bytes_of(stream, offset, skip * 16 + length)
    assert bytes_of(stream, offset + skip * 16, length) == whole[skip * 16 :]


def test_longer_than_a_piece() -> None:
    """A buffer of more than a mebibyte is one stream."""
    stream = Keystream(SEED, "artefact", 1)
    whole = bytes_of(stream, 4096, (2 << 20) + 48)
    assert whole[1 << 20 :] == bytes_of(stream, 4096 + (1 << 20), (1 << 20) + 48)


def test_everything_in_the_key_counts() -> None:
    """Another seed, artefact, pass or offset gives other bytes; an id cannot imitate a pass number."""
    streams = [Keystream(SEED, "a", 1), Keystream(bytes(32), "a", 1), Keystream(SEED, "b", 1), Keystream(SEED, "a", 2), Keystream(SEED, "", 1)]
    starts = {bytes_of(stream, offset, 32) for stream in streams for offset in (0, 512)}
    assert len(starts) == 10


def test_threads_share_a_stream() -> None:
    """Eight threads on one stream fill the same bytes as one."""
    stream = Keystream(SEED, "artefact", 1)
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(lambda index: bytes_of(stream, index * 65536, 65536), range(32)))
    assert b"".join(parts) == bytes_of(stream, 0, 32 * 65536)


@pytest.mark.parametrize(("seed", "name", "number"), [(b"short", "a", 1), (SEED, "a\0b", 1), (SEED, "a", -1)])
def test_bad_arguments(seed: bytes, name: str, number: int) -> None:
    """A short seed, an id with a NUL and a negative pass are programming errors."""
    with pytest.raises(ValueError, match=r"seed|pass"):
        Keystream(seed, name, number)


def test_bad_offset() -> None:
    """An offset inside a cipher block cannot be asked for."""
    with pytest.raises(ValueError, match="multiple of 16"):
        Keystream(SEED, "a").fill(bytearray(16), 8)


def test_zero_fill() -> None:
    """The pattern of zeros overwrites all of the buffer."""
    buffer = bytearray(b"x" * 100)
    zero_fill().fill(buffer, 0)
    assert buffer == bytes(100)
