"""For the host tests: private mounts for the whole session, a private libvirt, raw filesystems, and the leak check.

All tests of this directory carry the marker ``host``. The session runs in a mount namespace of its own, so whatever a
test mounts is gone when pytest is, even after SIGKILL.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.forks import stop_server
from tests.lab.mounts import enter_private_mounts, leftovers, make_scratch, mount_points, remove_scratch
from tests.lab.privatelibvirt import PrivateLibvirt, children
from tests.lab.rawdevice import Markers, RawFilesystem

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory ``host``."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.host)


@pytest.fixture(scope="session", autouse=True)
def private_mounts() -> Iterator[None]:
    """Run in a mount namespace of our own; at the end no process, mount, loop device or directory may be left."""
    enter_private_mounts()
    mounts_before, children_before = mount_points("/"), set(children(os.getpid()))
    yield
    stop_server()
    left = leftovers()
    left += [f"mount {point}" for point in mount_points("/") if point not in mounts_before]
    left += [f"process {_command(pid)}" for pid in children(os.getpid()) if pid not in children_before]
    assert left == []


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory on a disk (never tmpfs), removed with whatever is mounted beneath it."""
    path = make_scratch()
    yield path
    remove_scratch(path)


@pytest.fixture
def raw_fs(scratch: Path) -> Iterator[Callable[..., RawFilesystem]]:
    """``raw_fs(kind="ext4", at=None, **options)``: a mounted `RawFilesystem`; ``at`` None: a new directory for it."""
    made: list[RawFilesystem] = []

    def make(kind: str = "ext4", at: Path | None = None, **options: object) -> RawFilesystem:
        number = len(made)
        filesystem = RawFilesystem(kind, scratch / f"device-{number}.img", **options)  # type: ignore[arg-type]
        made.append(filesystem)
        if at is None:
            at = scratch / f"fs-{number}"
            at.mkdir()
        filesystem.mount(at)
        return filesystem

    yield make
    for filesystem in reversed(made):
        filesystem.close()


@pytest.fixture
def private_libvirt(raw_fs: object) -> Iterator[PrivateLibvirt]:
    """A fresh private libvirt (0.2 s). It stops before the filesystems of `raw_fs` are unmounted.

    To be seen inside, mount filesystems beneath its ``workdir`` (``raw_fs(at=...)``), or before it is requested.
    """
    with PrivateLibvirt() as libvirt:
        yield libvirt


@pytest.fixture(scope="module")
def module_libvirt(private_mounts: None) -> Iterator[PrivateLibvirt]:
    """A private libvirt for all tests of a module that leave it as they found it."""
    with PrivateLibvirt() as libvirt:
        yield libvirt


@pytest.fixture
def markers() -> Markers:
    """Markers of this test alone."""
    return Markers()


def _command(pid: int) -> str:
    try:
        return f"{pid}: " + Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return str(pid)
