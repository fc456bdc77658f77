"""Attack: somebody else has the image open while the daemon wants to wipe it (its own QEMU's jobs, another QEMU, qemu-nbd, a loop device, a reader).

The eraser's own view of each holder is in test_eraser_in_use.py; here the whole product meets them, all at once on one host.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.attacks import Host, bind_all, wait_refused
from tests.lab import images
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.lab.stage import StagedPhone


@contextlib.contextmanager
def held(disk: Path, *argv: str) -> Iterator[None]:
    """A program that has the image open; it ends with the context."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:

            def open_there() -> bool:
                return any(os.path.realpath(f"/proc/{child.pid}/fd/{n}") == str(disk) for n in os.listdir(f"/proc/{child.pid}/fd"))

            wait_for(open_there, f"{argv[0]} to open {disk}")
            yield
        finally:
            child.kill()
            child.communicate()


@contextlib.contextmanager
def looped(disk: Path) -> Iterator[None]:
    """A loop device over the image."""
    device = subprocess.run(["losetup", "-f", "--show", str(disk)], check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


@pytest.mark.long
def test_an_image_that_somebody_has_open(private_libvirt: PrivateLibvirt, scratch: Path) -> None:
    """Another QEMU (with and without locks), qemu-nbd, a loop device, a plain reader: each phone is refused as `in-use`, each image keeps every byte."""
    host = Host(private_libvirt)
    names = ("qemu", "qemu-without-locks", "nbd", "nbd-read-only", "loop", "reader", "mapping")
    phones = {name: host.phone(name, host.phones / f"{name}.raw", victim=True) for name in names}
    disks = {name: phone.disks["vda"][0] for name, phone in phones.items()}
    unlocked = f"driver=raw,file.driver=file,file.locking=off,file.filename={disks['qemu-without-locks']}"
    mapped = "import mmap,sys,time; file = open(sys.argv[1]); view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ); time.sleep(600)"
    with contextlib.ExitStack() as stack:
        stack.enter_context(held(disks["qemu"], "qemu-io", "-f", "raw", str(disks["qemu"])))
        stack.enter_context(held(disks["qemu-without-locks"], "qemu-io", "--image-opts", unlocked))
        stack.enter_context(held(disks["nbd"], "qemu-nbd", "-f", "raw", "-t", "-k", str(scratch / "nbd"), str(disks["nbd"])))
        stack.enter_context(held(disks["nbd-read-only"], "qemu-nbd", "-r", "-f", "raw", "-t", "-k", str(scratch / "nbd-ro"), str(disks["nbd-read-only"])))
        stack.enter_context(looped(disks["loop"]))
        stack.enter_context(held(disks["reader"], "tail", "-f", str(disks["reader"])))
        stack.enter_context(held(disks["mapping"], "python3", "-c", mapped, str(disks["mapping"])))
        # All at once: the daemon asks for the locks again and again, for half a minute, before it says so.
        with host.product(storage="parallel_wipes = 8") as product:
            bind_all(product, phones.values())
            for phone in phones.values():
                wait_refused(product, phone, {"in-use"})
            host.unharmed()
    host.unharmed()


def running(host: Host, name: str) -> StagedPhone:
    """A running phone over a qcow2."""
    disk = images.create(host.phones / f"{name}.qcow2")
    phone = StagedPhone(host.libvirt, name, {"vda": (disk, "qcow2")}).define()
    host.libvirt.virsh("start", phone.uuid)
    return phone


def test_a_phone_whose_disk_a_job_reads(private_libvirt: PrivateLibvirt) -> None:
    """A pulled backup and a block copy in progress: the phone is refused and left running, nothing of it or of the copy is gone."""
    host, virsh = Host(private_libvirt), private_libvirt.virsh
    pull, copy = (running(host, name) for name in ("pull", "copy"))
    xml = host.libvirt.workdir / "backup.xml"
    xml.write_text(f"<domainbackup mode='pull'><server transport='unix' socket='{host.libvirt.workdir}/export'/></domainbackup>")
    virsh("backup-begin", pull.uuid, xml)
    copied = host.outside / "copy.qcow2"
    virsh("blockcopy", copy.uuid, "vda", copied, "--transient-job", "--format", "qcow2")
    with host.product(stop_timeout="1s") as product:
        bind_all(product, (pull, copy))
        for phone in (pull, copy):
            wait_refused(product, phone, {"domain-busy", "unsupported-artefact", "live-only"})
            assert phone.state == "running", phone.name
            assert phone.disks["vda"][0].exists(), phone.name
        assert copied.exists()
    host.unharmed()
