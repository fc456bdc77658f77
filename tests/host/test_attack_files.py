"""Attack: what stands at a phone's path, or at a configured directory, is not what it seems. One code each, and the victims keep every byte."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.host.attacks import SMALL, Host, bind_all, refusals, wait_refused
from tests.host.eraser_stage import Stage, digest, random_file
from tests.lab import images
from tests.lab.libvirtfiles import Disk
from tests.lab.privatelibvirt import PrivateLibvirt
from tests.lab.stage import Product, StagedPhone


@contextmanager
def bound(source: Path, at: Path) -> Iterator[None]:
    """A bind mount."""
    subprocess.run(["mount", "--bind", str(source), str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


@contextmanager
def loop_of(file: Path) -> Iterator[str]:
    """A loop device over a file."""
    device = subprocess.run(["losetup", "-f", "--show", str(file)], check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


@pytest.mark.long
def test_everything_that_is_no_plain_file_of_the_phone(private_libvirt: PrivateLibvirt) -> None:
    """Hard link from outside, links, a FIFO, a socket, device nodes, a bind-mounted file and directory, a golden directory in the root: each its code."""
    host = Host(private_libvirt)
    inner = host.phones / "golden-inside"
    for name in ("golden-inside", "bound-directory", "bound-outside"):
        (host.phones / name).mkdir()
    cases: list[tuple[StagedPhone, set[str]]] = []

    def case(name: str, disk: Path, *codes: str) -> None:
        cases.append((StagedPhone(private_libvirt, name, {"vda": (disk, "raw")}).define(), set(codes)))

    linked = host.victim(host.outside / "linked.raw")
    os.link(linked, host.phones / "linked.raw")
    case("hard-link", host.phones / "linked.raw", "hard-link")
    (host.phones / "symlink.raw").symlink_to(host.victim(host.outside / "target.raw"))
    case("symlink", host.phones / "symlink.raw", "symlink")
    (host.phones / "elsewhere").symlink_to(host.outside)
    case("symlinked-directory", host.phones / "elsewhere" / host.victim(host.outside / "second.raw").name, "symlink")
    case("dots", host.phones / ".." / "outside" / host.victim(host.outside / "third.raw").name, "outside-roots")
    os.mkfifo(host.phones / "fifo")
    case("fifo", host.phones / "fifo", "not-regular")
    os.mknod(host.phones / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    case("character-device", host.phones / "null", "not-regular")
    case("protected-within-the-root", host.victim(inner / "base.raw"), "protected-root")
    host.victim(host.golden / "base.raw")
    case("bind-mounted-directory", host.phones / "bound-directory" / "base.raw", "protected-root")
    case("bind-mounted-file", random_file(host.phones / "bound.raw", SMALL), "protected-root")
    case("bind-mounted-outside", host.phones / "bound-outside" / host.victim(host.outside / "fourth.raw").name, "outside-roots")
    beneath = host.victim(host.outside / "disk-of-the-host.img")
    with (
        closing(socket.socket(socket.AF_UNIX)) as listener,
        loop_of(beneath) as device,
        bound(host.golden, host.phones / "bound-directory"),
        bound(host.golden / "base.raw", host.phones / "bound.raw"),
        bound(host.outside, host.phones / "bound-outside"),
    ):
        listener.bind(str(host.phones / "socket"))
        case("socket", host.phones / "socket", "not-regular")
        number = os.stat(device).st_rdev
        os.mknod(host.phones / "node", 0o600 | stat.S_IFBLK, number)
        case("device-node", host.phones / "node", "not-regular", "unsupported-artefact", "outside-roots")
        case("device", Path(device), "outside-roots", "unsupported-artefact")
        # Seen through the mount, so that it is the golden file that must stay.
        host.victim(host.phones / "bound.raw")
        with Product(private_libvirt, [host.phones], [host.golden, inner], safety="breaker_max = 10000") as product:
            bind_all(product, [phone for phone, _ in cases])
            for phone, codes in cases:
                wait_refused(product, phone, codes)
                # What lies behind a mount beneath the root is found out by the eraser alone, which opens; the observer's plan goes by names.
                assert refusals(product, phone) & codes or phone.name == "bind-mounted-outside", phone.name
            host.unharmed()
            assert images.digest(Path(device)) == host.victims[beneath]
        os.unlink(host.phones / "node")
        del host.victims[host.phones / "bound.raw"]
    host.unharmed()


def test_a_golden_directory_that_becomes_a_link_after_the_start(private_libvirt: PrivateLibvirt) -> None:
    """While the daemon runs the golden directory is moved away and becomes a link: nothing on the host is touched, neither the phone's nor the golden one."""
    host = Host(private_libvirt)
    golden = host.phones / "golden"
    golden.mkdir()
    base = host.victim(golden / "base.raw")
    mine = host.phone("mine", host.phones / "mine.raw", victim=True)
    # The golden image's next place, under a name that lies in no protected root: the attacker already has a domain over it.
    moved = host.phones / "moved"
    thief = StagedPhone(private_libvirt, "thief", {"vda": (moved / "base.raw", "raw")}).define()
    with Product(private_libvirt, [host.phones], [golden]) as product:
        bind_all(product, [mine, thief], ends_in=6)
        os.rename(golden, moved)
        golden.symlink_to(host.outside)
        del host.victims[base]
        host.victim(moved / "base.raw")
        for phone in (mine, thief):
            product.wait_for_state(phone.uuid, "due")
        for phone in (mine, thief):
            wait_refused(product, phone, {"symlink"})
        host.unharmed()


