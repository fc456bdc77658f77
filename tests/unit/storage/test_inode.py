"""What the kernel tells of an inode, as words: every known bit has a meaning, every other one its number."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from wiped.decide.provable import INODE_WORDS
from wiped.storage import inode
from wiped.storage.inode import inode_facts, is_cached
from wiped.storage.kernel import Statx

#: A file with direct I/O and no attribute.
DIRECT = Statx(0x2000, 0, 512)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A file of one block."""
    path = tmp_path / "plain"
    path.write_bytes(bytes(4096))
    return path


def words_of(
    path: Path, fs_type: str, monkeypatch: pytest.MonkeyPatch, *, flags: int | None = 0, xflags: int | None = 0, answer: Statx | None = DIRECT
) -> set[str]:
    """The words of a file where the kernel says that of it."""
    monkeypatch.setattr(inode, "_ioctls", lambda _fd: (flags, xflags))
    monkeypatch.setattr(inode, "statx", lambda _fd: answer)
    fd = os.open(path, os.O_PATH)
    try:
        return set(inode_facts(fd, fs_type).words)
    finally:
        os.close(fd)


@pytest.mark.parametrize("bit", range(32))
def test_each_flag_has_a_meaning_or_is_told_by_its_number(plain: Path, monkeypatch: pytest.MonkeyPatch, bit: int) -> None:
    """No bit is passed over: it is known to be harmless, has a word that the proof knows, or proves nothing."""
    for place in ("flags", "xflags"):
        (found,) = words_of(plain, "ext4", monkeypatch, **{place: 1 << bit}) or {""}  # type: ignore[arg-type]
        known = getattr(inode, "_FLAGS" if place == "flags" else "_XFLAGS").get(1 << bit)
        assert found == ("" if known == "" else f"inode:{known or f'{place[:-1]}-{1 << bit:#x}'}")
        assert not known or found in INODE_WORDS


@pytest.mark.parametrize("bit", range(64))
def test_each_attribute_has_a_meaning_or_is_told_by_its_number(plain: Path, monkeypatch: pytest.MonkeyPatch, bit: int) -> None:
    """The same for statx; of the directory only what keeps names from being changed is told."""
    found = {word for word in words_of(plain, "xfs", monkeypatch, answer=Statx(0x2000, 1 << bit, 512)) if word.startswith("inode:")}
    known = inode._ATTRIBUTES.get(1 << bit)
    assert found == (set() if known == "" else {f"inode:{known or f'attribute-{1 << bit:#x}'}"})


def test_what_cannot_be_asked_proves_nothing(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags on a filesystem that has them, statx anywhere; a file without direct I/O is told too."""
    assert words_of(plain, "ext4", monkeypatch, flags=None) == {"inode:unverified"}
    assert words_of(plain, "xfs", monkeypatch, xflags=None) == {"inode:unverified"}
    assert words_of(plain, "tmpfs", monkeypatch, flags=None, xflags=None) == set()
    assert words_of(plain, "ext4", monkeypatch, answer=None) == {"inode:unverified"}
    assert words_of(plain, "ext4", monkeypatch, answer=Statx(0x2000, 0, 0)) == {"inode:no-direct-io"}
    assert words_of(plain, "ext4", monkeypatch, answer=Statx(0, 0, 0)) == set()  # a kernel before 6.1 does not tell


def test_directory_words(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Immutable and append-only directories are told of the files in them."""
    assert words_of(plain, "ext4", monkeypatch, answer=Statx(0x2000, 0x30, 512)) == {
        "inode:immutable", "inode:append-only", "directory:immutable", "directory:append-only"
    }  # fmt: skip


def test_what_is_no_file_has_no_words() -> None:
    """A pipe is not asked; of a descriptor that cannot even be looked at, nothing is known, which is said."""
    assert inode_facts(1 << 20, "ext4").words == ("inode:unverified",)
    reader, writer = os.pipe()
    try:
        assert inode_facts(reader, "ext4").words == ()
    finally:
        os.close(reader)
        os.close(writer)


def test_the_page_cache_is_asked(plain: Path) -> None:
    """What was just read is in it; a descriptor that is none counts as cached."""
    fd = os.open(plain, os.O_RDONLY)
    try:
        os.pread(fd, 4096, 0)
        assert is_cached(fd, 0, 4096)
        assert fcntl.fcntl(fd, fcntl.F_GETFD) >= 0
    finally:
        os.close(fd)
    assert is_cached(1 << 20, 0, 4096)
