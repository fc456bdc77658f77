"""The long tests run on the same stage as tests/host, and carry the marker ``long`` (`make test-long`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.conftest import markers, private_libvirt, private_mounts, raw_fs, scratch

__all__ = ["markers", "private_libvirt", "private_mounts", "raw_fs", "scratch"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory ``long`` and ``host``."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.long)
            item.add_marker(pytest.mark.host)
