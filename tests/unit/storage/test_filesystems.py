"""What is said of filesystems without making any: the cautious answer wherever something cannot be known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wiped.decide.provable import provability_reasons
from wiped.model.inventory import FilesystemFacts
from wiped.storage.filesystems import device_layers, filesystem_facts, open_block_device, vices_of


@pytest.mark.parametrize(("path", "fs_type", "local"), [("/proc/self/stat", "proc", False), ("/dev/shm", "tmpfs", True)])
def test_facts_of_special_filesystems(path: str, fs_type: str, local: bool) -> None:
    """The type is that of the mount, by any kind of descriptor."""
    for flags in (os.O_RDONLY, os.O_PATH):
        fd = os.open(path, flags)
        try:
            facts = filesystem_facts(fd)
        finally:
            os.close(fd)
        assert (facts.fs_type, facts.local, provability_reasons(facts)) == (fs_type, local, ("opaque-storage",))


def test_closed_descriptor() -> None:
    """A descriptor that is none has an unknown filesystem, on which nothing can be proven."""
    assert filesystem_facts(1 << 20) == FilesystemFacts(fs_type="unknown", local=False)


def test_anonymous_device() -> None:
    """A filesystem without a device of its own (major 0) has none to open."""
    assert open_block_device(os.stat("/proc").st_dev) is None


@pytest.mark.parametrize(
    ("uuids", "layers"),
    [
        (("CRYPT-LUKS2-a", "LVM-plain"), ()),
        (("LVM-thin", "LVM-pool-tpool"), ("thin-pool",)),
        (("CRYPT-LUKS2-a", "LVM-thin", "LVM-pool-tpool", "LVM-pool_tdata"), ("thin-pool",)),
        (("LVM-origin", "LVM-origin-real"), ("snapshot",)),
        (("", "LVM-snap-cow"), ("snapshot",)),
    ],
)
def test_layers_below_a_device(tmp_path: Path, uuids: tuple[str, ...], layers: tuple[str, ...]) -> None:
    """LVM's thin pools and snapshots are found below encryption or RAID, in a sysfs tree laid out as the kernel does."""
    for number, uuid in enumerate(uuids):
        (tmp_path / f"dm-{number}/slaves").mkdir(parents=True)
        (tmp_path / f"dm-{number}/dm").mkdir()
        (tmp_path / f"dm-{number}/dm/uuid").write_text(uuid + "\n")
        if number:
            (tmp_path / f"dm-{number - 1}/slaves/dm-{number}").symlink_to(tmp_path / f"dm-{number}")
    assert device_layers(str(tmp_path / "dm-0")) == layers


@pytest.mark.parametrize(
    ("words", "vices"),
    [
        (("rw", "inode:nodatacow", "inode:data=journal"), set()),
        (("inode:encrypted",), {"unproven"}),
        (("inode:flag-0x800",), {"unproven"}),
        (("inode:unverified", "inode:verity"), {"unverified", "unproven"}),
        (("data=unverified",), {"unverified"}),
    ],
)
def test_a_device_on_a_file_has_the_files_vices(words: tuple[str, ...], vices: set[str]) -> None:
    """A loop device over an encrypted file, say: what is written to it is not what lies on the disk."""
    assert vices_of(FilesystemFacts("ext4", mount_options=words)) == vices
