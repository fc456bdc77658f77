"""The observer's memory at a million extents, and the time of a survey among hundreds of neighbours.

    python -m tests.bench.observer_extents [--extents 1000000] [--neighbours 500]

Makes a file of so many separate extents on an ext4 of 1 KiB blocks (some 1.4 GiB under /var/tmp, removed), overwrites it with its keystream, and asks
a real observer process for `survey`, `ranges` and `read-back`. The peak (VmHWM) has to stay under 150 MiB. Figures are for people; nothing is a test.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path

from tests.host.observer_stage import directories_in, erase, identity_of, observer
from tests.lab.mounts import enter_private_mounts, make_scratch, remove_scratch
from tests.lab.privatelibvirt import children
from tests.lab.rawdevice import RawFilesystem
from tests.unit.observe.places import qcow2
from wiped.model.inventory import DiskSource, DomainFacts
from wiped.model.policy import StorageRules

MIB = 1 << 20
LIMIT = 150 * MIB
BLOCK = 1024


def fragmented(path: Path, extents: int) -> None:
    """A file in which every other block is a hole, so that nothing merges."""
    with path.open("xb") as file:
        for number in range(extents):
            os.pwrite(file.fileno(), b"wiped-bench" * 93, number * 2 * BLOCK)
        os.fsync(file.fileno())


def peak_bytes(pid: int) -> int:
    """The most resident memory that a process ever had."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def neighbours(images: Path, number: int) -> list[DomainFacts]:
    """Domains, each with an overlay over one golden image."""
    golden = images / "golden.raw"
    golden.write_bytes(bytes(MIB))
    found = []
    for index in range(number):
        top = qcow2(images / f"n{index}.qcow2", backing=str(golden), backing_format="raw")
        disks = (DiskSource("vda", "file", str(top), "qcow2"),)
        found.append(DomainFacts(f"00000000-0000-4000-8000-{index:012x}", f"n{index}", disks=disks, nvram=str(images / f"n{index}.fd")))
    return found


async def measure(scratch: Path, mount_point: Path, extents: int, count: int) -> None:
    """Print what each question takes."""
    path = mount_point / "phone.raw"
    clock = time.monotonic()
    fragmented(path, extents)
    print(f"a file of {extents} extents made in {time.monotonic() - clock:.1f} s")
    clock = time.monotonic()
    request = erase(path)
    print(f"overwritten in {time.monotonic() - clock:.1f} s (in this process)")
    images = scratch / "images"
    images.mkdir()
    others = neighbours(images, count)
    rules = StorageRules(roots=(str(mount_point), str(images)), writers=4)
    phone = DomainFacts("11111111-2222-4333-8444-555555555555", "phone", disks=(DiskSource("vda", "file", str(path), "raw"),))
    async with observer(rules, directories_in(scratch / "libvirt"), parallel=1, silence=600) as eyes:
        clock = time.monotonic()
        inventory = await eyes.survey(phone, others, with_extents=True)
        (pid,) = [child for child in children(os.getpid()) if b"observer" in Path(f"/proc/{child}/cmdline").read_bytes()]
        facts = inventory.artefacts[0].layer.extents
        assert facts is not None
        print(f"survey: {time.monotonic() - clock:.2f} s, {facts.count} extents, {count} neighbours, peak {peak_bytes(pid) / MIB:.0f} MiB")
        small = DomainFacts(phone.uuid, "phone", disks=others[0].disks)
        clock = time.monotonic()
        inventory = await eyes.survey(small, others[1:], with_extents=True)
        print(f"survey of a small phone: {time.monotonic() - clock:.2f} s, {len(inventory.artefacts[1].owners)} owners of the golden image")
        clock = time.monotonic()
        blobs, _ = await eyes.ranges(str(path), identity_of(path))
        print(f"ranges: {time.monotonic() - clock:.2f} s, {sum(map(len, blobs)) / MIB:.1f} MiB in {len(blobs)} blobs, peak {peak_bytes(pid) / MIB:.0f} MiB")
        clock = time.monotonic()
        evidence = await eyes.read_back(request, lambda done, total: None)
        peak = peak_bytes(pid)
        print(f"read-back via {evidence.via}: {time.monotonic() - clock:.1f} s, {evidence.bytes_verified / MIB:.0f} MiB, reasons {evidence.reasons}")
    print(f"peak of the observer: {peak / MIB:.0f} MiB of {LIMIT / MIB:.0f}: {'good' if peak < LIMIT and not evidence.reasons else 'TOO MUCH'}")


def main() -> None:
    """Run on a filesystem of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extents", type=int, default=1_000_000)
    parser.add_argument("--neighbours", type=int, default=500)
    asked = parser.parse_args()
    enter_private_mounts()
    scratch = make_scratch()
    try:
        size = asked.extents * BLOCK * 5 // 4 + 256 * MIB
        with RawFilesystem("ext4", scratch / "device.img", size, mkfs_options=("-b", str(BLOCK))) as filesystem:
            at = scratch / "fs"
            at.mkdir()
            asyncio.run(measure(scratch, filesystem.mount(at), asked.extents, asked.neighbours))
    finally:
        remove_scratch(scratch)


if __name__ == "__main__":
    main()
