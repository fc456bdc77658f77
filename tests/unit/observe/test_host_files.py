"""Small files and directories of the host, read without disturbing anybody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wiped.errors import RefusedError
from wiped.observe.host_files import list_names, read_small, why_unlisted


def test_a_small_regular_file_is_read_whole(tmp_path: Path) -> None:
    """At its limit it is read; one byte more refuses."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 10)
    assert read_small(str(path), 10) == b"x" * 10
    with pytest.raises(RefusedError) as caught:
        read_small(str(path), 9)
    assert caught.value.codes == ("unreadable",)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    """A link at the end, a pipe that nobody writes, a directory; what is not there is said to be so."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    codes = {}
    for name in ("link", "pipe", "directory"):
        with pytest.raises(RefusedError) as caught:
            read_small(str(tmp_path / name))
        codes[name] = caught.value.codes
    assert codes == {"link": ("symlink",), "pipe": ("not-regular",), "directory": ("not-regular",)}
    with pytest.raises(FileNotFoundError):
        read_small(str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError):
        read_small(str(tmp_path / "file" / "below"))


def test_names_are_sorted_and_a_missing_directory_holds_nothing(tmp_path: Path) -> None:
    """Nothing to say of one that is not there."""
    for name in ("b", "a"):
        (tmp_path / name).write_bytes(b"")
    assert list_names(str(tmp_path)) == ("a", "b")
    assert (list_names(str(tmp_path / "none")), why_unlisted(str(tmp_path)), why_unlisted(str(tmp_path / "none"))) == ((), "", "")
