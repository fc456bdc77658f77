"""The kernel's own calls and the translation of its errors."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from wiped.errors import RefusedError, StorageError
from wiped.storage import kernel


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.ENOENT, "vanished"), (errno.ENOTDIR, "vanished"), (errno.EOPNOTSUPP, "opaque-storage"), (errno.ENOTTY, "opaque-storage"),
        (errno.EIO, "io-error"),
        (0, "io-error"), (errno.ELOOP, "symlink"), (errno.EXDEV, "outside-roots"), (errno.EACCES, "unreadable"), (errno.EROFS, "unreadable"),
        (errno.ETXTBSY, "in-use"), (errno.EAGAIN, "in-use"), (errno.EISDIR, "not-regular"), (errno.ENXIO, "not-regular"), (errno.ENAMETOOLONG, "outside-roots"),
    ],
)  # fmt: skip
def test_each_error_has_one_word_of_ours(number: int, word: str) -> None:
    """A guard's code where somebody must act, a reason where the storage failed; the text names what was asked."""
    error = kernel.translated(OSError(number, "x") if number else OSError(), "/srv/a")
    assert "/srv/a" in str(error)
    assert word == (error.codes[0] if isinstance(error, RefusedError) else error.reason)
    assert isinstance(error, RefusedError | StorageError)


def test_openat2_stays_beneath_and_follows_nothing(tmp_path: Path) -> None:
    """The flags are the kernel's own: a path upwards, a link, a NUL."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"x")
    (tmp_path / "in" / "link").symlink_to("file")
    directory = os.open(tmp_path / "in", os.O_PATH)
    try:
        os.close(kernel.openat2(directory, "file", os.O_RDONLY, kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS))
        for path, number in (("../in/file", errno.EXDEV), ("link", errno.ELOOP), ("fi\0le", errno.EINVAL), ("none", errno.ENOENT)):
            with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is compared
                kernel.openat2(directory, path, os.O_RDONLY, kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_SYMLINKS)
            assert caught.value.errno == number
    finally:
        os.close(directory)


def test_memory_is_compared_to_its_last_byte() -> None:
    """Equal, and different in the last byte alone."""
    left, right = ctypes.create_string_buffer(b"a" * 4096), ctypes.create_string_buffer(b"a" * 4095 + b"b")
    addresses = ctypes.addressof(left), ctypes.addressof(right)
    assert [kernel.memory_differs(*addresses, 4095), kernel.memory_differs(*addresses, 4096)] == [False, True]


def test_a_file_whose_age_nobody_knows_counts_as_younger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the filesystem keeps no birth time: it may be another file under the same number. What is not there is no other file."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    now = path.stat().st_mtime_ns + 1_000_000_000
    if kernel.born_ns(str(path)) is not None:
        assert not kernel.is_younger(str(path), now)
    monkeypatch.setattr(kernel, "born_ns", lambda _: None)
    assert kernel.is_younger(str(path), now)
    assert not kernel.is_younger(str(tmp_path / "none"), now)
    assert not kernel.is_younger(str(path / "beneath"), now)


def test_identity_and_age_of_a_file(tmp_path: Path) -> None:
    """Device and inode; younger than the year 1970 wherever the filesystem knows; what is not there has no age, and is no block device."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    found = path.stat()
    assert kernel.identity_of(found) == kernel.FileIdentity(found.st_dev, found.st_ino)
    assert kernel.is_younger(str(path), 0)
    assert not kernel.is_younger(str(tmp_path / "none"), 0)
    assert (kernel.born_ns(str(tmp_path / "none")), kernel.rdev_without_sync(str(path)), kernel.rdev_without_sync(str(tmp_path / "none"))) == (None, 0, 0)
