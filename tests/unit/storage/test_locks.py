"""Locks and leases between open descriptions of one process: they conflict just as between two."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wiped.errors import RefusedError, StorageError
from wiped.storage.locks import is_locked, lock_image, take_and_drop_write_lease, unlock_image


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[int], int]]:
    """Opens one and the same image again and again."""
    path, fds = tmp_path / "image", []
    path.write_bytes(b"x" * 4096)

    def open_it(flags: int) -> int:
        fds.append(os.open(path, flags))
        return fds[-1]

    yield open_it
    for fd in fds:
        os.close(fd)


def test_lock_excludes_another(opened: Callable[[int], int]) -> None:
    """A second description is refused until the first lets go; on the same one it is no change."""
    first, second = opened(os.O_RDWR), opened(os.O_RDWR)
    lock_image(first)
    lock_image(first)
    with pytest.raises(RefusedError) as caught:
        lock_image(second)
    assert caught.value.codes == ("in-use",)
    unlock_image(first)
    lock_image(second)


def test_all_or_none(opened: Callable[[int], int]) -> None:
    """If only bytes 200-204 are taken by another, none of ours stays behind."""
    first, second = opened(os.O_RDWR), opened(os.O_RDWR)
    lock_image(first)
    fcntl.fcntl(first, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_UNLCK, 0, 100, 5, 0))
    with pytest.raises(RefusedError):
        lock_image(second)
    unlock_image(first)
    assert not is_locked(first)


def test_is_locked_looks_from_outside(opened: Callable[[int], int]) -> None:
    """A read-only look sees another's lock, not one's own, and takes none."""
    holder, looker = opened(os.O_RDWR), opened(os.O_RDONLY)
    assert not is_locked(looker)
    lock_image(holder)
    assert (is_locked(looker), is_locked(holder)) == (True, False)


def test_lock_needs_writing(opened: Callable[[int], int]) -> None:
    """A read-only descriptor cannot take the locks, and that is not called `in-use`."""
    with pytest.raises(StorageError, match="writing"):
        lock_image(opened(os.O_RDONLY))


def test_lease_alone(opened: Callable[[int], int]) -> None:
    """The only descriptor gets the lease, again and again; one that only looks (O_PATH) does not count."""
    fd = opened(os.O_RDWR)
    opened(os.O_PATH)
    take_and_drop_write_lease(fd)
    take_and_drop_write_lease(fd)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR])
def test_lease_refused_beside_another(opened: Callable[[int], int], flags: int) -> None:
    """Any other descriptor, a reader too, is seen."""
    fd = opened(os.O_RDWR)
    opened(flags)
    with pytest.raises(RefusedError, match="somebody else") as caught:
        take_and_drop_write_lease(fd)
    assert caught.value.codes == ("in-use",)


def test_lease_refused_beside_a_mapping(opened: Callable[[int], int], tmp_path: Path) -> None:
    """A mapping whose descriptor is closed long since is seen."""
    fd = opened(os.O_RDWR)
    with (tmp_path / "image").open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ)
    with mapping, pytest.raises(RefusedError):
        take_and_drop_write_lease(fd)
    mapping.close()
    take_and_drop_write_lease(fd)


def test_no_leases_here() -> None:
    """What cannot have a lease is refused as in use: it cannot be proven."""
    read, write = os.pipe()
    try:
        with pytest.raises(RefusedError, match="cannot be proven"):
            take_and_drop_write_lease(write)
    finally:
        os.close(read)
        os.close(write)
