"""For the long tests (``make test-long``): the host tests' fixtures; all tests of this directory carry the marker ``long``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.conftest import markers, module_libvirt, private_libvirt, private_mounts, raw_fs, scratch

__all__ = ["markers", "module_libvirt", "private_libvirt", "private_mounts", "raw_fs", "scratch"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory ``long``."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.long)
