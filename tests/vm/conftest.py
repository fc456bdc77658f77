"""For the tests in the host VM (``make test-vm``): the image, and a machine for each module; one machine at a time.

All tests of this directory carry the marker ``vm``, and may take 25 minutes on a busy machine (it is emulated in software).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.conftest import private_mounts
from tests.lab.hostimage import HostImage, host_image
from tests.lab.mounts import make_scratch, remove_scratch
from tests.lab.needs import acceleration

__all__ = ["private_mounts"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory ``vm``."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.vm)
            item.add_marker(pytest.mark.timeout(1500))


def pytest_report_header() -> str:
    """Say how the machine runs."""
    return f"host VM: {acceleration()}"


@pytest.fixture(scope="session")
def image(private_mounts: None) -> HostImage:
    """The image of the host with this checkout's program."""
    return host_image()


@pytest.fixture(scope="module")
def directory(private_mounts: None) -> Iterator[Path]:
    """A directory on a disk for the machine of a module."""
    path = make_scratch()
    yield path
    remove_scratch(path)
