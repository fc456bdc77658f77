"""Loop devices as phones' disks: what they are, who has them, how they are opened, and that all of one is overwritten and read back."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.rawdevice import BLOCK, MIB, Markers, RawFilesystem, marked_blocks
from tests.patience import PATIENCE
from wiped.decide.provable import provability_reasons
from wiped.errors import RefusedError, StorageError
from wiped.model.inventory import FileIdentity, LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.storage.artefacts import map_artefact
from wiped.storage.blockdev import (
    aliases,
    block_facts,
    block_filesystem,
    block_protected,
    discard,
    open_block,
    prove_alone,
    resolve_block,
    stack_identities,
    whole_device_map,
)
from wiped.storage.direct import compare_ranges, write_ranges
from wiped.storage.filesystems import filesystem_facts
from wiped.storage.image_chain import look_at_layer, names_reached, walk_chain
from wiped.storage.kernel import identity_of
from wiped.storage.keystream import Keystream
from wiped.storage.locks import is_locked, lock_image

STREAM = Keystream(bytes(range(32)), "artefact", 1)
MakeLoop = Callable[..., str]


def losetup(*argv: str) -> str:
    """losetup(8)."""
    return subprocess.run(["losetup", *argv], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def loop(scratch: Path) -> Iterator[MakeLoop]:
    """``loop(path, size, *options)``: a loop device on a new (or existing) file, detached at the end."""
    made: list[tuple[str, Path]] = []

    def make(path: Path, size: int = 8 * MIB, *options: str) -> str:
        if not path.exists():
            with path.open("xb") as file:
                file.truncate(size)
        made.append((losetup("--find", "--show", *options, str(path)), path))
        return made[-1][0]

    yield make
    for device, path in reversed(made):
        detach(device, path)


def detach(device: str, path: Path | str) -> None:
    """Detach the device if it still shows this file (its number may be another test's by now), and wait until it does not."""
    backing = Path(f"/sys/block/{os.path.basename(device)}/loop/backing_file")
    deadline = time.monotonic() + PATIENCE
    while backing.exists() and backing.read_text().startswith(f"{path}\n".rstrip()) and time.monotonic() < deadline:
        subprocess.run(["losetup", "--detach", device], check=False, capture_output=True)
        time.sleep(0.02)


def codes(device: str) -> list[str]:
    """Codes of the claims on a device."""
    return [code for code, _ in block_facts(device).claims]


def file_identity(path: Path) -> FileIdentity:
    """Of a regular file."""
    return identity_of(path.stat())


def test_facts_of_a_loop_device(scratch: Path, loop: MakeLoop) -> None:
    """Kind, size, backing file, and no claims; its identity is its number, and the file is its alias."""
    image = scratch / "disk img"
    device = loop(image, 10 * MIB + 512)
    found, number = block_facts(device), os.stat(device).st_rdev
    assert (found.kind, found.size_bytes, found.logical_block, found.backing_file) == ("loop", 10 * MIB + 512, 512, str(image))
    assert (found.claims, found.stacked) == ((), (f"{os.major(number)}:{os.minor(number)}",))
    assert aliases(found) == {file_identity(image)}
    assert stack_identities(found) == {file_identity(image), FileIdentity(number, 0)}
    assert identity_of(os.stat(device)) == FileIdentity(number, 0)


@pytest.mark.parametrize(("size", "sector"), [(4 * MIB, 512), (4 * MIB + 512, 512), (4 * MIB + 7 * 512, 512), (4 * MIB + 4096, 4096)])
def test_every_byte_is_overwritten_and_read_back(scratch: Path, loop: MakeLoop, markers: Markers, size: int, sector: int) -> None:
    """Sizes that are no multiple of 4,096, and 4 KiB sectors: markers to the very last sector are gone, and one flipped byte there is found."""
    image = scratch / "disk"
    data = b"".join(markers.block(number) for number in range(-(-size // BLOCK)))[:size]
    image.write_bytes(data)
    device = loop(image, size, "--sector-size", str(sector))
    before = marked_blocks(image, markers.prefix)
    assert before == -(-size // BLOCK)
    with open_block(device, None, write=True, exclusive=True) as disk:
        found = map_artefact(disk.fd, StorageRules(), LibvirtDirectories())
        assert (found.reasons, found.block, found.facts.fs_type, list(found.extents.iter_ranges())) == ((), True, "block", [(0, 0, size)])
        prove_alone(disk.fd)
        lock_image(disk.fd)
        assert write_ranges(disk.fd, found.extents, STREAM, chunk=1 << 20) == size
        os.fsync(disk.fd)
        disk.check(disk.identity)
    with open_block(device, disk.identity, write=False, exclusive=False) as disk:
        result = compare_ranges(disk.fd, whole_device_map(disk.fd), STREAM, physical=True)
        assert (result.bytes, result.proven) == (size, True)
    with open(device, "r+b", buffering=0) as raw:
        raw.seek(size - sector)
        raw.write(b"\xff" * sector)
        os.fsync(raw.fileno())
    with open_block(device, disk.identity, write=False, exclusive=False) as disk:
        assert compare_ranges(disk.fd, whole_device_map(disk.fd), STREAM, physical=True).mismatches == 1
    assert marked_blocks(image, markers.prefix) == 0


def test_discard_frees_the_file_under_a_loop_device(scratch: Path, loop: MakeLoop) -> None:
    """BLKDISCARD punches the backing file; where there is no device to discard it says so and does not raise."""
    image = scratch / "disk"
    image.write_bytes(os.urandom(4 * MIB))
    with open_block(loop(image), None, write=True, exclusive=True) as disk:
        assert discard(disk.fd) is True
    assert image.stat().st_blocks == 0
    with image.open("r+b") as file:
        assert discard(file.fileno()) is False


def test_a_mounted_device_is_claimed(raw_fs: Callable[..., RawFilesystem]) -> None:
    """By mountinfo, before anything is opened; and the exclusive opening refuses too."""
    for kind in ("ext4", "btrfs"):
        filesystem = raw_fs(kind)
        assert codes(filesystem.device)[0] == "mounted"
        with pytest.raises(RefusedError) as caught:
            open_block(filesystem.device, None, write=True, exclusive=True)
        assert caught.value.codes == ("in-use",)


def test_swap_is_claimed(scratch: Path, loop: MakeLoop) -> None:
    """A device that the host swaps to."""
    image = scratch / "swap"
    image.write_bytes(bytes(16 * MIB))
    device = loop(image)
    subprocess.run(["mkswap", "-q", device], check=True, capture_output=True)
    if subprocess.run(["swapon", device], check=False, capture_output=True).returncode != 0:
        pytest.skip("this kernel takes no swap on a loop device")
    try:
        assert "mounted" in codes(device)
    finally:
        subprocess.run(["swapoff", device], check=True)


def test_another_loop_device_on_the_same_file_is_a_claim(scratch: Path, loop: MakeLoop) -> None:
    """Two devices show the same bytes: neither is anybody's alone."""
    one, two = loop(scratch / "disk"), loop(scratch / "disk")
    assert (codes(one), codes(two)) == (["in-use"], ["in-use"])


def test_a_loop_device_on_a_device_is_a_claim_and_a_stack(scratch: Path, loop: MakeLoop) -> None:
    """The lower one is in use; each reaches the other, and the file."""
    lower = loop(scratch / "disk")
    upper = losetup("--find", "--show", lower)
    try:
        below, above = block_facts(lower), block_facts(upper)
        assert codes(lower) == ["in-use"]
        assert set(below.stacked) == set(above.stacked) == {below.number, above.number}
        assert aliases(above) == {file_identity(scratch / "disk")}
        assert above.backing_file == lower
        assert names_reached(upper, "raw").identities >= {identity_of(os.stat(lower)), file_identity(scratch / "disk")}
    finally:
        detach(upper, lower)


def test_partitions(scratch: Path, loop: MakeLoop) -> None:
    """A partition and its disk reach each other; a mounted partition claims the disk; a sibling is not reached."""
    image = scratch / "disk"
    with image.open("xb") as file:  # an MBR with two partitions of 20 MiB
        file.truncate(64 * MIB)
        for number in range(2):
            file.seek(446 + 16 * number)
            file.write(struct.pack("<B3sB3sII", 0, b"", 0x83, b"", 2048 + number * 40960, 40960))
        file.seek(510)
        file.write(b"\x55\xaa")
    device = loop(image, 0, "--partscan")
    one, two = f"{device}p1", f"{device}p2"
    for number, part in enumerate((one, two), start=1):
        if not os.path.exists(f"/sys/class/block/{os.path.basename(part)}"):  # a kernel that reads no partition tables
            subprocess.run(["addpart", device, str(number), str(2048 + (number - 1) * 40960), "40960"], check=True)
        _ensure_node(part)
    disk, first, second = block_facts(device), block_facts(one), block_facts(two)
    assert (disk.kind, first.kind, first.size_bytes, first.backing_file) == ("loop", "partition", 20 * MIB, str(image))
    assert set(disk.stacked) == {disk.number, first.number, second.number}
    assert set(first.stacked) == {first.number, disk.number}
    assert aliases(first) == {file_identity(image)}
    assert (disk.claims, first.claims) == ((), ())
    subprocess.run(["mkfs.ext4", "-q", "-F", one], check=True)
    (scratch / "m").mkdir()
    subprocess.run(["mount", one, str(scratch / "m")], check=True)
    try:
        assert (codes(device), codes(one), codes(two)) == (["mounted"], ["mounted"], [])
    finally:
        subprocess.run(["umount", str(scratch / "m")], check=True)
    assert identity_of(os.stat(two)) in names_reached(device, "raw").identities
    assert identity_of(os.stat(two)) not in names_reached(one, "raw").identities
    for part in (one, two):
        Path(part).unlink(missing_ok=True)


def _ensure_node(part: str) -> None:
    """Without udev, devtmpfs makes the node; in a container perhaps nobody does."""
    if not os.path.exists(part):
        major, minor = Path(f"/sys/class/block/{os.path.basename(part)}/dev").read_text().split(":")
        os.mknod(part, 0o600 | 0o060000, os.makedev(int(major), int(minor)))


def test_another_process_that_has_the_device_open_is_found(scratch: Path, loop: MakeLoop) -> None:
    """Opened by a plain reader, under another name in its own /dev: O_EXCL does not see it, the look at all processes does."""
    device = loop(scratch / "disk")
    number = os.stat(device).st_rdev
    other = scratch / "node"
    os.mknod(other, 0o600 | 0o060000, number)
    with open_block(device, None, write=True, exclusive=True) as disk:
        prove_alone(disk.fd)
        with other.open("rb", buffering=0) as node:
            reader = subprocess.Popen(["sleep", "60"], stdin=node)
        try:
            with pytest.raises(RefusedError, match=str(reader.pid)) as caught:
                prove_alone(disk.fd)
            assert caught.value.codes == ("in-use",)
        finally:
            reader.kill()
            reader.wait()


def test_qemus_lock_on_a_device_is_seen(scratch: Path, loop: MakeLoop) -> None:
    """QEMU takes the same locks on a device node as on a file."""
    device = loop(scratch / "disk")
    qemu = subprocess.Popen(["qemu-io", "-f", "raw", device], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert qemu.stdin is not None
        qemu.stdin.write("write 0 4096\n")
        qemu.stdin.flush()
        assert qemu.stdout is not None
        while "wrote" not in qemu.stdout.readline():
            pass
        with open_block(device, None, write=True, exclusive=False) as disk:
            assert is_locked(disk.fd)
            with pytest.raises(RefusedError) as caught:
                lock_image(disk.fd)
            assert caught.value.codes == ("in-use",)
    finally:
        qemu.communicate("quit\n")


@pytest.fixture
def dev_directory() -> Iterator[Path]:
    """A directory of our own below /dev, as a volume group has one."""
    path = Path(f"/dev/wiped-test-{os.getpid()}")
    path.mkdir(mode=0o755)
    yield path
    for entry in path.iterdir():
        entry.unlink()
    path.rmdir()


def test_udevs_links_are_followed_below_dev_alone(scratch: Path, loop: MakeLoop, dev_directory: Path) -> None:
    """Root's links in directories that nobody else can write; not into /dev from elsewhere, not out of it, not somebody else's."""
    device = loop(scratch / "disk")
    (dev_directory / "lv").symlink_to(f"../{os.path.basename(device)}")
    (dev_directory / "chain").symlink_to("lv")
    assert resolve_block(str(dev_directory / "lv")) == resolve_block(str(dev_directory / "chain")) == device
    (scratch / "link").symlink_to(device)
    (dev_directory / "out").symlink_to(scratch / "link")
    (dev_directory / "theirs").symlink_to(device)
    os.chown(dev_directory / "theirs", 1000, 1000, follow_symlinks=False)
    (dev_directory / "circle").symlink_to("circle")
    os.mknod(scratch / "node", 0o600 | 0o060000, os.stat(device).st_rdev)
    wrong = {
        str(scratch / "link"): "not-regular", str(scratch / "node"): "not-regular", str(dev_directory / "out"): "symlink",
        str(dev_directory / "theirs"): "symlink", str(dev_directory / "circle"): "symlink", "/dev/null": "not-regular", f"{dev_directory}/../../etc": "symlink",
    }  # fmt: skip
    seen = {}
    for path in wrong:
        with pytest.raises(RefusedError) as caught:
            resolve_block(path)
        seen[path] = caught.value.codes[0]
    assert seen == wrong
    with pytest.raises(StorageError, match="no such file"):
        resolve_block(str(dev_directory / "none"))
    dev_directory.chmod(0o777)
    with pytest.raises(RefusedError, match="others than root"):
        resolve_block(str(dev_directory / "lv"))


def test_a_link_that_leads_to_another_device_now_is_seen(scratch: Path, loop: MakeLoop, dev_directory: Path) -> None:
    """Before the opening by the plan's identity, after it by `check`."""
    one, two = loop(scratch / "one"), loop(scratch / "two")
    link = dev_directory / "lv"
    link.symlink_to(one)
    planned = identity_of(os.stat(one))
    with open_block(str(link), planned, write=True, exclusive=True) as disk:
        disk.check(planned)
        link.unlink()
        link.symlink_to(two)
        with pytest.raises(RefusedError) as caught:
            disk.check(planned)
        assert caught.value.codes == ("identity-changed",)
    with pytest.raises(RefusedError) as caught:
        open_block(str(link), planned, write=True, exclusive=True)
    assert caught.value.codes == ("identity-changed",)


def test_a_device_in_a_chain(scratch: Path, loop: MakeLoop, dev_directory: Path) -> None:
    """Facts, root by letters, protected root by the device itself; with the claim as problem; without a root for a node named elsewhere."""
    device, other = loop(scratch / "disk"), loop(scratch / "disk2")
    (dev_directory / "lv").symlink_to(device)
    layer = look_at_layer(str(dev_directory / "lv"), "raw", roots=[str(dev_directory)], protected=[], libvirt_dirs=[], with_extents=True)
    assert (layer.problem, layer.under_root, layer.identity, layer.size_bytes) == ("", str(dev_directory), identity_of(os.stat(device)), 8 * MIB)
    assert layer.block is not None
    assert layer.extents is not None
    assert (layer.block.kind, layer.extents.bytes, layer.filesystem and layer.filesystem.fs_type) == ("loop", 8 * MIB, "block")
    with open_block(device, None, write=False, exclusive=False) as disk:
        assert layer.extents.map_digest == whole_device_map(disk.fd).digest
    assert look_at_layer(device, "raw", roots=[str(dev_directory)], protected=[], libvirt_dirs=[]).under_root == ""
    assert look_at_layer(device, "raw", roots=[device], protected=[], libvirt_dirs=[]).under_root == device
    assert look_at_layer(str(dev_directory / "lv"), "raw", roots=[device], protected=[device], libvirt_dirs=[]).under_protected == device
    assert block_protected(other, block_facts(other), [str(dev_directory)]) == ""
    os.mknod(scratch / "node", 0o600 | 0o060000, os.stat(device).st_rdev)
    assert look_at_layer(str(scratch / "node"), "raw", roots=[str(scratch)], protected=[], libvirt_dirs=[]).problem == "not-regular"


def test_a_qcow2_on_a_device_shows_its_chain(scratch: Path, loop: MakeLoop) -> None:
    """The header is read as the XML states the format, by both walks; stated as raw it is not."""
    (scratch / "golden").write_bytes(bytes(1 * MIB))
    device = loop(scratch / "disk")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(scratch / "golden"), "-F", "raw", device, "1M"], check=True)
    layers = walk_chain(device, "qcow2", roots=[device], protected=[], libvirt_dirs=[])
    assert [(layer.location, layer.problem) for layer in layers] == [(device, ""), (str(scratch / "golden"), "")]
    golden = file_identity(scratch / "golden")
    assert golden in names_reached(device, "qcow2").identities
    assert golden in names_reached(device, "").identities
    assert golden not in names_reached(device, "raw").identities


def test_a_loop_device_has_the_vices_of_what_it_stands_on(raw_fs: Callable[..., RawFilesystem], loop: MakeLoop) -> None:
    """On btrfs, and on ext4 that journals data: nothing can be proven; a file that has been removed cannot be seen."""
    reasons = {}
    for kind in ("ext4", "btrfs", "btrfs-nodatacow", "ext4-journal"):
        filesystem = raw_fs(kind)
        assert filesystem.mount_point is not None
        device = loop(filesystem.mount_point / "disk", 4 * MIB)
        with open_block(device, None, write=False, exclusive=False) as disk:
            reasons[kind] = provability_reasons(block_filesystem(disk.fd))
            if kind == "ext4":
                (filesystem.mount_point / "disk").unlink()
                reasons["removed"] = provability_reasons(block_filesystem(disk.fd))
        detach(device, filesystem.mount_point / "disk")
    assert reasons == {
        "ext4": (), "btrfs": ("cow-filesystem",), "btrfs-nodatacow": (), "ext4-journal": ("journaled-data",), "removed": ("opaque-storage",)
    }  # fmt: skip


def test_a_filesystem_on_a_loop_device_has_them_too(raw_fs: Callable[..., RawFilesystem], loop: MakeLoop, scratch: Path) -> None:
    """ext4 on a loop device whose file lies on btrfs, or in ext4's journal: overwriting in place above is writing elsewhere below."""
    reasons = {}
    for kind in ("ext4", "btrfs", "btrfs-nodatacow", "ext4-journal"):
        filesystem = raw_fs(kind)
        assert filesystem.mount_point is not None
        image = filesystem.mount_point / "inner.img"
        device = loop(image, 32 * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-F", device], check=True)
        mount = scratch / f"inner-{kind}"
        mount.mkdir()
        subprocess.run(["mount", device, str(mount)], check=True)
        try:
            with (mount / "disk").open("xb") as file:
                reasons[kind] = provability_reasons(filesystem_facts(file.fileno()))
        finally:
            subprocess.run(["umount", str(mount)], check=True)
            detach(device, image)
    assert reasons == {"ext4": (), "btrfs": ("cow-filesystem",), "btrfs-nodatacow": (), "ext4-journal": ("journaled-data",)}
