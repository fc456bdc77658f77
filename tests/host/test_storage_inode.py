"""The nature of a file, asked of the kernel on real filesystems: what the plan is told, what the eraser writes, what passes for evidence.

For each: what observer and eraser say, with the device's node openable and not. Nothing that is not understood is written or called proven.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.host.eraser_stage import Stage, digest
from tests.host.eraser_stage import erase as erase_in
from tests.host.observer_stage import directories_in, erase, observer
from tests.lab.fscrypt import encrypt
from tests.lab.libvirtfiles import Disk, LibvirtFiles
from tests.lab.rawdevice import BLOCK, Markers, RawFilesystem
from wiped.decide.provable import provability_reasons
from wiped.decide.refusal import immutable
from wiped.erase.ownership import claims_for
from wiped.errors import RefusedError
from wiped.model.inventory import ArtefactKind, FoundArtefact, ImageLayer
from wiped.model.plan import RefusalCode
from wiped.model.policy import StorageRules
from wiped.model.sightings import Memory, RememberedFile
from wiped.record.helper_files import SheetFiles
from wiped.storage.classified import read_classified
from wiped.storage.filesystems import filesystem_facts
from wiped.storage.image_chain import look_at_layer
from wiped.storage.kernel import born_ns, identity_of
from wiped.wire.messages import Lock, LockStep

MakeFilesystem = Callable[..., RawFilesystem]
#: An observer whose /dev has no block devices.
HIDDEN = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev && exec "$@"', "sh")
#: Keeps the first page of a file in the page cache.
KEEPER = """
import ctypes, mmap, os, sys, time
with mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 4096) as page:
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    assert ctypes.CDLL(None).mlock(ctypes.c_void_p(address), 4096) == 0
    print("locked", flush=True)
    time.sleep(3600)
