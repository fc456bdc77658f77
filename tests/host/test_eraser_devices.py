"""Block devices as phones' disks, on real loop devices and partitions: searched in the raw file behind them; and every reason not to touch one."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.host.eraser_stage import Stage, digest, erase, prove, random_file, run, step
from tests.lab.libvirtfiles import Disk
from tests.lab.rawdevice import BLOCK, MIB, Markers, marked_blocks
from tests.patience import PATIENCE
from wiped.errors import HelperError, RefusedError
from wiped.model.inventory import ArtefactKind
from wiped.model.outcome import Evidence
from wiped.wire.messages import Lock

SIZE = 8 * MIB
FIRST, PART = 2048, 8192  # sectors: two partitions of 4 MiB


@dataclass(frozen=True)
class BlockDisk(Disk):
    """A `<disk type='block'>`."""

    format: str = "raw"

    def xml(self, number: int) -> str:
        return super().xml(number).replace("type='file'", "type='block'").replace("<source file=", "<source dev=")


class Loops:
    """Loop devices made for one test."""

    def __init__(self) -> None:
        self.made: list[tuple[str, Path]] = []
        self.nodes: list[str] = []

    def show(self, image: Path, *options: str) -> str:
        """A loop device on an image."""
        device = run("losetup", "--find", "--show", *options, str(image)).strip()
        self.made.append((device, image))
        return device

    def parts(self, image: Path) -> tuple[str, str, str]:
        """A disk with two partitions of 4 MiB on a new image: (disk, first, second)."""
        with image.open("xb") as file:
            file.truncate(16 * MIB)
            for number in range(2):
                file.seek(446 + 16 * number)
                file.write(struct.pack("<B3sB3sII", 0, b"", 0x83, b"", FIRST + number * PART, PART))
            file.seek(510)
            file.write(b"\x55\xaa")
        device = self.show(image, "--partscan")
        for number in (1, 2):
            if not os.path.exists(f"/sys/class/block/{os.path.basename(device)}p{number}"):
                run("addpart", device, str(number), str(FIRST + (number - 1) * PART), str(PART))
            if not os.path.exists(f"{device}p{number}"):
                major, minor = Path(f"/sys/class/block/{os.path.basename(device)}p{number}/dev").read_text().split(":")
                os.mknod(f"{device}p{number}", 0o600 | 0o060000, os.makedev(int(major), int(minor)))
                self.nodes.append(f"{device}p{number}")
        return device, f"{device}p1", f"{device}p2"

    def close(self) -> None:
        """Unmount what is mounted from them, and detach them all."""
        devices = tuple(device for device, _ in self.made)
        for line in Path("/proc/self/mounts").read_text().splitlines():
            source, where, *_ = line.split()
            if any(source == device or source.startswith(f"{device}p") for device in devices):
                subprocess.run(["umount", where], check=False, capture_output=True)
        for node in self.nodes:
            Path(node).unlink(missing_ok=True)
        for device, image in reversed(self.made):
            shown = Path(f"/sys/block/{os.path.basename(device)}/loop/backing_file")
            until = time.monotonic() + PATIENCE
            while shown.exists() and shown.read_text().strip() == str(image) and time.monotonic() < until:
                subprocess.run(["losetup", "--detach", device], check=False, capture_output=True)
                time.sleep(0.02)


@pytest.fixture
def loops() -> Iterator[Loops]:
    made = Loops()
    yield made
    made.close()


@pytest.fixture
def stage(scratch: Path) -> Stage:
    return Stage(scratch)


def plan(uuid: str, *paths: str, name: str = "mine") -> Lock:
    """A plan over devices."""
    return Lock("w", uuid, name, tuple(step(path, kind=ArtefactKind.BLOCK_DEVICE) for path in paths))


async def wipe(stage: Stage, request: Lock, *roots: str) -> tuple[str, ...]:
    """What a daemon without scruples gets, with these devices as roots; the codes of a refusal."""
    try:
        async with stage.eraser(roots=(*stage.rules.roots, *roots)).session() as session:
            await session.lock(request)
            for each in request.steps:
                result = await erase(session, each)
                assert result.reasons == ()
                await session.remove(each.artefact_id, prove(each, result))
    except RefusedError as error:
        return error.codes
    return ()


def disk(path: Path, size: int = SIZE, blocks: int = 500) -> Markers:
    """A new image with marked blocks, the last one among them."""
    markers = Markers()
    with path.open("xb") as file:
        file.truncate(size)
    markers.write(path, blocks, at_block=3)
    markers.write(path, 1, at_block=size // BLOCK - 1)
    return markers


async def test_a_loop_device_is_wiped_whole(stage: Stage, loops: Loops, scratch: Path) -> None:
    """Its markers, the last block's too, are in the raw file before, and none after; the node stays."""
    image = scratch / "device.img"
    markers = disk(image)
    device = loops.show(image)
    uuid = stage.files.define("mine", [BlockDisk(device)])
    assert marked_blocks(image, markers.prefix) == 501
    assert await wipe(stage, plan(uuid, device), device) == ()
    os.sync()
    assert marked_blocks(image, markers.prefix) == 0
    assert image.stat().st_size == SIZE
    assert os.path.exists(device)


