"""QEMU's lock and the write lease against real holders, on every filesystem that phones may lie on (docs/physics.md 4)."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.rawdevice import RawFilesystem
from tests.patience import PATIENCE
from wiped.errors import RefusedError
from wiped.storage.image_chain import look_at_layer
from wiped.storage.locks import is_locked, lock_image, take_and_drop_write_lease
from wiped.storage.paths import SafeFile, open_image

MakeFs = Callable[..., RawFilesystem]
FILESYSTEMS = ["ext4", "xfs", "btrfs"]


@pytest.fixture(params=FILESYSTEMS)
def path(raw_fs: MakeFs, request: pytest.FixtureRequest) -> Path:
    """A raw image of 8 MiB on a filesystem of its own."""
    filesystem = raw_fs(request.param)
    assert filesystem.mount_point is not None
    path = filesystem.mount_point / "image"
    path.write_bytes(b"x" * (8 << 20))
    return path


def opened(path: Path) -> SafeFile:
    """The image, opened as the eraser does."""
    return open_image(str(path.parent), str(path), write=True, expected=None)


@contextmanager
def qemu_io(path: Path, *, locking: str = "on") -> Iterator[subprocess.Popen[bytes]]:
    """A process of QEMU's own block layer that has the image open for writing."""
    options = f"driver=raw,file.driver=file,file.filename={path},file.locking={locking}"
    with subprocess.Popen(["qemu-io", "--image-opts", options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"write -P 1 0 512\n")
        process.stdin.flush()
        seen = b""
        while b"wrote 512/512" not in seen:  # now it certainly has it open
            more = os.read(process.stdout.fileno(), 4096)
            assert more, seen
            seen += more
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(20)


def refused(path: Path, ask: Callable[[int], None]) -> str:
    """The code with which a lock or lease is refused."""
    with opened(path) as image, pytest.raises(RefusedError) as caught:
        ask(image.fd)
    return str(caught.value.codes[0])


def test_running_qemu_refuses_us(path: Path) -> None:
    """While QEMU has the image our lock and our lease are refused, our look says so and disturbs nothing; afterwards both are granted."""
    with qemu_io(path):
        assert refused(path, lock_image) == "in-use"
        assert refused(path, take_and_drop_write_lease) == "in-use"
        layer = look_at_layer(str(path), "raw", roots=[], protected=[], libvirt_dirs=[])
        assert (layer.in_use, layer.problem) == (True, "")
    with opened(path) as image:
        assert not is_locked(image.fd)
        lock_image(image.fd)
        take_and_drop_write_lease(image.fd)


def test_our_lock_stops_qemu(path: Path) -> None:
    """Under our lock QEMU cannot open the image, not even read-only; with the descriptor the lock is gone."""
    with opened(path) as image:
        lock_image(image.fd)
        for flags in (["-c", "write 0 512"], ["-r", "-c", "read 0 512"]):
            done = subprocess.run(["qemu-io", "-f", "raw", *flags, str(path)], capture_output=True, text=True, check=False)
            assert (done.returncode, 'Failed to get "' in done.stderr or "Failed to lock byte" in done.stderr) == (1, True)
    subprocess.run(["qemu-io", "-f", "raw", "-c", "write 0 512", str(path)], capture_output=True, check=True)


def test_lease_sees_unlocked_qemu(path: Path) -> None:
    """QEMU with locking=off is not seen by its own lock; the lease sees it."""
    with qemu_io(path, locking="off"):
        with opened(path) as image:
            lock_image(image.fd)
        assert refused(path, take_and_drop_write_lease) == "in-use"


def test_lease_sees_a_loop_device(path: Path) -> None:
    """A loop device on the image, read-only even."""
    loop = subprocess.run(["losetup", "-f", "--show", "-r", str(path)], capture_output=True, text=True, check=True).stdout.strip()
    try:
        assert refused(path, take_and_drop_write_lease) == "in-use"
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)


def test_lease_sees_a_read_only_nbd_server(path: Path, scratch: Path) -> None:
    """`qemu-nbd -r`, as a backup would run it."""
    address = scratch / "nbd.sock"
    command = ["qemu-nbd", "-r", "-t", "-f", "raw", "-k", str(address), str(path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            greeted(address)
            assert refused(path, take_and_drop_write_lease) == "in-use"
        finally:
            server.kill()
            server.wait(20)


def greeted(address: Path) -> None:
    """Wait until the NBD server greets: it listens before it opens the image (and a SIGTERM in between is forgotten, so it is killed)."""
    deadline = time.monotonic() + PATIENCE
    while not address.exists():
        assert time.monotonic() < deadline, "qemu-nbd does not listen"
        time.sleep(0.02)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(PATIENCE)
        while line.connect_ex(str(address)):  # its name is there before it listens
            assert time.monotonic() < deadline, "qemu-nbd does not answer"
            time.sleep(0.02)
        assert line.recv(8) == b"NBDMAGIC"


def test_opening_under_a_lease_is_harmless(path: Path) -> None:
    """Somebody who opens the image again and again while the lease is taken never kills us by its signal, and is always seen or never in the way."""
    with subprocess.Popen(["sh", "-c", 'while :; do : < "$1"; done', "sh", str(path)]) as reader:
        try:
            granted = refusals = 0
            with opened(path) as image:
                while granted == 0 or granted + refusals <= 100:
                    try:
                        take_and_drop_write_lease(image.fd)
                        granted += 1
                    except RefusedError:
                        refusals += 1
        finally:
            reader.kill()
            reader.wait(PATIENCE)
