"""Mounts as a way to lead elsewhere: bind mounts of directories and files beneath a root, and what a path really lies in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.rawdevice import RawFilesystem
from wiped.errors import RefusedError
from wiped.storage.image_chain import look_at_layer
from wiped.storage.paths import containing_root, open_beneath, open_image

MakeFs = Callable[..., RawFilesystem]


def mount(*arguments: Path | str) -> None:
    """mount(8)."""
    subprocess.run(["mount", *map(str, arguments)], check=True)


@pytest.fixture
def pool(scratch: Path) -> Path:
    """A root with an image, and beside it a golden directory with one."""
    for name in ("pool/sub", "golden/inner"):
        (scratch / name).mkdir(parents=True)
    (scratch / "pool/image").write_bytes(b"phone")
    (scratch / "golden/inner/base").write_bytes(b"golden")
    return scratch / "pool"


def test_bind_mounted_directory(pool: Path) -> None:
    """A golden directory mounted within the pool: its files do not open there, and are known as golden."""
    golden = pool.parent / "golden"
    mount("--bind", golden / "inner", pool / "sub")
    with pytest.raises(RefusedError) as caught:
        open_image(str(pool), f"{pool}/sub/base", write=True, expected=None)
    assert caught.value.codes == ("outside-roots",)
    assert "mount point" in str(caught.value)
    assert containing_root(f"{pool}/sub/base", [str(golden)]) == str(golden)
    assert containing_root(f"{pool}/sub/not-yet", [str(golden)]) == str(golden)
    assert containing_root(f"{pool}/image", [str(golden)]) == ""
    layer = look_at_layer(f"{pool}/sub/base", "raw", roots=[str(pool)], protected=[str(golden)], libvirt_dirs=[])
    assert layer.under_protected == str(golden)
    open_image(str(pool), f"{pool}/sub/base", write=False, expected=None, cross_mounts=True).close()


def test_bind_mounted_file(pool: Path) -> None:
    """A golden file mounted over the phone's image."""
    golden = pool.parent / "golden"
    mount("--bind", golden / "inner/base", pool / "image")
    for opener in (lambda: open_image(str(pool), f"{pool}/image", write=True, expected=None), lambda: open_beneath(str(pool), f"{pool}/image", os.O_RDWR)):
        with pytest.raises(RefusedError) as caught:
            opener()
        assert caught.value.codes == ("outside-roots",)
    assert containing_root(f"{pool}/image", [str(golden)]) == str(golden)


def test_root_that_is_a_mount_point(raw_fs: MakeFs) -> None:
    """A root may itself be a filesystem of its own."""
    filesystem = raw_fs("ext4")
    assert filesystem.mount_point is not None
    (filesystem.mount_point / "image").write_bytes(b"x")
    root = str(filesystem.mount_point)
    open_image(root, f"{root}/image", write=True, expected=None).close()
    assert containing_root(f"{root}/image", [root]) == root


def test_same_filesystem_mounted_twice(raw_fs: MakeFs, scratch: Path) -> None:
    """The second mount of a filesystem leads to the same protected files, by identity and by place; another directory of it does not."""
    filesystem = raw_fs("ext4")
    assert filesystem.mount_point is not None
    for name in ("golden/deep", "other"):
        (filesystem.mount_point / name).mkdir(parents=True)
        (filesystem.mount_point / name / "base").write_bytes(b"x")
    again = scratch / "again"
    again.mkdir()
    mount(filesystem.device, again)
    golden = str(filesystem.mount_point / "golden")
    answers = [containing_root(f"{again}/{name}", [golden]) for name in ("golden/deep/base", "other/base")]
    subprocess.run(["umount", str(again)], check=True)
    assert answers == [golden, ""]


def test_btrfs_subvolume_mounted_elsewhere(raw_fs: MakeFs, scratch: Path) -> None:
    """A protected directory in a subvolume is recognised through a mount of that subvolume alone."""
    filesystem = raw_fs("btrfs")
    assert filesystem.mount_point is not None
    subprocess.run(["btrfs", "-q", "subvolume", "create", f"{filesystem.mount_point}/sub"], check=True)
    (filesystem.mount_point / "sub/golden").mkdir()
    (filesystem.mount_point / "sub/golden/base").write_bytes(b"x")
    alone = scratch / "alone"
    alone.mkdir()
    mount("-o", "subvol=sub", filesystem.device, alone)
    sub = f"{filesystem.mount_point}/sub"
    answers = [containing_root(f"{alone}/golden/base", [root]) for root in (f"{sub}/golden", sub, f"{sub}/other")]
    subprocess.run(["umount", str(alone)], check=True)
    assert answers == [f"{sub}/golden", sub, ""]
