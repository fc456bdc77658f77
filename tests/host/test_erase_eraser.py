"""The eraser on real filesystems, judged by their raw devices: markers before, none after; and nothing written where it would prove nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.host.eraser_stage import SEED, Stage, digest, erase, identity, map_digest, prove, random_file, run, step
from tests.lab.libvirtfiles import Disk, LibvirtFiles, saved_state
from tests.lab.rawdevice import BLOCK, MIB, Markers, RawFilesystem
from wiped.errors import HelperError
from wiped.model.inventory import ArtefactKind
from wiped.model.outcome import Evidence
from wiped.storage.extents import read_extents
from wiped.storage.keystream import Keystream
from wiped.wire.messages import Lock

RawFs = Callable[..., RawFilesystem]


def on(kind: str, scratch: Path, raw_fs: RawFs) -> tuple[Stage, RawFilesystem]:
    """A stage with its images on a raw filesystem of its own."""
    images = scratch / "images"
    images.mkdir()
    return Stage(scratch, images), raw_fs(kind, images)


def qcow2(path: Path, markers: Markers, blocks: int, scratch: Path, *, at_block: int = 0) -> Path:
    """A qcow2 image that holds marked blocks; the raw copy that it is made from stays off the device."""
    source = scratch / f"source-{path.name}"
    markers.write(source, blocks, at_block=at_block)
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(source), str(path))
    return path


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
async def test_everything_a_phone_leaves_is_gone_from_the_raw_device(kind: str, scratch: Path, raw_fs: RawFs) -> None:
    """Raw (sparse and preallocated), qcow2 with an internal snapshot, overlay, saved state, NVRAM, console log: found before, none after."""
    base = scratch / "device"
    base.mkdir()
    device = raw_fs(kind, base)
    images = base / "images"
    images.mkdir()
    stage = Stage(base, images, LibvirtFiles(base / "libvirt"))
    marks = {name: Markers() for name in ("sparse", "preallocated", "qcow2", "overlay", "save", "nvram", "log", "golden")}
    paths = {name: images / name for name in ("sparse", "preallocated", "qcow2", "overlay")}
    marks["sparse"].write(paths["sparse"], 300, at_block=5000)
    os.truncate(paths["sparse"], 64 * MIB)
    run("fallocate", "-l", str(8 * MIB), str(paths["preallocated"]))
    run("fallocate", "-n", "-o", str(8 * MIB), "-l", str(MIB), str(paths["preallocated"]))
    marks["preallocated"].write(paths["preallocated"], 200, at_block=1)
    qcow2(paths["qcow2"], marks["qcow2"], 500, scratch)
    run("qemu-img", "snapshot", "-c", "s1", str(paths["qcow2"]))
    marks["golden"].write(stage.golden / "golden.raw", 100)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(stage.golden / "golden.raw"), str(paths["overlay"]), "16M")
    marks["overlay"].write(scratch / "piece", 64)
    run("qemu-io", "-c", f"write -s {scratch / 'piece'} 1M 256k", str(paths["overlay"]))
    paths |= {"nvram": stage.files.state / "nvram/p_VARS.fd", "log": stage.files.logs / "p.log", "save": stage.files.state / "save/p.save"}
    marks["nvram"].write(paths["nvram"], 4)
    marks["log"].write(paths["log"], 3)
    os.truncate(paths["log"], 3 * BLOCK - 777)
    disks = [Disk(str(paths[name]), "raw" if name in ("sparse", "preallocated") else "qcow2") for name in ("sparse", "preallocated", "qcow2", "overlay")]
    uuid = stage.files.define("p", disks, nvram=str(paths["nvram"]), log=str(paths["log"]))
    paths["save"].write_bytes(saved_state("p", uuid, disks))
    marks["save"].write(paths["save"], 700, at_block=2)
    golden = digest(stage.golden / "golden.raw")

    device.unmount()
    before = {name: device.count(mark.prefix) for name, mark in marks.items()}
    device.mount(base)
    request = stage.request(uuid, "p", list(paths.values()))  # only now: the loop device, and with it `st_dev`, may be another one
    assert await stage.wipe(request) == ()
    assert not any(path.exists() for path in paths.values())
    assert sorted(path.name for path in images.iterdir()) == []
    assert digest(stage.golden / "golden.raw") == golden
    device.unmount()
    after = {name: device.count(mark.prefix) for name, mark in marks.items()}

    assert before == {"sparse": 300, "preallocated": 200, "qcow2": 500, "overlay": 64, "save": 700, "nvram": 4, "log": 3, "golden": 100}
    assert after == dict.fromkeys(marks, 0) | {"golden": 100}


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs-nodatacow"])
async def test_only_mapped_ranges_are_written_and_nothing_is_allocated(kind: str, scratch: Path, raw_fs: RawFs) -> None:
    """A sparse image of 10 GiB takes as many blocks after as before, its map is the same, and what is mapped is the keystream."""
    stage, _ = on(kind, scratch, raw_fs)
    disk = stage.images / "d.raw"
    Markers().write(disk, 64, at_block=100_000)
    os.truncate(disk, 10 << 30)
    uuid = stage.files.define("p", [Disk(str(disk), "raw")])
    request = stage.request(uuid, "p", [disk])
    blocks, extents = disk.stat().st_blocks, map_digest(disk)
    seen: list[tuple[int, int]] = []
    async with stage.eraser().session() as session:
        await session.lock(request)
        result = await erase(session, request.steps[0], progress=lambda done, total: seen.append((done, total)))
        await session.leave(request.steps[0].artefact_id)
    mapped = 64 * BLOCK
    assert (result.reasons, result.bytes_overwritten, result.passes, result.digest_before, result.digest_after) == ((), mapped, 1, extents, extents)
    assert seen[-1] == (mapped, mapped)
    assert (disk.stat().st_blocks, map_digest(disk)) == (blocks, extents)
    expected = bytearray(mapped)
    Keystream(SEED, request.steps[0].artefact_id, 1).fill(expected, 100_000 * BLOCK)
    with disk.open("rb") as file:
        file.seek(100_000 * BLOCK)
        assert file.read(mapped) == expected


@pytest.mark.parametrize("size", [0, 1 << 30])
async def test_a_file_without_blocks_is_removed_all_the_same(size: int, scratch: Path) -> None:
    """Empty, or one single hole: nothing to overwrite, nothing to prove, removed."""
    stage = Stage(scratch)
    disk = stage.images / "d.raw"
    disk.touch()
    os.truncate(disk, size)
    uuid = stage.files.define("p", [Disk(str(disk), "raw")])
    assert await stage.wipe(stage.request(uuid, "p", [disk])) == ()
    assert not disk.exists()


async def test_further_passes_come_before_the_keystream(scratch: Path) -> None:
    """Three passes count three times, and the last one is the keystream of index 3."""
    stage = Stage(scratch)
    disk = random_file(stage.images / "d.raw")
    uuid = stage.files.define("p", [Disk(str(disk), "raw")])
    request = stage.request(uuid, "p", [disk])
    async with stage.eraser().session() as session:
        await session.lock(request)
        result = await erase(session, request.steps[0], passes=3)
        assert (result.reasons, result.bytes_overwritten, result.passes) == ((), 3 << 20, 3)
        evidence = prove(request.steps[0], result, passes=3)
        assert (evidence.mismatches, evidence.bytes_verified) == (0, 1 << 20)
        await session.remove(request.steps[0].artefact_id, evidence)
    assert not disk.exists()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("btrfs", "cow-filesystem"), ("ext4-journal", "journaled-data"), ("ext4-journal-default", "journaled-data"), ("xfs", "extent-shared")],
)
async def test_where_nothing_can_be_proven_nothing_is_written(kind: str, reason: str, scratch: Path, raw_fs: RawFs) -> None:
    """Copy-on-write, journaled data (by option and as a hidden default), shared extents: the reason is told and the bytes are left."""
    stage, _ = on(kind, scratch, raw_fs)
    disk = random_file(stage.images / "d.raw")
    if reason == "extent-shared":
        run("cp", "--reflink=always", str(disk), str(stage.images / "clone"))
        os.sync()
    uuid = stage.files.define("p", [Disk(str(disk), "raw")])
    request, before = stage.request(uuid, "p", [disk]), digest(disk)
    async with stage.eraser().session() as session:
        await session.lock(request)
        result = await erase(session, request.steps[0])
        assert reason in result.reasons
        assert (result.bytes_overwritten, result.passes) == (0, 0)
        with pytest.raises(HelperError):
            await session.remove(request.steps[0].artefact_id, prove_anyway(request, result.digest_after))
        await session.leave(request.steps[0].artefact_id)
    assert digest(disk) == before


def prove_anyway(request: Lock, digest_after: str) -> Evidence:
    """Evidence that claims everything."""
    return Evidence(request.steps[0].artefact_id, "file-odirect", 1 << 20, 0, digest_after)


async def test_other_ranges_than_the_ledgers_stop_before_the_first_byte(scratch: Path) -> None:
    """I1: the ledger holds other ranges, so what would be overwritten could not be found again."""
    stage = Stage(scratch)
    disk = random_file(stage.images / "d.raw")
    uuid = stage.files.define("p", [Disk(str(disk), "raw")])
    request, before = stage.request(uuid, "p", [disk]), digest(disk)
    async with stage.eraser().session() as session:
        await session.lock(request)
        result = await erase(session, request.steps[0], digest="0" * 64)
    assert (result.reasons, result.bytes_overwritten) == (("extent-moved",), 0)
    assert digest(disk) == before


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM", "EOF"])
async def test_an_eraser_that_ends_in_the_middle_is_resumed(end: str, scratch: Path, raw_fs: RawFs, markers: Markers) -> None:
    """Half of a qcow2 is overwritten, its header with it; a new eraser finishes from what the ledger holds, and the raw device is clean."""
    stage, device = on("ext4", scratch, raw_fs)
    disk = qcow2(stage.images / "d.qcow2", markers, 12_000, scratch)
    uuid = stage.files.define("p", [Disk(str(disk))])
    device.unmount()
    assert device.count(markers.prefix) == 12_000
    device.mount(stage.images)
    request, extents = stage.request(uuid, "p", [disk]), map_digest(disk)  # only now: the loop device may be another one
    one = request.steps[0]

    async with stage.eraser(rate_limit=32 * MIB).session() as session:
        await session.lock(request)
        begun = asyncio.Event()
        erasing = asyncio.create_task(erase(session, one, digest=extents, progress=lambda done, _: begun.set() if done > 4 * MIB else None))
        await begun.wait()
        if end == "EOF":
            erasing.cancel()
            await asyncio.gather(erasing, return_exceptions=True)
        else:
            os.kill(session.pid, getattr(signal, end))
            with pytest.raises(HelperError):
                await erasing
    with disk.open("rb") as file:
        left = sum(1 for block in iter(lambda: file.read(BLOCK), b"") if markers.prefix in block)
    assert 0 < left < 12_000
    assert subprocess.run(["qemu-img", "info", "-f", "qcow2", str(disk)], check=False, capture_output=True).returncode != 0

    again = dataclasses.replace(request, resumed=True, steps=(dataclasses.replace(one, map_digest=extents),))
    async with stage.eraser().session() as session:
        answer = await session.lock(again)
        assert [each.status for each in answer.steps] == ["locked"]
        result = await erase(session, one, digest=extents)
        await session.remove(one.artefact_id, prove(one, result))
    assert not disk.exists()
    device.unmount()
    assert device.count(markers.prefix) == 0


async def test_a_half_wiped_saved_state_is_resumed(scratch: Path) -> None:
    """Its header is gone, so only name and identity are left to go by: enough once erasing began, not before."""
    stage = Stage(scratch)
    uuid = stage.files.define("p")
    save = random_file(stage.files.state / "save/p.save")
    request = Lock("w", uuid, "p", (step(save, kind=ArtefactKind.MEMORY_IMAGE),))
    assert await stage.wipe(request) == ("unreadable",)
    assert save.exists()
    assert await stage.wipe(dataclasses.replace(request, resumed=True)) == ()
    assert not save.exists()


@pytest.mark.parametrize("left_at", ["renamed", "truncated", "unlinked", "another-in-its-place"])
async def test_a_removal_that_was_cut_off_is_finished(left_at: str, scratch: Path) -> None:
    """Every prefix of rename, truncate, unlink: the file is found under its rename target and removed, or known to be gone."""
    stage = Stage(scratch)
    disk = random_file(stage.images / "d.raw")
    uuid = stage.files.define("p", [Disk(str(disk), "raw")])
    request, extents = stage.request(uuid, "p", [disk]), map_digest(disk)
    one = request.steps[0]
    async with stage.eraser().session() as session:
        await session.lock(request)
        evidence = prove(one, await erase(session, one))
    target = stage.images / one.rename_to
    disk.rename(target)
    if left_at == "truncated":
        os.truncate(target, 0)
    elif left_at == "unlinked":
        target.unlink()
    elif left_at == "another-in-its-place":
        random_file(disk)
    again = dataclasses.replace(request, resumed=True, steps=(dataclasses.replace(one, map_digest=extents),))
    async with stage.eraser().session() as session:
        answer = await session.lock(again)
        assert [each.status for each in answer.steps] == ["missing" if left_at == "unlinked" else "renamed"]
        with pytest.raises(HelperError):
            await erase(session, one, digest=extents)
        if left_at == "unlinked":
            with pytest.raises(HelperError):
                await session.remove(one.artefact_id, evidence)
        else:
            await session.remove(one.artefact_id, evidence)
    assert [path.name for path in stage.images.iterdir()] == ([disk.name] if left_at == "another-in-its-place" else [])


async def test_a_file_under_its_rename_target_is_drift_before_erasing_began(scratch: Path) -> None:
    """Only a resumed wipe may look for rename targets."""
    stage = Stage(scratch)
    disk = random_file(stage.images / "d.raw")
    uuid = stage.files.define("p", [Disk(str(disk), "raw")])
    request = stage.request(uuid, "p", [disk])
    disk.rename(stage.images / request.steps[0].rename_to)
    assert await stage.wipe(request) == ("missing",)


FORGED = {
    "mismatches": {"mismatches": 1},
    "unsaid": {"via": ""},
    "reasons": {"reasons": ("io-error",)},
    "other ranges": {"map_digest": "0" * 64},
    "too few": {"bytes_verified": (1 << 20) - 1},
    "another's": {"artefact_id": "other"},
    "a sample": {"sampled": True},
}


async def test_no_proof_no_removal(scratch: Path) -> None:
    """I3: every flaw in the evidence keeps the file; flawless evidence removes it."""
    stage = Stage(scratch)
    disk = random_file(stage.images / "d.raw")
    uuid = stage.files.define("p", [Disk(str(disk), "raw")])
    request = stage.request(uuid, "p", [disk])
    one = request.steps[0]
    async with stage.eraser().session() as session:
        await session.lock(request)
        evidence = prove(one, await erase(session, one))
        for flaw in FORGED.values():
            with pytest.raises(HelperError, match="no proof"):
                await session.remove(one.artefact_id, dataclasses.replace(evidence, **flaw))  # type: ignore[arg-type]
            assert disk.exists()
        os.truncate(disk, 2 << 20)
        with disk.open("r+b") as file:
            file.seek((2 << 20) - BLOCK)
            file.write(bytes(BLOCK))
            os.fsync(file.fileno())
        with pytest.raises(Exception, match="lies elsewhere"):
            await session.remove(one.artefact_id, evidence)
        assert disk.exists()
        os.truncate(disk, 1 << 20)
        await session.remove(one.artefact_id, evidence)
    assert not disk.exists()


SWAPPER = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
a, b = (os.fsencode(path) for path in sys.argv[1:])
print("ready", flush=True)
while True:
    libc.renameat2(-100, a, -100, b, 2)
"""


