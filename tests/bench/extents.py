"""Memory and time of the kernel's door at a million extents: map, digest, blobs, overwrite, read back.

    python -m tests.bench.extents [--extents 1000000] [--kind ext4|xfs]

Makes a file of so many preallocated blocks, each followed by a hole, on a loop filesystem below /var/tmp (as many times 4 KiB are written there when the
overwrite runs; all of it is removed). Runs in a process of its own, prints one line a step: seconds, and the peak of resident memory (VmHWM) so far.
The peak has to stay below 100 MiB. Figures are for people; nothing here is a test.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab.mounts import enter_private_mounts, make_scratch, remove_scratch
from tests.lab.rawdevice import RawFilesystem

BLOCK = 4096
LIMIT = 100 << 20


def peak_bytes() -> int:
    """The most resident memory this process ever had."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def fragmented(path: Path, extents: int) -> None:
    """So many single blocks, none beside another."""
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("xb") as file:
        for number in range(extents):
            if libc.fallocate(file.fileno(), 0, ctypes.c_long(2 * number * BLOCK), ctypes.c_long(BLOCK)) != 0:
                raise OSError(ctypes.get_errno(), "fallocate")


def measure(path: str) -> int:
    """All steps on one file, in this process; the exit code says whether memory stayed below the limit."""
    from wiped.storage.direct import compare_ranges, write_ranges  # noqa: PLC0415 - what is imported is measured too
    from wiped.storage.extents import ExtentMap, read_extents  # noqa: PLC0415
    from wiped.storage.filesystems import open_block_device  # noqa: PLC0415
    from wiped.storage.keystream import Keystream  # noqa: PLC0415

    def step(name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        print(f"{name:<22} {time.perf_counter() - start:7.2f} s   peak {peak_bytes() / 2**20:6.1f} MiB", flush=True)
        return result

    fd = os.open(path, os.O_RDWR)
    step("imports", lambda: None)
    extents = step("read_extents", lambda: read_extents(fd))
    digest = step("digest", lambda: extents.digest)
    sizes = step("to_blobs (bytes)", lambda: [len(blob) for blob in extents.to_blobs()])
    print(f"{extents.count} ranges, {extents.bytes / 2**20:.0f} MiB, {len(sizes)} blobs of {sum(sizes)} bytes")
    again = step("from_blobs", lambda: ExtentMap.from_blobs(extents.to_blobs()))
    del again
    stream = Keystream(os.urandom(32), "bench", 1)
    step("write_ranges + fsync", lambda: (write_ranges(fd, extents, stream), os.fsync(fd)))
    device = open_block_device(os.fstat(fd).st_dev)
    if device is not None:
        print(step("compare, block device", lambda: compare_ranges(device, extents, stream, physical=True)))
    print(step("compare, file", lambda: compare_ranges(fd, extents, stream, physical=False)))
    same = step("read_extents again", lambda: read_extents(fd).digest == digest)
    print(f"same map: {same}; peak {peak_bytes() / 2**20:.1f} MiB of {LIMIT / 2**20:.0f}")
    return 0 if same and peak_bytes() < LIMIT else 1


def main() -> int:
    """Make the filesystem and the file, measure in a child, clean up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extents", type=int, default=1_000_000)
    parser.add_argument("--kind", choices=("ext4", "xfs"), default="ext4")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        return measure(options.measure)
    enter_private_mounts()
    scratch = make_scratch()
    try:
        with RawFilesystem(options.kind, scratch / "device.img", options.extents * BLOCK * 5 // 4 + (512 << 20)) as filesystem:
            point = scratch / "m"
            point.mkdir()
            filesystem.mount(point)
            start = time.perf_counter()
            fragmented(point / "image", options.extents)
            print(f"{options.kind}: {options.extents} extents made in {time.perf_counter() - start:.1f} s", flush=True)
            return subprocess.run([sys.executable, "-m", "tests.bench.extents", "--measure", str(point / "image")], check=False).returncode
    finally:
        remove_scratch(scratch)


if __name__ == "__main__":
    sys.exit(main())