"""
UUID = "3b7c2a52-6c1d-4a53-9b0e-8a4f6f1f7c11"


def layer_of(path: Path, root: Path) -> ImageLayer:
    """What the observer brings of a file."""
    return look_at_layer(str(path), "raw", roots=(str(root),), protected=(), libvirt_dirs=(), with_extents=True)


def words_of(path: Path) -> set[str]:
    """The words about the inode and its directory."""
    fd = os.open(path, os.O_PATH)
    try:
        return {word for word in filesystem_facts(fd).mount_options if word.startswith(("inode:", "directory:"))}
    finally:
        os.close(fd)


def image(directory: Path, markers: Markers, blocks: int = 64) -> Path:
    """A marked, synced image."""
    path = directory / "phone.raw"
    markers.write(path, blocks)
    subprocess.run(["sync"], check=True)
    return path


@pytest.mark.parametrize("hidden", [False, True], ids=["device-openable", "device-not-openable"])
async def test_fscrypt_is_never_proven_and_never_written(raw_fs: MakeFilesystem, markers: Markers, scratch: Path, hidden: bool) -> None:
    """FIEMAP has no flag for it and O_DIRECT reads of it come from the page cache: flags and statx tell, and nothing is written or called proven."""
    filesystem = raw_fs("ext4", mkfs_options=("-O", "encrypt"))
    root = filesystem.mount_point
    assert root is not None
    vault = root / "vault"
    vault.mkdir()
    encrypt(vault)
    path = image(vault, markers)
    layer = layer_of(path, root)
    assert {"inode:encrypted", "inode:no-direct-io"} <= words_of(path)
    assert layer.problem == ""
    assert layer.filesystem is not None
    assert provability_reasons(layer.filesystem) == ("extent-encoded", "inode-unproven")
    stage = Stage(scratch, root)
    stage.files.define("phone", [Disk(str(path), "raw")], uuid=UUID)
    before = digest(path)
    async with stage.eraser().session() as session:
        request = stage.request(UUID, "phone", [path])
        await session.lock(request)
        result = await erase_in(session, request.steps[0])
    assert (result.bytes_overwritten, set(result.reasons)) == (0, {"extent-encoded", "inode-unproven"})
    assert digest(path) == before
    request_back = erase(path)  # by a hand that does not ask: what is read then must still be no evidence
    async with observer(StorageRules(roots=(str(root),)), directories_in(scratch / "eyes"), prefix=HIDDEN if hidden else ()) as eyes:
        evidence = await eyes.read_back(request_back, lambda done, total: None)
    assert evidence.via == ""
    assert "extent-encoded" in evidence.reasons


@pytest.mark.parametrize(
    ("flag", "on_directory", "word"),
    [("i", False, "inode:immutable"), ("a", False, "inode:append-only"), ("i", True, "directory:immutable"), ("a", True, "directory:append-only")],
)
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
async def test_an_immutable_file_is_refused_before_a_byte_is_written(
    raw_fs: MakeFilesystem, markers: Markers, scratch: Path, kind: str, flag: str, on_directory: bool, word: str
) -> None:
    """The plan and the eraser say it, each by itself, with the remedy; with the flag taken off the file goes, and the raw device holds no marker."""
    filesystem = raw_fs(kind)
    root = filesystem.mount_point
    assert root is not None
    folder = root / "of-this-phone"
    folder.mkdir()
    path = image(folder, markers)
    assert filesystem.count(markers.prefix) >= 64
    flagged = folder if on_directory else path
    before = digest(path)
    subprocess.run(["chattr", f"+{flag}", flagged], check=True)
    try:
        refused = immutable(FoundArtefact(ArtefactKind.DISK_IMAGE, layer_of(path, root)), UUID)
        assert refused is not None
        assert (refused.code, f"chattr -{flag} {flagged}" in refused.detail, word in words_of(path)) == (RefusalCode.IMMUTABLE, True, True)
        stage = Stage(scratch, root)
        stage.files.define("phone", [Disk(str(path), "raw")], uuid=UUID)
        assert set(await stage.wipe(stage.request(UUID, "phone", [path]))) == {"immutable"}
        assert digest(path) == before
    finally:
        subprocess.run(["chattr", f"-{flag}", flagged], check=True)
    assert await stage.wipe(stage.request(UUID, "phone", [path])) == ()
    assert not path.exists()
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 0


@pytest.mark.parametrize(
    ("kind", "mkfs", "mount", "chattr", "words", "reasons"),
    [
        ("ext4", ("-O", "bigalloc", "-C", "65536"), "", "", set(), ()),
        ("ext4", ("-b", "1024"), "", "", set(), ()),
        ("ext4", ("-O", "quota,project", "-E", "quotatype=usrquota:grpquota:prjquota"), "prjquota", "+P", set(), ()),
        ("ext4", (), "", "+S", set(), ()),
        ("ext4", (), "", "+c", {"inode:compressed"}, ("extent-encoded",)),
        ("ext4", ("-O", "verity"), "", "", set(), ()),
        ("xfs", (), "pquota", "+P", set(), ()),
        ("xfs", ("-b", "size=1024"), "", "", set(), ()),
        ("xfs", (), "", "+x", set(), ()),
        ("btrfs-nodatacow", (), "", "", {"inode:nodatacow"}, ()),
        ("btrfs", (), "", "+c", {"inode:compressed"}, ("cow-filesystem", "extent-encoded")),
    ],
    ids=[
        "bigalloc", "ext4-1k", "ext4-project-quota", "sync", "compressed-ext4", "verity-feature",
        "xfs-project-quota", "xfs-1k", "dax-wished-for", "nodatacow", "btrfs-compressed",
    ],
)  # fmt: skip
async def test_each_nature_is_understood(
    raw_fs: MakeFilesystem, markers: Markers, scratch: Path,
    kind: str, mkfs: tuple[str, ...], mount: str, chattr: str, words: set[str], reasons: tuple[str, ...],
) -> None:  # fmt: skip
    """What is harmless is wiped and proven with the device openable and not; what is not has a reason, is not written and passes for no evidence."""
    try:
        filesystem = raw_fs(kind, mkfs_options=mkfs, mount_options=mount)
    except RuntimeError as error:
        if "quota" in mount:
            pytest.skip(f"this kernel has no quota: {str(error)[-120:]}")
        raise
    root = filesystem.mount_point
    assert root is not None
    path = root / "phone.raw"
    path.touch()
    if chattr:
        done = subprocess.run(["chattr", chattr, path], check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this kernel or filesystem does not take chattr {chattr}: {done.stderr.strip()}")
    markers.write(path, 64)
    subprocess.run(["sync"], check=True)
    assert filesystem.count(markers.prefix) >= (0 if "compressed" in str(words) else 64)
    layer = layer_of(path, root)
    assert layer.filesystem is not None
    assert words_of(path) == words
    assert provability_reasons(layer.filesystem) == reasons
    if reasons:
        return
    back = erase(path)
    for prefix, via in (((), {"block-odirect", "btrfs-nodatacow-file"}), (HIDDEN, {"file-odirect", "btrfs-nodatacow-file"})):
        async with observer(StorageRules(roots=(str(root),)), directories_in(scratch / f"eyes-{len(prefix)}"), prefix=prefix) as eyes:
            evidence = await eyes.read_back(back, lambda done, total: None)
        assert (evidence.reasons, evidence.via in via) == ((), True), evidence
        assert evidence.bytes_verified >= 64 * BLOCK
    filesystem.unmount()
    assert filesystem.count(markers.prefix) == 0


async def test_what_is_read_from_the_cache_is_no_evidence(raw_fs: MakeFilesystem, markers: Markers, scratch: Path) -> None:
    """Where the device cannot be opened and somebody keeps the file in the page cache, the read is not shown to come from below: readback-impossible."""
    filesystem = raw_fs("ext4")
    root = filesystem.mount_point
    assert root is not None
    path = image(root, markers)
    back = erase(path)
    locked = subprocess.Popen([sys.executable, "-c", KEEPER, str(path)], stdout=subprocess.PIPE)
    try:
        assert locked.stdout is not None
        assert locked.stdout.readline() == b"locked\n"
        async with observer(StorageRules(roots=(str(root),)), directories_in(scratch / "eyes"), prefix=HIDDEN) as eyes:
            evidence = await eyes.read_back(back, lambda done, total: None)
    finally:
        locked.kill()
        locked.wait()
        if locked.stdout is not None:
            locked.stdout.close()
    assert (evidence.via, evidence.reasons) == ("", ("readback-impossible",))


def test_a_copy_by_reflink_is_called_shared(raw_fs: MakeFilesystem, markers: Markers) -> None:
    """XFS: the plan's word for a disk that somebody copied with `cp --reflink`."""
    filesystem = raw_fs("xfs")
    root = filesystem.mount_point
    assert root is not None
    path = image(root, markers)
    subprocess.run(["cp", "--reflink=always", path, root / "copy"], check=True)
    subprocess.run(["sync"], check=True)
    assert layer_of(path, root).extents is not None
    assert "shared" in layer_of(path, root).extents.flags  # type: ignore[union-attr]


