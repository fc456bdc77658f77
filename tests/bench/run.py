"""`make bench`: our proven wipe beside its peers, alternating, in one go, on the host's own filesystem.

Prints medians, ratios, peak memory and allocated sizes. Nothing here is a test: machines are noisy, so the figures are for people, and the ratios
against `fio` (the fair floor: a direct write of a fresh file, then its direct read) are what may be compared between machines.

    python -m tests.bench.run [--rounds 5] [--gib 2] [--virtual-gib 16] [--dir DIR] [--no-vol-wipe]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.bench.decisions import deciding_seconds
from wiped.helpers.link import connect
from wiped.model.inventory import ArtefactKind, FileIdentity, LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.wire.messages import (
    Erase,
    Erased,
    EvidenceFound,
    Lock,
    Locked,
    LockStep,
    Message,
    Progress,
    Ranges,
    RangesChunk,
    RangesEnd,
    ReadBack,
    Remove,
    Removed,
)

GIB = 1 << 30
PHONE = "5e0a7c1e-1111-4111-8111-000000000001"
ROOT = Path(__file__).resolve().parents[2]

#: A helper as the daemon starts it, but with rules and libvirt directories of the benchmark's own.
HELPER = """
import json, socket, sys
from wiped.model.inventory import LibvirtDirectories
from wiped.model.policy import StorageRules
from wiped.{room}.{program} import serve
serve(socket.socket(fileno=0), StorageRules(**json.loads(sys.argv[1])), LibvirtDirectories(**json.loads(sys.argv[2])))
"""


@dataclass
class Row:
    """The runs of one contestant: seconds, and what it left allocated (bytes)."""

    name: str
    seconds: list[float] = field(default_factory=list)
    allocated: int | None = None
    eraser_kib: int = 0
    observer_kib: int = 0
    note: str = ""

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)


class Scene:
    """A scratch directory on the host's filesystem with the images and libvirt's files about them."""

    def __init__(self, directory: Path, gib: int, virtual_gib: int) -> None:
        self.directory = directory
        self.images = directory / "images"
        self.libvirt = LibvirtDirectories(*(str(directory / name) for name in ("etc", "run", "lib", "log")))
        for place in (self.images, *(Path(p) for p in (self.libvirt.config, self.libvirt.run, self.libvirt.state, self.libvirt.logs))):
            place.mkdir(parents=True)
        self.size, self.virtual = gib * GIB, virtual_gib * GIB
        self.rules = StorageRules(roots=(str(self.images),))

    def raw(self) -> Path:
        """A sparse raw image with its data in eight pieces."""
        path = self.images / "phone.raw"
        path.unlink(missing_ok=True)
        piece = self.size // 8
        stream = Cipher(algorithms.AES(secrets.token_bytes(16)), modes.CTR(bytes(16))).encryptor()
        blank = bytes(4 << 20)
        with path.open("wb") as image:
            image.truncate(self.virtual)
            for index in range(8):
                image.seek(index * (self.virtual // 8))
                for _ in range(piece // len(blank)):
                    image.write(stream.update(blank))
            os.fsync(image.fileno())
        self._define(path, "raw")
        return path

    def qcow2(self) -> Path:
        """A qcow2 of the same content."""
        raw, path = self.raw(), self.images / "phone.qcow2"
        path.unlink(missing_ok=True)
        subprocess.run(["qemu-img", "convert", "-q", "-t", "none", "-O", "qcow2", raw, path], check=True)
        raw.unlink()
        with path.open("rb") as image:
            os.fsync(image.fileno())
        self._define(path, "qcow2")
        return path

    def _define(self, path: Path, fmt: str) -> None:
        xml = f"""<domain type='qemu'><name>bench</name><uuid>{PHONE}</uuid><memory>65536</memory><os><type>hvm</type></os>
<devices><disk type='file' device='disk'><driver name='qemu' type='{fmt}'/><source file='{path}'/><target dev='vda' bus='virtio'/></disk></devices></domain>"""
        Path(self.libvirt.config, "bench.xml").write_text(xml)

    def command(self, program: str) -> tuple[str, ...]:
        """The command line of one helper."""
        code = HELPER.format(room={"eraser": "erase", "observer": "observe"}[program], program=program)
        rules = json.dumps({"roots": self.rules.roots})
        names = ("config", "run", "state", "logs")
        return (sys.executable, "-c", code, rules, json.dumps({name: getattr(self.libvirt, name) for name in names}))


def peak_kib(pid: int) -> int:
    """Peak resident memory of a running process, KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


async def _answer(link: object, kind: type[Message]) -> Message:
    while True:
        message = await link.receive(120)  # type: ignore[attr-defined]
        if isinstance(message, kind):
            return message
        if not isinstance(message, Progress | RangesChunk):
            raise SystemExit(f"the helper answered {message}")


