"""Who has which blocks of a filesystem, on real ones."""

from __future__ import annotations

import os

import pytest

from tests.host.test_storage_free_space import MakeFs
from tests.lab.privatelibvirt import wait_for
from tests.lab.rawdevice import BLOCK, MIB, Markers
from wiped.storage.extents import read_extents
from wiped.storage.fsmap import free_space, read_fsmap, trace


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_ranges_that_a_file_lost_can_be_looked_up(raw_fs: MakeFs, markers: Markers, kind: str) -> None:
    """Free after the removal; then another file's, by its inode. The free space is what statfs says."""
    filesystem = raw_fs(kind)
    assert filesystem.mount_point is not None
    path = filesystem.mount_point / "disk"
    markers.write(path, 500)
    with path.open("rb") as file:
        ranges = [(physical, length) for _, physical, length in read_extents(file.fileno()).iter_ranges()]
        inode = os.fstat(file.fileno()).st_ino
    fd = os.open(filesystem.mount_point, os.O_RDONLY)
    try:
        found = trace(fd, ranges)
        assert (found.free, found.taken) == (0, 500 * BLOCK)
        assert inode in found.owners or kind == "ext4" or found.owners == (0,)  # ext4 and XFS without rmap name no owner
        path.unlink()
        wait_for(lambda: (os.sync(), trace(fd, ranges).free)[1] == 500 * BLOCK, "the blocks are free")
        assert abs(free_space(fd).bytes - os.fstatvfs(fd).f_bfree * BLOCK) < 32 * MIB
        assert sum(each.length for each in read_fsmap(fd)) > 200 * MIB
    finally:
        os.close(fd)