async def test_one_partition_is_wiped_and_its_neighbour_is_not(stage: Stage, loops: Loops, scratch: Path) -> None:
    """Two phones on two partitions of one disk: the plan's one is gone, the other's bytes and the partition table are as they were."""
    image = scratch / "disk.img"
    _, one, two = loops.parts(image)
    mine, theirs = Markers(), Markers()
    for path, markers in ((one, mine), (two, theirs)):
        with open(path, "r+b") as file:
            file.write(b"".join(markers.block(number) for number in range(PART * 512 // BLOCK)))
            os.fsync(file.fileno())
    uuid = stage.files.define("mine", [BlockDisk(one)])
    stage.files.define("theirs", [BlockDisk(two)])
    table = image.read_bytes()[: FIRST * 512]
    assert (marked_blocks(image, mine.prefix), marked_blocks(image, theirs.prefix)) == (1024, 1024)
    assert await wipe(stage, plan(uuid, one), one) == ()
    os.sync()
    assert (marked_blocks(image, mine.prefix), marked_blocks(image, theirs.prefix)) == (0, 1024)
    assert image.read_bytes()[: FIRST * 512] == table


async def test_a_link_of_udevs_leads_to_the_device(stage: Stage, loops: Loops, scratch: Path) -> None:
    """As /dev/vg/lv does: below a root in /dev, owned by root, resolved within /dev; the number is compared."""
    image = scratch / "device.img"
    markers = disk(image)
    device = loops.show(image)
    folder = Path(f"/dev/wiped-test-{os.getpid()}")
    folder.mkdir(mode=0o755)
    try:
        (folder / "lv").symlink_to(f"../{os.path.basename(device)}")
        (folder / "out").symlink_to(image)
        uuid = stage.files.define("mine", [BlockDisk(f"{folder}/lv"), BlockDisk(f"{folder}/out")])
        before = digest(image)
        assert "symlink" in await wipe(stage, plan(uuid, f"{folder}/out"), str(folder))
        assert await wipe(stage, plan(uuid, f"{folder}/lv")) == ("outside-roots",)
        assert digest(image) == before
        assert await wipe(stage, plan(uuid, f"{folder}/lv"), str(folder)) == ()
        assert marked_blocks(image, markers.prefix) == 0
    finally:
        for name in ("lv", "out"):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


@dataclass
class Case:
    """What a guard is tried on: `image` behind `device`, which the phone `uuid` has; further roots; the codes to expect."""

    request: Lock
    victim: Path
    codes: set[str]
    roots: tuple[str, ...]
    rules: dict[str, object]


def case(stage: Stage, loops: Loops, codes: set[str], *, extra: str = "", path: str = "") -> tuple[Case, str]:
    image = stage.outside / "device.img"
    disk(image)
    device = loops.show(image)
    uuid = stage.files.define("mine", [BlockDisk(path or device, extra=extra)])
    return Case(plan(uuid, path or device), image, codes, (device,), {}), device


def the_whole_disk_of_a_neighbours_partition(stage: Stage, loops: Loops) -> Case:
    image = stage.outside / "disk.img"
    device, one, _ = loops.parts(image)
    stage.files.define("theirs", [BlockDisk(one)])
    return Case(plan(stage.files.define("mine", [BlockDisk(device)]), device), image, {"shared-by-domain"}, (device,), {})


def a_partition_of_a_neighbours_disk(stage: Stage, loops: Loops) -> Case:
    image = stage.outside / "disk.img"
    device, one, _ = loops.parts(image)
    stage.files.define("theirs", [BlockDisk(device)])
    return Case(plan(stage.files.define("mine", [BlockDisk(one)]), one), image, {"shared-by-domain"}, (one,), {})


def a_partition_of_a_disk_whose_file_is_a_neighbours(stage: Stage, loops: Loops) -> Case:
    image = stage.outside / "disk.img"
    _, one, _ = loops.parts(image)
    stage.files.define("theirs", [Disk(str(image), "raw")])
    return Case(plan(stage.files.define("mine", [BlockDisk(one)]), one), image, {"shared-by-domain"}, (one,), {})


def the_file_behind_is_a_neighbours(stage: Stage, loops: Loops) -> Case:
    found, _ = case(stage, loops, {"shared-by-domain"})
    stage.files.define("theirs", [Disk(str(found.victim), "raw")])
    return found


def the_file_behind_is_a_neighbours_base(stage: Stage, loops: Loops) -> Case:
    found, _ = case(stage, loops, {"shared-by-domain"})
    top = stage.images / "top.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(found.victim), str(top))
    stage.files.define("theirs", [Disk(str(top))])
    return found


def a_neighbour_names_it_by_another_node(stage: Stage, loops: Loops) -> Case:
    found, device = case(stage, loops, {"shared-by-domain"})
    node = stage.outside / "node"
    os.mknod(node, os.stat(device).st_mode, os.stat(device).st_rdev)
    stage.files.define("theirs", [BlockDisk(str(node))])
    return found


def a_neighbour_mentions_it(stage: Stage, loops: Loops) -> Case:
    found, device = case(stage, loops, {"shared-by-domain"})
    stage.files.define("theirs", devices=f"<controller type='scsi'><address other='file={device},if=none'/></controller>")
    return found


def a_file_of_ours_behind_a_neighbours_device(stage: Stage, loops: Loops) -> Case:
    image = random_file(stage.images / "mine.raw", SIZE)
    device = loops.show(image)
    stage.files.define("theirs", [BlockDisk(device)])
    uuid = stage.files.define("mine", [Disk(str(image), "raw")])
    return Case(stage.request(uuid, "mine", [image]), image, {"shared-by-domain"}, (), {})


def mounted(stage: Stage, loops: Loops) -> Case:
    found, device = case(stage, loops, {"mounted"})
    run("mkfs.ext4", "-q", "-F", device)
    (stage.base / "m").mkdir()
    run("mount", "-o", "ro,noload", device, str(stage.base / "m"))
    return found


def a_partition_of_it_is_mounted(stage: Stage, loops: Loops) -> Case:
    image = stage.outside / "disk.img"
    device, one, _ = loops.parts(image)
    run("mkfs.ext4", "-q", "-F", one)
    (stage.base / "m").mkdir()
    run("mount", "-o", "ro,noload", one, str(stage.base / "m"))
    return Case(plan(stage.files.define("mine", [BlockDisk(device)]), device), image, {"mounted"}, (device,), {})


def a_loop_device_on_it(stage: Stage, loops: Loops) -> Case:
    found, device = case(stage, loops, {"in-use"})
    loops.made.append((run("losetup", "--find", "--show", device).strip(), Path(device)))
    return found


def shareable(stage: Stage, loops: Loops) -> Case:
    return case(stage, loops, {"shareable-disk"}, extra="<shareable/>")[0]


def readonly(stage: Stage, loops: Loops) -> Case:
    return case(stage, loops, {"ambiguous-base"}, extra="<readonly/>")[0]


def not_in_the_xml(stage: Stage, loops: Loops) -> Case:
    found, device = case(stage, loops, {"ambiguous-base", "not-regular"})
    uuid = stage.files.define("other")
    found.request = plan(uuid, device, name="other")
    (stage.files.config / "mine.xml").unlink()
    return found


def a_file_disk_that_is_a_device(stage: Stage, loops: Loops) -> Case:
    found, device = case(stage, loops, {"not-regular"})
    stage.files.define("mine", [Disk(device, "raw")], uuid=found.request.uuid)
    return found


def outside_the_roots(stage: Stage, loops: Loops) -> Case:
    found, _ = case(stage, loops, {"outside-roots"})
    found.roots = ()
    return found


def protected(stage: Stage, loops: Loops) -> Case:
    found, device = case(stage, loops, {"protected-root"})
    folder = Path(device).parent
    found.rules = {"protected": (str(stage.golden), str(folder))}
    return found


def a_node_outside_dev(stage: Stage, loops: Loops) -> Case:
    image = stage.outside / "device.img"
    disk(image)
    device = loops.show(image)
    node = stage.images / "node"
    os.mknod(node, os.stat(device).st_mode, os.stat(device).st_rdev)
    uuid = stage.files.define("mine", [BlockDisk(str(node))])
    return Case(plan(uuid, str(node)), image, {"outside-roots"}, (device,), {})


def another_number(stage: Stage, loops: Loops) -> Case:
    found, _device = case(stage, loops, {"identity-changed"})
    other = loops.show(random_file(stage.outside / "other.img", SIZE))
    first = found.request.steps[0]
    found.request = Lock("w", found.request.uuid, "mine", (step(first.location, kind=ArtefactKind.BLOCK_DEVICE, identity=device_identity(other)),))
    return found


def device_identity(path: str) -> object:
    return step(path).identity


def gone_from_sysfs(stage: Stage, loops: Loops) -> Case:
    path = f"/dev/wiped-none-{os.getpid()}"
    uuid = stage.files.define("mine", [BlockDisk(path)])
    return Case(plan(uuid, path), random_file(stage.images / "bystander"), {"missing"}, (path,), {})


GUARDS = [
    the_whole_disk_of_a_neighbours_partition,
    a_partition_of_a_neighbours_disk,
    a_partition_of_a_disk_whose_file_is_a_neighbours,
    the_file_behind_is_a_neighbours,
    the_file_behind_is_a_neighbours_base,
    a_neighbour_names_it_by_another_node,
    a_neighbour_mentions_it,
    a_file_of_ours_behind_a_neighbours_device,
    mounted,
    a_partition_of_it_is_mounted,
    a_loop_device_on_it,
    shareable,
    readonly,
    not_in_the_xml,
    a_file_disk_that_is_a_device,
    outside_the_roots,
    protected,
    a_node_outside_dev,
    another_number,
    gone_from_sysfs,
]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
async def test_a_device_that_must_not_be_touched(stage: Stage, loops: Loops, guard: Callable[[Stage, Loops], Case]) -> None:
    """The eraser refuses by itself, with the right code, and the victim keeps every byte."""
    found = guard(stage, loops)
    os.sync()
    before = digest(found.victim)
    rules = {"roots": (*stage.rules.roots, *found.roots), **found.rules}
    stage.rules = type(stage.rules)(**rules)
    assert set(await wipe(stage, found.request, *found.roots)) == found.codes
    os.sync()
    assert digest(found.victim) == before


@pytest.mark.parametrize("how", ["reader", "qemu", "qemu without locks"])
async def test_a_device_that_somebody_has_open_is_refused(stage: Stage, loops: Loops, scratch: Path, how: str) -> None:
    """By QEMU's lock, or seen among every process's open files, also through another node as a QEMU in its own /dev has it."""
    image = scratch / "device.img"
    disk(image)
    device = loops.show(image)
    node = scratch / "node"
    os.mknod(node, os.stat(device).st_mode, os.stat(device).st_rdev)
    uuid = stage.files.define("mine", [BlockDisk(device)])
    argv = {
        "reader": [sys.executable, "-c", f"f = open({str(node)!r}, 'rb'); print('open', flush=True); input()"],
        "qemu": ["qemu-io", "-f", "raw", device],
        "qemu without locks": ["qemu-io", "-r", "--image-opts", f"driver=raw,file.driver=host_device,file.locking=off,file.filename={node}"],
    }[how]
    before = digest(image)
    holder = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdin is not None
        assert holder.stdout is not None
        if how == "reader":
            holder.stdout.readline()
        else:
            holder.stdin.write("info\n")
            holder.stdin.flush()
            time.sleep(1)
            assert holder.poll() is None
        assert await wipe(stage, plan(uuid, device), device) == ("in-use",)
        assert digest(image) == before
    finally:
        holder.kill()
        holder.communicate()
    assert await wipe(stage, plan(uuid, device), device) == ()


async def test_what_comes_between_lock_and_first_byte_stops_the_erasing(stage: Stage, loops: Loops, scratch: Path) -> None:
    """A loop device on it, or a neighbour that was defined meanwhile: asked again, nothing is written."""
    for trick, expected in (("loop", "in-use"), ("neighbour", "shared-by-domain")):
        image = scratch / f"{trick}.img"
        disk(image)
        device = loops.show(image)
        uuid = stage.files.define(trick, [BlockDisk(device)])
        request, before = plan(uuid, device, name=trick), digest(image)
        async with stage.eraser(roots=(device,)).session() as session:
            await session.lock(request)
            if trick == "loop":
                loops.made.append((run("losetup", "--find", "--show", "--read-only", device).strip(), Path(device)))
            else:
                stage.files.define("theirs", [Disk(str(image), "raw")])
            with pytest.raises(RefusedError) as caught:
                await erase(session, request.steps[0])
        assert expected in caught.value.codes
        assert digest(image) == before


async def test_the_lock_keeps_mounts_and_qemu_away(stage: Stage, loops: Loops, scratch: Path) -> None:
    """While the eraser holds a device, it can be neither mounted nor started by a QEMU that goes by the same node."""
    image = scratch / "device.img"
    disk(image)
    device = loops.show(image)
    run("mkfs.ext4", "-q", "-F", device)
    (scratch / "m").mkdir()
    request = plan(stage.files.define("mine", [BlockDisk(device)]), device)
    async with stage.eraser(roots=(device,)).session() as session:
        await session.lock(request)
        assert subprocess.run(["mount", device, str(scratch / "m")], check=False, capture_output=True).returncode != 0
        assert "lock" in subprocess.run(["qemu-io", "-f", "raw", "-c", "read 0 512", device], check=False, capture_output=True, text=True).stderr
        await session.leave(request.steps[0].artefact_id)
    run("mount", device, str(scratch / "m"))
    run("umount", str(scratch / "m"))


async def test_a_device_is_not_given_back_without_proof(stage: Stage, loops: Loops, scratch: Path) -> None:
    """A discard before the read-back would take the evidence away."""
    image = scratch / "device.img"
    disk(image)
    device = loops.show(image)
    request = plan(stage.files.define("mine", [BlockDisk(device)]), device)
    async with stage.eraser(roots=(device,)).session() as session:
        await session.lock(request)
        result = await erase(session, request.steps[0])
        written = digest(image)
        short = Evidence(request.steps[0].artefact_id, "file-odirect", SIZE - 1, 0, result.digest_after)
        with pytest.raises(HelperError, match="no proof"):
            await session.remove(request.steps[0].artefact_id, short)
        assert digest(image) == written
        await session.remove(request.steps[0].artefact_id, prove(request.steps[0], result))


async def test_a_resumed_wipe_of_a_device_goes_on(stage: Stage, loops: Loops, scratch: Path) -> None:
    """After a crash the device is found again by its number, erased again, and given back."""
    image = scratch / "device.img"
    markers = disk(image)
    device = loops.show(image)
    uuid = stage.files.define("mine", [BlockDisk(device)])
    request = plan(uuid, device)
    async with stage.eraser(roots=(device,)).session() as session:
        await session.lock(request)
        await erase(session, request.steps[0])
    again = Lock("w", uuid, "mine", request.steps, resumed=True)
    assert await wipe(stage, again, device) == ()
    assert marked_blocks(image, markers.prefix) == 0


async def test_a_phone_with_files_and_devices(stage: Stage, loops: Loops, scratch: Path) -> None:
    """One plan, both kinds; a second phone's plan for the same device is refused meanwhile."""
    image = scratch / "device.img"
    markers = disk(image)
    device = loops.show(image)
    file = random_file(stage.images / "d.raw")
    uuid = stage.files.define("mine", [BlockDisk(device), Disk(str(file), "raw")])
    request = Lock("w", uuid, "mine", (step(device, kind=ArtefactKind.BLOCK_DEVICE), step(file)))
    async with stage.eraser(roots=(*stage.rules.roots, device)).session() as first:
        await first.lock(request)
        async with stage.eraser(roots=(*stage.rules.roots, device)).session() as second:
            with pytest.raises(RefusedError) as caught:
                await second.lock(request)
        assert set(caught.value.codes) == {"in-use"}
    assert await wipe(stage, request, device) == ()
    assert marked_blocks(image, markers.prefix) == 0
    assert not file.exists()
