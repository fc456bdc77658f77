"""The state directory: made for the daemon alone, locked for one daemon at a time."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from wiped.errors import ConfigError
from wiped.machine import state_dir
from wiped.machine.state_dir import sole_instance


def test_the_directory_is_made_for_its_owner_alone_and_locked(tmp_path: Path) -> None:
    """0700; a second instance is refused while the first one lasts, and not after."""
    path = tmp_path / "state"
    with sole_instance(str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        with pytest.raises(ConfigError, match="runs already"), sole_instance(str(path)):
            pass
    with sole_instance(str(path)):
        pass


def test_a_directory_that_cannot_be_made_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    """A file is in its place: ConfigError names the setting."""
    (tmp_path / "state").write_text("a file")
    with pytest.raises(ConfigError) as caught, sole_instance(str(tmp_path / "state")):
        pass
    assert [key for key, _ in caught.value.faults] == ["host.state_dir"]


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """A symbolic link in the lock's place is an error, and its target stays as it is."""
    (tmp_path / "target").write_text("precious")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "lock").symlink_to(tmp_path / "target")
    with pytest.raises(ConfigError, match="cannot be used"), sole_instance(str(tmp_path / "state")):
        pass
    assert (tmp_path / "target").read_text() == "precious"


def test_two_state_directories_on_one_host_are_no_two_daemons(tmp_path: Path) -> None:
    """What is one for each host is locked too; a directory that is both, or is named by two paths, is locked once."""
    first, second, home = (str(tmp_path / name) for name in ("first", "second", "home"))
    (tmp_path / "link").symlink_to(tmp_path / "home")
    with sole_instance(first, home):
        with pytest.raises(ConfigError, match="runs already") as caught, sole_instance(second, home):
            pass
        assert "stop the one" in caught.value.hint
        with sole_instance(second):
            pass
    with sole_instance(home, str(tmp_path / "link")), pytest.raises(ConfigError, match="runs already"), sole_instance(home):
        pass
    with sole_instance(second, home):
        pass


@pytest.mark.parametrize("content", [None, b"", b"uninitialized\n", b"\xff" * 32, b"0" * 31])
def test_a_machine_without_an_identity_is_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> None:
    """None yet (the first boot of an image), or none at all (a container)."""
    monkeypatch.setattr(state_dir, "MACHINE_ID", str(tmp_path / "machine-id"))
    if content is not None:
        (tmp_path / "machine-id").write_bytes(content)
    assert state_dir.machine_digest() == ""


def test_a_machine_is_known_again_without_telling_its_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine has another digest."""
    monkeypatch.setattr(state_dir, "MACHINE_ID", str(tmp_path / "machine-id"))
    found = []
    for name in ("a" * 32, "b" * 32, "a" * 32):
        (tmp_path / "machine-id").write_text(name + "\n")
        found.append(state_dir.machine_digest())
    assert found[0] == found[2] != found[1]
    assert "a" * 32 not in found
