"""Where overwriting in place can be proven: a closed list of filesystems, flags and devices."""

from __future__ import annotations

import pytest

from wiped.decide.provable import provability_reasons
from wiped.model.inventory import FilesystemFacts


@pytest.mark.parametrize(
    ("facts", "reasons"),
    [
        (FilesystemFacts("ext4"), ()),
        (FilesystemFacts("ext3"), ()),
        (FilesystemFacts("xfs"), ()),
        (FilesystemFacts("btrfs", cow=True), ("cow-filesystem",)),
        (FilesystemFacts("btrfs", cow=False), ()),
        (FilesystemFacts("zfs", cow=True), ("cow-filesystem",)),
        (FilesystemFacts("ext4", data_journal=True), ("journaled-data",)),
        (FilesystemFacts("xfs", mount_options=("rw", "device:thin-pool")), ("thin-pool",)),
        (FilesystemFacts("xfs", mount_options=("rw", "device:snapshot")), ("copy-not-reached",)),
        (FilesystemFacts("ext4", mount_options=("device:cow", "device:journal")), ("cow-filesystem", "journaled-data")),
        (FilesystemFacts("ext4", mount_options=("device:cache",)), ("copy-not-reached",)),
        (FilesystemFacts("ext4", mount_options=("device:dedup",)), ("opaque-storage",)),
        (FilesystemFacts("ext4", mount_options=("device:of-tomorrow",)), ("opaque-storage",)),
        (FilesystemFacts("zfs"), ("opaque-storage",)),
        (FilesystemFacts("ext4", mount_options=("inode:encrypted",)), ("extent-encoded",)),
        (FilesystemFacts("ext4", mount_options=("inode:compressed",)), ("extent-encoded",)),
        (FilesystemFacts("ext4", mount_options=("inode:inline-data",)), ("extent-inline",)),
        (FilesystemFacts("ext4", mount_options=("inode:verity",)), ("inode-unproven",)),
        (FilesystemFacts("xfs", mount_options=("inode:dax", "inode:realtime")), ("inode-unproven",)),
        (FilesystemFacts("ext4", mount_options=("inode:no-direct-io",)), ("inode-unproven",)),
        (FilesystemFacts("ext4", mount_options=("inode:unverified",)), ("unverified",)),
        (FilesystemFacts("ext4", mount_options=("inode:data=unverified", "data=unverified")), ("unverified",)),
        (FilesystemFacts("block", mount_options=("device:unproven", "device:unverified")), ("inode-unproven", "unverified")),
        (FilesystemFacts("ext4", mount_options=("inode:attribute-0x8000000",)), ("inode-unproven",)),
        (FilesystemFacts("btrfs", mount_options=("inode:nodatacow",)), ()),
        (FilesystemFacts("ext4", mount_options=("inode:immutable", "directory:append-only", "noatime")), ()),
        (FilesystemFacts("nfs4", local=False), ("opaque-storage",)),
        (FilesystemFacts("fuse.sshfs", local=False), ("opaque-storage",)),
        (FilesystemFacts("overlay", local=False), ("opaque-storage",)),
        (FilesystemFacts("tmpfs"), ("opaque-storage",)),
        (FilesystemFacts("vfat"), ("opaque-storage",)),
        (FilesystemFacts("unheard-of"), ("opaque-storage",)),
        (FilesystemFacts("unknown", local=False), ("opaque-storage",)),
    ],
)
def test_provability(facts: FilesystemFacts, reasons: tuple[str, ...]) -> None:
    """Only filesystems that are known to overwrite in place need no reason."""
    assert provability_reasons(facts) == reasons