async def test_a_name_that_is_swapped_all_the_time_costs_nobody_else_a_file(scratch: Path) -> None:
    """A hostile process exchanges our image with another file as fast as it can, while it is removed: only ours is ever unlinked."""
    stage = Stage(scratch)
    refused = removed = 0
    for number in range(60):
        if refused >= 2 and removed >= 2:
            break
        disk, victim = random_file(stage.images / f"d{number}", 65536), random_file(stage.images / f"v{number}", 65536)
        uuid = stage.files.define(f"p{number}", [Disk(str(disk), "raw")])
        request, extents, theirs, ours = stage.request(uuid, f"p{number}", [disk]), map_digest(disk), digest(victim), identity(disk)
        one = request.steps[0]
        async with stage.eraser().session() as session:
            await session.lock(request)
            evidence = prove(one, await erase(session, one))
            swapper = await asyncio.create_subprocess_exec(sys.executable, "-c", SWAPPER, str(disk), str(victim), stdout=asyncio.subprocess.PIPE)
            try:
                assert swapper.stdout is not None
                await swapper.stdout.readline()
                try:
                    await session.remove(one.artefact_id, evidence)
                    removed += 1
                except Exception:
                    refused += 1
            finally:
                swapper.kill()
                await swapper.communicate()
        kept = [path for path in (disk, victim, stage.images / one.rename_to) if digest(path) == theirs]
        assert len(kept) == 1
        mine = [path for path in (disk, victim, stage.images / one.rename_to) if path.exists() and identity(path) == ours]
        if mine:  # a later run, when the hostile process is gone and the operator has put the names right
            if kept[0] == disk:
                kept[0].rename(victim.with_suffix(".kept"))
            if mine[0] == victim:
                mine[0].rename(disk)
            again = dataclasses.replace(request, resumed=True, steps=(dataclasses.replace(one, map_digest=extents),))
            async with stage.eraser().session() as session:
                await session.lock(again)
                await session.remove(one.artefact_id, evidence)
        assert not any(path.exists() and identity(path) == ours for path in stage.images.iterdir())
    assert refused > 0, "the race was never met: the test shows nothing"
    print(f"removed {removed}, refused {refused}")


async def test_thousands_of_artefacts_at_once(scratch: Path) -> None:
    """As many files as a plan of many snapshots could have are held open and locked together."""
    stage = Stage(scratch)
    disks = [stage.images / f"{number}.raw" for number in range(1500)]
    for disk in disks:
        disk.write_bytes(b"x")
    uuid = stage.files.define("p", [Disk(str(disk), "raw") for disk in disks])
    async with stage.eraser().session() as session:
        answer = await session.lock(stage.request(uuid, "p", disks))
        assert {each.status for each in answer.steps} == {"locked"}
        assert len(os.listdir(f"/proc/{session.pid}/fd")) > 1500
    assert read_extents_count(disks[0]) == 1


def read_extents_count(path: Path) -> int:
    with path.open("rb") as file:
        return read_extents(file.fileno()).count