async def test_a_file_whose_birth_the_filesystem_does_not_keep_is_nobodys_by_memory(raw_fs: MakeFilesystem, tmp_path: Path) -> None:
    """ext4 with inodes of 128 bytes: what was remembered or classified of a path and a number may be of a file that is gone, so neither counts."""
    root = raw_fs("ext4", mkfs_options=("-I", "128")).mount_point
    assert root is not None
    path = root / "disk.raw"
    path.write_bytes(bytes(4096))
    assert born_ns(str(path)) is None
    libvirt = LibvirtFiles(tmp_path / "host")
    identity = identity_of(path.stat())
    await SheetFiles(libvirt.directories).remember(
        Memory(UUID, 1, datetime.now(UTC), ""), (RememberedFile(ArtefactKind.DISK_IMAGE, str(path), identity, local=True),)
    )
    step = LockStep("a1", ArtefactKind.DISK_IMAGE, str(path), "raw", identity, ".wiped-1")
    with pytest.raises(RefusedError) as error:
        claims_for(Lock("w-1", UUID, "phone", (step,), vanished=True), StorageRules(roots=(str(root),)), libvirt.directories)
    assert error.value.codes == ("ambiguous-base",)
    libvirt.classify(str(path), "private")
    assert read_classified(libvirt.directories.classified) == {}
    libvirt.classify(str(path), "golden")
    assert [found.as_ for found in read_classified(libvirt.directories.classified).values()] == ["golden"]