async def proven_wipe(scene: Scene, path: Path, fmt: str, row: Row) -> None:
    """One whole proven wipe over the wire, as the daemon does it: processes started, locks, overwrite, read-back of everything, removal."""
    stat = path.stat()
    identity = FileIdentity(stat.st_dev, stat.st_ino)
    seed, wipe_id = secrets.token_bytes(32), "bench"
    began = time.perf_counter()
    eraser, observer = await asyncio.gather(
        connect("eraser", socket_path="", config="", command=scene.command("eraser")),
        connect("observer", socket_path="", config="", command=scene.command("observer")),
    )
    step = LockStep("art-1", ArtefactKind.DISK_IMAGE, str(path), fmt, identity, ".wiped-" + secrets.token_hex(16))
    await eraser.send(Lock(wipe_id, PHONE, "bench", (step,)))
    await _answer(eraser, Locked)
    await observer.send(Ranges(str(path), identity))
    ranges = await _answer(observer, RangesEnd)
    assert isinstance(ranges, RangesEnd)
    await eraser.send(Erase("art-1", seed.hex(), ranges.map_digest))
    erased = await _answer(eraser, Erased)
    await observer.send(ReadBack("art-1", str(path), identity, seed.hex(), ranges.map_digest))
    found = await _answer(observer, EvidenceFound)
    assert isinstance(erased, Erased)
    assert isinstance(found, EvidenceFound)
    allocated = path.stat().st_blocks * 512
    await eraser.send(Remove("art-1", found.evidence))
    await _answer(eraser, Removed)
    row.eraser_kib = max(row.eraser_kib, peak_kib(eraser.pid))
    row.observer_kib = max(row.observer_kib, peak_kib(observer.pid))
    await asyncio.gather(eraser.close(), observer.close())
    row.seconds.append(time.perf_counter() - began)
    row.allocated = allocated
    row.note = f"via {found.evidence.via}, {found.evidence.bytes_verified / GIB:.2f} GiB read back, {found.evidence.mismatches} mismatches"
    if found.evidence.reasons or erased.result.reasons or found.evidence.mismatches:
        raise SystemExit(f"not proven: {erased.result} {found.evidence}")


def scattered(extents: int, row: Row) -> None:
    """A whole proven wipe of a file in which every other block is a hole, on an ext4 of 1 KiB blocks: what so many extents cost in memory. Once."""
    from tests.bench.observer_extents import fragmented  # noqa: PLC0415 - as in vol_wipe
    from tests.lab.mounts import make_scratch, remove_scratch  # noqa: PLC0415
    from tests.lab.rawdevice import RawFilesystem  # noqa: PLC0415

    scratch = make_scratch()
    try:
        scene = Scene(scratch / "scene", 1, 1)
        size = max(64 << 20, extents * 1500)
        with RawFilesystem("ext4", scratch / "device.img", size, mkfs_options=("-b", "1024", "-O", "^has_journal")) as filesystem:
            filesystem.mount(scene.images)
            path = scene.images / "phone.raw"
            fragmented(path, extents)
            scene._define(path, "raw")
            asyncio.run(proven_wipe(scene, path, "raw", row))
    finally:
        remove_scratch(scratch)


def timed(argv: list[str | Path]) -> float:
    """Seconds of one command."""
    began = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def fio(scene: Scene, write: Row, read: Row) -> None:
    """fio, direct: a fresh file of the allocated size written, then read."""
    path = scene.images / "fio"
    common: list[str | Path] = ["fio", "--name=f", f"--filename={path}", f"--size={scene.size}", "--bs=1M", "--direct=1", "--output-format=terse"]
    common += ["--ioengine=io_uring", "--iodepth=8"]
    write.seconds.append(timed([*common, "--rw=write", "--end_fsync=1", "--fallocate=none"]))
    read.seconds.append(timed([*common, "--rw=read"]))
    write.allocated = path.stat().st_blocks * 512
    path.unlink()


def shred(scene: Scene, row: Row) -> None:
    """`shred -n 1`, on a raw image of the same content."""
    path = scene.raw()
    row.seconds.append(timed(["shred", "-n", "1", path]))
    row.allocated = path.stat().st_blocks * 512
    path.unlink()


def vol_wipe(scene: Scene, row: Row) -> None:
    """`virsh vol-wipe --algorithm random`, under a libvirtd of its own; once."""
    from tests.lab.privatelibvirt import PrivateLibvirt  # noqa: PLC0415 - needs root and namespaces; the rest of the benchmark does not

    path = scene.raw()
    with PrivateLibvirt() as libvirt:
        libvirt.virsh("pool-create-as", "bench", "dir", "--target", str(scene.images))
        began = time.perf_counter()
        libvirt.virsh("vol-wipe", "--pool", "bench", path.name, "--algorithm", "random", timeout=1800)
        row.seconds.append(time.perf_counter() - began)
    row.allocated = path.stat().st_blocks * 512
    path.unlink()


