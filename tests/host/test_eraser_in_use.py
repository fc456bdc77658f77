"""Whoever has an image open, for whatever reason, is noticed before the first byte; and under our locks nothing of QEMU starts."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host.eraser_stage import Stage, digest, erase, map_digest, random_file, run
from tests.lab.libvirtfiles import Disk
from tests.patience import PATIENCE

Holder = Callable[[Path, Path], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def read_only_descriptor(image: Path, scratch: Path) -> Iterator[None]:
    with image.open("rb"):
        yield


@contextlib.contextmanager
def mapping_without_descriptor(image: Path, scratch: Path) -> Iterator[None]:
    with image.open("rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with view:
        yield


@contextlib.contextmanager
def loop_device(image: Path, scratch: Path) -> Iterator[None]:
    loop = run("losetup", "-r", "-f", "--show", str(image)).strip()
    try:
        yield
    finally:
        run("losetup", "-d", loop)


@contextlib.contextmanager
def process(*argv: str, ready: Path | None = None) -> Iterator[None]:
    """A program that holds the image; `ready`: a path that it makes once it does, else a line of its output."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        try:
            if ready is None:
                assert child.stdin is not None
                assert child.stdout is not None
                child.stdin.write(b"read 0 512\n")
                child.stdin.flush()
                assert b"read 512" in child.stdout.readline()
            else:
                until = time.monotonic() + PATIENCE
                while not ready.exists() and time.monotonic() < until and child.poll() is None:
                    time.sleep(0.01)
                assert ready.exists()
            yield
        finally:
            child.kill()
            child.communicate()


def qemu_io(image: Path, scratch: Path) -> contextlib.AbstractContextManager[None]:
    return process("qemu-io", "-f", "raw", str(image))


def qemu_io_without_locks(image: Path, scratch: Path) -> contextlib.AbstractContextManager[None]:
    return process("qemu-io", "-r", "--image-opts", f"driver=raw,file.driver=file,file.locking=off,file.filename={image}")


def qemu_nbd_read_only(image: Path, scratch: Path) -> contextlib.AbstractContextManager[None]:
    socket = scratch / "nbd"
    return process("qemu-nbd", "-r", "-f", "raw", "-t", "-k", str(socket), str(image), ready=socket)


HOLDERS = [read_only_descriptor, mapping_without_descriptor, loop_device, qemu_io, qemu_io_without_locks, qemu_nbd_read_only]


@pytest.fixture(params=["ext4", "xfs"])
def stage(request: pytest.FixtureRequest, scratch: Path, raw_fs: Callable[..., object]) -> Stage:
    """Images on ext4 and on XFS."""
    images = scratch / "images"
    images.mkdir()
    raw_fs(request.param, images)
    return Stage(scratch, images)


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: holder.__name__)
async def test_an_image_in_use_is_refused(stage: Stage, scratch: Path, holder: Holder) -> None:
    """Held: `in-use`, and not one byte changes. Let go: it is wiped."""
    disk = random_file(stage.images / "d.raw")
    uuid = stage.files.define("mine", [Disk(str(disk), "raw")])
    request, before = stage.request(uuid, "mine", [disk]), digest(disk)
    with holder(disk, scratch):
        assert await stage.wipe(request) == ("in-use",)
        assert digest(disk) == before
    assert await stage.wipe(request) == ()
    assert not disk.exists()


@pytest.mark.parametrize("holder", [read_only_descriptor, qemu_io_without_locks, loop_device], ids=lambda holder: holder.__name__)
async def test_an_image_opened_after_the_lock_is_not_overwritten(stage: Stage, scratch: Path, holder: Holder) -> None:
    """Who ignores QEMU's locks can open the image after the lease was dropped: it is asked for again right before the first byte."""
    disk = random_file(stage.images / "d.raw")
    uuid = stage.files.define("mine", [Disk(str(disk), "raw")])
    request, before, extents = stage.request(uuid, "mine", [disk]), digest(disk), map_digest(disk)
    async with stage.eraser().session() as session:
        await session.lock(request)
        with holder(disk, scratch):
            result = await erase(session, request.steps[0], digest=extents)
            assert result.reasons == ("image-in-use",)
            assert result.bytes_overwritten == 0
            assert digest(disk) == before
        await session.leave(request.steps[0].artefact_id)


async def test_who_only_looks_for_a_moment_does_not_stop_the_erasing(stage: Stage) -> None:
    """The observer's own glance, or `qemu-img info`, is waited out."""
    disk = random_file(stage.images / "d.raw")
    uuid = stage.files.define("mine", [Disk(str(disk), "raw")])
    request, extents = stage.request(uuid, "mine", [disk]), map_digest(disk)
    async with stage.eraser().session() as session:
        await session.lock(request)
        with disk.open("rb") as glance:
            asyncio.get_running_loop().call_later(0.3, glance.close)
            result = await erase(session, request.steps[0], digest=extents)
        assert result.reasons == ()
        await session.leave(request.steps[0].artefact_id)


async def test_under_our_lock_no_qemu_opens_the_image(stage: Stage) -> None:
    """From `locked` until the connection ends QEMU cannot open it to write; afterwards it can."""
    disk = random_file(stage.images / "d.raw")
    uuid = stage.files.define("mine", [Disk(str(disk), "raw")])
    request = stage.request(uuid, "mine", [disk])
    qemu = ["qemu-io", "-f", "raw", "-c", "write 0 512", str(disk)]
    async with stage.eraser().session() as session:
        await session.lock(request)
        assert b"Failed to lock byte" in (await _run(qemu))[1]
        await erase(session, request.steps[0])
        assert b"Failed to lock byte" in (await _run(qemu))[1]
    assert (await _run(qemu))[0] == 0


async def test_leaving_one_artefact_unlocks_it_alone(stage: Stage) -> None:
    """`leave` gives one image back; the other stays locked."""
    disks = [random_file(stage.images / f"{number}.raw") for number in range(2)]
    uuid = stage.files.define("mine", [Disk(str(disk), "raw") for disk in disks])
    request = stage.request(uuid, "mine", disks)
    async with stage.eraser().session() as session:
        await session.lock(request)
        await session.leave(request.steps[0].artefact_id)
        statuses = [(await _run(["qemu-io", "-f", "raw", "-c", "write 0 512", str(disk)]))[0] for disk in disks]
        assert statuses[0] == 0
        assert statuses[1] != 0


async def test_a_retained_image_is_never_locked(stage: Stage) -> None:
    """A lock on a golden base would stop other phones: while the overlay is locked, the base still serves a writer."""
    golden = random_file(stage.golden / "golden.raw")
    top = stage.images / "top.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(golden), str(top))
    uuid = stage.files.define("mine", [Disk(str(top))])
    found = os.stat(golden)
    async with stage.eraser().session() as session:
        request = stage.request(uuid, "mine", [top])
        await session.lock(request)
        assert (await _run(["qemu-io", "-f", "raw", "-c", "write 0 512", str(golden)]))[0] == 0
        await session.leave(request.steps[0].artefact_id)
    assert (found.st_dev, found.st_ino) == (os.stat(golden).st_dev, os.stat(golden).st_ino)


async def _run(argv: list[str]) -> tuple[int, bytes]:
    child = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    output, _ = await child.communicate()
    assert child.returncode is not None
    return child.returncode, output