@pytest.mark.parametrize("how", ["link", "gone"])
async def test_the_eraser_with_a_golden_directory_that_is_another_one(scratch: Path, how: str) -> None:
    """The eraser alone: a protected root that is a link or not there protects nothing any more, so nothing at all is erased."""
    stage = Stage(scratch)
    golden = stage.images / "golden"
    golden.mkdir()
    victim = random_file(golden / "base.raw")
    uuid = stage.files.define("thief", [Disk(str(stage.images / "moved" / "base.raw"), "raw")])
    golden.rename(stage.images / "moved")
    victim = stage.images / "moved" / "base.raw"
    before = digest(victim)
    if how == "link":
        golden.symlink_to(stage.outside)
    stage.rules = type(stage.rules)(roots=(str(stage.images),), protected=(str(golden),))
    refused = set(await stage.wipe(stage.request(uuid, "thief", [victim])))
    assert refused == ({"symlink"} if how == "link" else {"missing"})
    assert digest(victim) == before


async def test_the_eraser_with_a_root_that_became_a_link(scratch: Path) -> None:
    """The root is a link to the golden directory, whose file has the name and, by the forged plan, the identity: refused as a symlink."""
    stage = Stage(scratch)
    victim = random_file(stage.golden / "mine.raw")
    uuid = stage.files.define("mine", [Disk(str(stage.images / "mine.raw"), "raw")])
    stage.images.rmdir()
    stage.images.symlink_to(stage.golden)
    before = digest(victim)
    refused = set(await stage.wipe(stage.request(uuid, "mine", [stage.images / "mine.raw"])))
    assert refused == {"symlink", "protected-root"}
    assert digest(victim) == before


async def test_the_eraser_with_a_mount_over_the_root(scratch: Path) -> None:
    """The golden directory is mounted over the root itself: the file is the golden one, and is known as such."""
    stage = Stage(scratch)
    victim = random_file(stage.golden / "mine.raw")
    uuid = stage.files.define("mine", [Disk(str(stage.images / "mine.raw"), "raw")])
    random_file(stage.images / "mine.raw")
    request = stage.request(uuid, "mine", [stage.images / "mine.raw"])
    before = digest(victim)
    with bound(stage.golden, stage.images):
        forged = stage.request(uuid, "mine", [stage.images / "mine.raw"])
        assert set(await stage.wipe(forged)) == {"protected-root"}
        assert set(await stage.wipe(request)) == {"protected-root", "identity-changed"}
    assert digest(victim) == before