def table(rows: list[Row], floor: float, ours: float) -> str:
    """The result as a Markdown table."""
    lines = ["| what | median s | runs | / (fio write + read) | / our proven wipe | allocated after |", "|---|---:|---:|---:|---:|---:|"]
    for row in rows:
        allocated = "" if row.allocated is None else f"{row.allocated / GIB:.2f} GiB"
        lines.append(f"| {row.name} | {row.median:.2f} | {len(row.seconds)} | {row.median / floor:.2f} | {row.median / ours:.1f} | {allocated} |")
    return "\n".join(lines)


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gib", type=int, default=2, help="allocated GiB")
    parser.add_argument("--virtual-gib", type=int, default=16)
    parser.add_argument("--dir", type=Path, default=None, help="a directory on the filesystem to measure (default: a scratch directory in the checkout)")
    parser.add_argument("--no-vol-wipe", action="store_true")
    parser.add_argument("--extents", type=int, default=1_000_000, help="extents of the file that shows the helpers' memory; 0 for none")
    options = parser.parse_args()
    base = options.dir or ROOT / ".stamps"
    base.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="bench-", dir=base)).resolve()
    if options.extents:
        from tests.lab.mounts import enter_private_mounts  # noqa: PLC0415 - as in vol_wipe

        enter_private_mounts()
    say: Callable[[str], None] = lambda text: print(text, flush=True)  # noqa: E731
    try:
        free = shutil.disk_usage(directory).free
        if free < options.virtual_gib * GIB + 4 * options.gib * GIB:
            raise SystemExit(f"not enough free space: the peers write the whole virtual size ({options.virtual_gib} GiB), free are {free / GIB:.0f} GiB")
        scene = Scene(directory, options.gib, options.virtual_gib)
        ours_raw, ours_qcow2 = Row("wiped, raw (overwrite + full read-back)"), Row("wiped, qcow2 of the same content")
        write, read = Row("fio write, fresh file, direct"), Row("fio read, direct")
        shredded, wiped_by_libvirt = Row("shred -n 1"), Row("virsh vol-wipe --algorithm random")
        for index in range(options.rounds):
            say(f"round {index + 1} of {options.rounds}: wiped raw, wiped qcow2, fio, shred")
            asyncio.run(proven_wipe(scene, scene.raw(), "raw", ours_raw))
            asyncio.run(proven_wipe(scene, scene.qcow2(), "qcow2", ours_qcow2))
            fio(scene, write, read)
            shred(scene, shredded)
        rows = [ours_raw, ours_qcow2, write, read, shredded]
        if not options.no_vol_wipe and shutil.which("scrub"):
            say("once: virsh vol-wipe --algorithm random")
            vol_wipe(scene, wiped_by_libvirt)
            rows.append(wiped_by_libvirt)
        many = Row("a file of many extents")
        if options.extents:
            say(f"once: a file of {options.extents:,} extents")
            scattered(options.extents, many)
        floor = write.median + read.median
        machine = f"{os.cpu_count()} cores, Linux {platform.release()}"
        say(f"\n{time.strftime('%Y-%m-%d')}, {machine}, image of {options.virtual_gib} GiB, {options.gib} GiB allocated\n")
        say(table(rows, floor, ours_raw.median))
        say("\nThe peers write the whole virtual size, and fill the disk while at it; wiped writes what is allocated, reads all of it back, allocates nothing.")
        say(f"wiped raw: {ours_raw.note}; peak memory: eraser {ours_raw.eraser_kib / 1024:.0f} MiB, observer {ours_raw.observer_kib / 1024:.0f} MiB")
        if options.extents:
            peaks = f"eraser {many.eraser_kib / 1024:.0f} MiB, observer {many.observer_kib / 1024:.0f} MiB"
            say(f"{options.extents:,} extents: proven in {many.median:.0f} s; peak memory: {peaks} (to reach: under 150 each)")
        seconds, due = deciding_seconds(100_000, 1_000)
        say(f"deciding for 100,000 subscriptions, {due} due: {seconds:.2f} s")
        say(f"proven wipe / (fio write + fio read) = {ours_raw.median / floor:.2f} raw, {ours_qcow2.median / floor:.2f} qcow2 (to reach: 1.5)")
        say(f"shred -n 1 / proven wipe = {shredded.median / ours_raw.median:.1f} (to reach: 6)")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
