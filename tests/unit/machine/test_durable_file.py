"""Small files that are whole or absent: replaced by a rename, never by writing into them, and nothing is left beside them when a write fails."""

from __future__ import annotations

import os
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from wiped.machine import durable_file


@pytest.fixture
def narrow_umask() -> Iterator[None]:
    """A umask that would take everything from others."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def no_space() -> Iterator[None]:
    """No file may grow beyond 4 bytes: writes fail with EFBIG, as a full disk makes them fail."""
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, old)


def mode_of(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("narrow_umask")
def test_a_file_has_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    """Whatever the umask: libvirt's hook reads fences as another user."""
    durable_file.make_directory(str(tmp_path / "fence"), 0o755)
    durable_file.put(str(tmp_path / "fence"), "a", b"content", 0o644)
    assert (mode_of(tmp_path / "fence"), mode_of(tmp_path / "fence" / "a")) == (0o755, 0o644)


def test_a_file_is_replaced_and_who_has_the_old_one_open_keeps_it(tmp_path: Path) -> None:
    """The old content is never written over: a reader sees one or the other."""
    durable_file.put(str(tmp_path), "a", b"old", 0o600)
    with open(tmp_path / "a", "rb") as reader:
        durable_file.put(str(tmp_path), "a", b"new", 0o600)
        assert (reader.read(), (tmp_path / "a").read_bytes()) == (b"old", b"new")
    assert os.listdir(tmp_path) == ["a"]


def test_the_same_content_is_left_as_it_is_where_that_was_asked_for(tmp_path: Path) -> None:
    """The inode stays; other content, shorter or longer, is another file."""
    durable_file.put(str(tmp_path), "a", b"same", 0o600)
    before = (tmp_path / "a").stat().st_ino
    durable_file.put(str(tmp_path), "a", b"same", 0o600, unless_same=True)
    assert (tmp_path / "a").stat().st_ino == before
    for other in (b"sam", b"same and more"):
        durable_file.put(str(tmp_path), "a", other, 0o600, unless_same=True)
        assert (tmp_path / "a").read_bytes() == other


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A full disk: the error arrives, the old content stays whole."""
    durable_file.put(str(tmp_path), "a", b"old content", 0o600)
    request.getfixturevalue("no_space")
    with pytest.raises(OSError, match="too large"):
        durable_file.put(str(tmp_path), "a", b"new content", 0o600)
    assert ((tmp_path / "a").read_bytes(), os.listdir(tmp_path)) == (b"old content", ["a"])


def test_a_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Nothing is written where a link leads, and nothing is removed there."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_bytes(b"another's")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for act in (lambda: durable_file.put(str(tmp_path / "link"), "a", b"x", 0o600), lambda: durable_file.remove(str(tmp_path / "link"), "a")):
        with pytest.raises(NotADirectoryError):
            act()
    assert (tmp_path / "elsewhere" / "a").read_bytes() == b"another's"


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    """Its half-written file, which may hold a key that was never used; not the one of a process that still writes, nor another file's."""
    gone, alive = 2**22 + 1, os.getppid()  # beyond the kernel's largest process id
    for left in (f".a.{gone}.1", f".a.{alive}.1", f".ab.{gone}.1", f".a.{gone}.x"):
        (tmp_path / left).write_bytes(b"half")
    durable_file.put(str(tmp_path), "a", b"whole", 0o600)
    assert sorted(os.listdir(tmp_path)) == sorted(["a", f".a.{alive}.1", f".ab.{gone}.1", f".a.{gone}.x"])


def test_a_left_over_that_cannot_be_removed_stops_no_write(tmp_path: Path) -> None:
    """A directory of such a name: the file is there all the same."""
    (tmp_path / f".a.{2**22 + 1}.1").mkdir()
    durable_file.put(str(tmp_path), "a", b"whole", 0o600)
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    """The file, then nothing, then not even a directory."""
    durable_file.put(str(tmp_path), "a", b"x", 0o600)
    for _ in range(2):
        durable_file.remove(str(tmp_path), "a")
        assert os.listdir(tmp_path) == []
    durable_file.remove(str(tmp_path / "no-such-directory"), "a")


def test_a_directory_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    """Whoever made it decided."""
    (tmp_path / "d").mkdir(mode=0o750)
    durable_file.make_directory(str(tmp_path / "d"), 0o700)
    assert mode_of(tmp_path / "d") == 0o750


def test_all_of_it_is_written_at_its_place(tmp_path: Path) -> None:
    """At an offset, the rest stays."""
    (tmp_path / "a").write_bytes(b"0123456789")
    with open(tmp_path / "a", "r+b") as file:
        durable_file.write_all(file.fileno(), b"xyz", offset=4)
    assert (tmp_path / "a").read_bytes() == b"0123xyz789"


def test_what_a_command_hands_out_goes_into_a_pipe_too(tmp_path: Path) -> None:
    """A person may name a file, a pipe or a device; a file's mode is set where that was asked for."""
    durable_file.overwrite(str(tmp_path / "report"), b"first, longer", mode=0o600)
    durable_file.overwrite(str(tmp_path / "report"), b"second", mode=0o600)
    assert ((tmp_path / "report").read_bytes(), mode_of(tmp_path / "report")) == (b"second", 0o600)
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    durable_file.overwrite(str(tmp_path / "pipe"), b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
