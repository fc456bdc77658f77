"""The records of `wipectl images classify`, as both helpers read them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wiped.errors import RefusedError
from wiped.model.instants import instant_text
from wiped.model.inventory import FileIdentity
from wiped.storage.classified import Classified, classified_as, read_classified, record_name

ONE = {"path": "/srv/phones/base", "device": 64, "inode": 12, "as": "private", "at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """``put(record)`` writes one under its right name; ``put(record, name=...)`` under another."""
    (tmp_path / "c").mkdir(mode=0o700)

    def write(record: object, name: str = "") -> Path:
        path = tmp_path / "c" / (name or record_name(str(record["path"])))  # type: ignore[index]
        path.write_text(record if isinstance(record, str) else json.dumps(record))
        path.chmod(0o600)
        return path

    return write


def test_records(tmp_path: Path, put: Callable[..., Path]) -> None:
    """By identity, with path and time; what is being written (a name with a dot) does not count; no directory is no record."""
    put(ONE)
    put("half", name=".tmp-1")
    assert read_classified(str(tmp_path / "c")) == {FileIdentity(64, 12): Classified("/srv/phones/base", FileIdentity(64, 12), "private", ONE["at"])}
    assert read_classified(str(tmp_path / "none")) == {}


def test_private_needs_path_and_identity_golden_only_the_file(tmp_path: Path, put: Callable[..., Path]) -> None:
    """A file that was replaced is not the one that was settled; a golden one is protected under every name."""
    put(ONE)
    put(ONE | {"path": "/srv/golden", "inode": 13, "as": "golden"})
    records = read_classified(str(tmp_path / "c"))
    asked = [("/srv/phones/base", 12), ("/srv/phones/./base", 12), ("/srv/phones/base", 14), ("/srv/other", 12), ("/srv/other", 13), ("/srv/golden", 14)]
    assert [classified_as(records, path, FileIdentity(64, inode)) for path, inode in asked] == ["private", "private", "", "", "golden", ""]
    assert classified_as(records, "/srv/golden", None) == ""


def test_private_is_not_said_of_a_file_that_is_younger_than_the_word(tmp_path: Path, put: Callable[..., Path]) -> None:
    """A record that was lost and is written again from the ledger (or copied back without its times) is a new file, and its word as old as ever: the base
    that was settled is gone, and another one has its path and its inode number. Golden protects whatever stands there."""
    base = tmp_path / "base"
    base.write_bytes(b"somebody's golden image")
    found = base.stat()
    image = {"path": str(base), "device": found.st_dev, "inode": found.st_ino, "as": "private", "at": instant_text(datetime.now(UTC))}
    put(image)
    assert [record.as_ for record in read_classified(str(tmp_path / "c")).values()] == ["private"]
    put(image | {"at": "2026-01-01T00:00:00.000000Z"})
    assert read_classified(str(tmp_path / "c")) == {}
    put(image | {"at": "2026-01-01T00:00:00.000000Z", "as": "golden"})
    assert [record.as_ for record in read_classified(str(tmp_path / "c")).values()] == ["golden"]


def test_golden_wins_over_private(tmp_path: Path, put: Callable[..., Path]) -> None:
    """Two names of one file, settled differently: it is protected, whatever the order."""
    for path in ("/srv/a", "/srv/b", "/srv/c"):
        put(ONE | {"path": path, "as": "golden" if path == "/srv/b" else "private"})
    assert [record.as_ for record in read_classified(str(tmp_path / "c")).values()] == ["golden"]


@pytest.mark.parametrize(
    "record",
    [
        "", "{", "[]", "null", "[" * 100_000,
        ONE | {"as": "maybe"}, ONE | {"path": "relative"}, ONE | {"inode": "12"}, ONE | {"inode": True}, ONE | {"device": -1},
        ONE | {"at": "soon"}, ONE | {"at": 7}, ONE | {"at": "2026-01-01T00:00:00"},
        {key: value for key, value in ONE.items() if key != "as"},
    ],
)  # fmt: skip
def test_what_cannot_be_understood_makes_all_unreadable(tmp_path: Path, put: Callable[..., Path], record: object) -> None:
    """It may be the one that says golden."""
    put(ONE | {"path": "/srv/good"})
    put(record, name=record_name("/srv/phones/base"))
    with pytest.raises(RefusedError) as caught:
        read_classified(str(tmp_path / "c"))
    assert caught.value.codes == ("unreadable",)


def test_strangers_in_the_directory(tmp_path: Path, put: Callable[..., Path]) -> None:
    """A wrong name, a link, a pipe, a directory, a large file; records or a directory that others can write; a directory that is a link or a file."""
    directory = tmp_path / "c"
    made = put(ONE)

    def refused(path: Path = directory) -> bool:
        try:
            read_classified(str(path))
        except RefusedError as error:
            return error.codes == ("unreadable",)
        return False

    assert not refused()
    for make in (
        lambda path: path.write_text(json.dumps(ONE)),
        lambda path: path.symlink_to(made),
        os.mkfifo,
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b" " * 70_000),
    ):
        stranger = directory / record_name("/srv/stranger")
        make(stranger)
        assert refused()
        stranger.rmdir() if stranger.is_dir() else stranger.unlink()
    made.chmod(0o622)
    assert refused()
    made.chmod(0o600)
    directory.chmod(0o777)
    assert refused()
    directory.chmod(0o700)
    (tmp_path / "link").symlink_to(directory)
    assert (refused(tmp_path / "link"), refused(made), refused()) == (True, True, False)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_the_daemons_user_may_write_records(tmp_path: Path, put: Callable[..., Path]) -> None:
    """What user `wiped` wrote counts where it is the helper's peer, and nowhere else; a directory or record of a third user never."""
    record, directory = put(ONE), tmp_path / "c"
    for path in (directory, record):
        os.chown(path, 64_001, 64_001)
    assert list(read_classified(str(directory), 64_001)) == [FileIdentity(64, 12)]
    for writer in (0, 64_002):
        with pytest.raises(RefusedError):
            read_classified(str(directory), writer)
    os.chown(record, 64_002, 64_002)
    with pytest.raises(RefusedError):
        read_classified(str(directory), 64_001)
