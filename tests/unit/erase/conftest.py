"""Fixtures of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.libvirtfiles import LibvirtFiles
from tests.unit.erase.host import Host


@pytest.fixture
def libvirt(tmp_path: Path) -> LibvirtFiles:
    return LibvirtFiles(tmp_path / "libvirt")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    return path


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "images").mkdir()
    return Host(LibvirtFiles(tmp_path / "libvirt"), tmp_path / "images")
