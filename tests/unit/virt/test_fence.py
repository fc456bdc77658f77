"""Fence files: whole or absent, in the fixed form, and what is said of the hook that reads them."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.patience import PATIENCE
from wiped.errors import InputError, StorageError
from wiped.model.inventory import FileIdentity
from wiped.virt.fence import HOOK_SHA256, FenceFiles, fence_text

PHONE = "6f1f7a5e-53b1-4c6a-9d3b-0123456789ab"
OTHER = "7f1f7a5e-53b1-4c6a-9d3b-0123456789ab"


async def test_the_form_is_fixed(tmp_path: Path) -> None:
    """Exactly the lines that the hook knows, 0644 in 0755 whatever the umask, nothing else in the directory."""
    directory = tmp_path / "fence"
    fences = FenceFiles(str(directory))
    old = os.umask(0o077)
    try:
        await fences.put(PHONE, ["/p/a b.img", "/p/c"], [FileIdentity(2049, 17), FileIdentity(2049, 18)], [("default", "vol 1")])
    finally:
        os.umask(old)
    assert os.listdir(directory) == [PHONE]
    expected = f"wiped-fence 1\nuuid {PHONE}\npath /p/a b.img\npath /p/c\ninode 2049:17\ninode 2049:18\nvolume default vol 1\nend\n"
    assert (directory / PHONE).read_text() == expected
    assert stat.S_IMODE((directory / PHONE).stat().st_mode) == 0o644
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755


async def test_put_replaces_and_lift_removes(tmp_path: Path) -> None:
    """Each is idempotent; nothing stands without a directory."""
    fences = FenceFiles(str(tmp_path / "fence"))
    assert await fences.standing() == frozenset()
    await fences.lift(PHONE)
    await fences.put(PHONE, ["/p/a"], [], [])
    await fences.put(PHONE, ["/p/b"], [], [])
    await fences.put(OTHER, [], [], [])
    assert (tmp_path / "fence" / PHONE).read_text().splitlines()[2:] == ["path /p/b", "end"]
    assert await fences.standing() == {PHONE, OTHER}
    await fences.lift(PHONE)
    await fences.lift(PHONE)
    assert await fences.standing() == {OTHER}


async def test_malformed_fences_stand_and_strangers_do_not(tmp_path: Path) -> None:
    """The hook vetoes by the name alone, so an empty file counts; temporary and foreign names do not."""
    for name in (PHONE, f".{OTHER}.1.2", "README"):
        (tmp_path / name).write_text("")
    assert await FenceFiles(str(tmp_path)).standing() == {PHONE}


@pytest.mark.parametrize("wrong", ["", "..", "../etc/passwd", "phone-1", PHONE.upper(), PHONE + "\n"])
async def test_only_a_uuid_becomes_a_file_name(tmp_path: Path, wrong: str) -> None:
    """Nothing else is ever written or removed."""
    fences = FenceFiles(str(tmp_path / "fence"))
    with pytest.raises(InputError):
        await fences.put(wrong, [], [], [])
    with pytest.raises(InputError):
        await fences.lift(wrong)


@given(st.lists(st.text()), st.lists(st.tuples(st.text(), st.text())))
def test_no_name_can_forge_a_line(paths: list[str], volumes: list[tuple[str, str]]) -> None:
    """Whatever paths and volumes are called, each line is one that was meant."""
    lines = fence_text(PHONE, paths, [], volumes).split("\n")
    assert lines[:2] == ["wiped-fence 1", f"uuid {PHONE}"]
    assert lines[-2:] == ["end", ""]
    meant = {f"path {path}" for path in paths} | {f"volume {pool} {name}" for pool, name in volumes}
    assert set(lines[2:-2]) <= meant
    assert all(f"path {path}" in lines for path in paths if path.startswith("/") and "\n" not in path and "\0" not in path)


async def test_a_full_disk_leaves_the_old_fence(tmp_path: Path) -> None:
    """A write that fails is a StorageError, and the fence that stood still stands, whole, with no litter."""
    fences = FenceFiles(str(tmp_path))
    await fences.put(PHONE, ["/p/a"], [], [])
    before = (tmp_path / PHONE).read_text()
    program = f"""
import asyncio, resource, signal
from wiped.errors import StorageError
from wiped.virt.fence import HOOK_SHA256, FenceFiles
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    asyncio.run(FenceFiles({str(tmp_path)!r}).put({PHONE!r}, ["/" + "x" * 10000], [], []))
except StorageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert done.stdout.strip() == "the fence directory: File too large"
    assert (os.listdir(tmp_path), (tmp_path / PHONE).read_text()) == ([PHONE], before)


async def test_a_directory_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    """No fence can be put where the directory is something else."""
    (tmp_path / "fence").write_text("")
    with pytest.raises(StorageError):
        await FenceFiles(str(tmp_path / "fence")).put(PHONE, [], [], [])


#: Digest of the smallest hook.
PLAIN = hashlib.sha256(b"#!/bin/sh\n").hexdigest()


def test_the_shipped_hook_is_the_one_that_is_looked_for() -> None:
    """Whoever edits config/libvirt-hook states its new digest in wiped/virt/fence.py."""
    assert hashlib.sha256((Path(__file__).parents[3] / "config" / "libvirt-hook").read_bytes()).hexdigest() == HOOK_SHA256


class Host:
    """A hook directory, a pid file and a seen file, over real processes."""

    def __init__(self, root: Path) -> None:
        self.hooks, self.pid_file, self.seen = root / "qemu.d", root / "libvirtd.pid", root / "seen"
        self.hook = self.hooks / "50-wiped"

    def install(self, content: bytes = b"#!/bin/sh\n", mode: int = 0o755) -> None:
        self.hooks.mkdir(exist_ok=True)
        self.hook.write_bytes(content)
        self.hook.chmod(mode)

    async def fault(self, expected: str | None = PLAIN) -> str:
        fences = FenceFiles(
            "/nowhere", hook_directory=str(self.hooks), expected_hook=expected, pid_files=[str(self.pid_file)], seen_file=str(self.seen)
        )  # fmt: skip
        return await fences.hook_fault()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


async def test_hook_missing_changed_or_not_executable(host: Host) -> None:
    """Each fault is told with its fix; a hook that is right, while no libvirtd runs, is none."""
    assert "not installed" in await host.fault()
    host.install(mode=0o644)
    assert "not executable" in await host.fault()
    host.install(b"#!/bin/sh\nexit 0\n")
    assert "not the hook that this version ships" in await host.fault()
    assert await host.fault(None) == ""
    host.install(mode=0o777)
    assert "others than root" in await host.fault()
    host.install()
    assert await host.fault() == ""


async def test_hook_newer_than_libvirtd_is_not_known_to_be_loaded_until_it_is_called(host: Host, tmp_path: Path) -> None:
    """libvirtd looks for hooks when it starts; the proof that it found one later is the hook's own mark, of that very process."""
    binary = tmp_path / "libvirtd"
    binary.symlink_to("/bin/sleep")
    with subprocess.Popen([str(binary), "60"]) as daemon:
        try:
            host.pid_file.write_text(f"{daemon.pid}\n")
            while Path(f"/proc/{daemon.pid}/comm").read_text() != "libvirtd\n":
                time.sleep(0.01)
            time.sleep(0.1)
            host.install()
            assert "newer than the running libvirtd" in await host.fault()
            ticks = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()[19]
            host.seen.write_text(f"{daemon.pid} {int(ticks) - 1}\n")
            assert "newer than the running libvirtd" in await host.fault()
            host.seen.write_text(f"{daemon.pid} {ticks}\n")
            assert await host.fault() == ""
        finally:
            daemon.kill()


async def test_libvirtd_started_after_the_hook_has_it(host: Host, tmp_path: Path) -> None:
    """No mark is needed then; a stale pid file names a stranger and does not count."""
    host.install()
    host.pid_file.write_text(f"{os.getpid()}\n")
    assert await host.fault() == ""
    time.sleep(0.1)
    binary = tmp_path / "virtqemud"
    binary.symlink_to("/bin/sleep")
    with subprocess.Popen([str(binary), "60"]) as daemon:
        try:
            host.pid_file.write_text(f"{daemon.pid}\n")
            while Path(f"/proc/{daemon.pid}/comm").read_text() != "virtqemud\n":
                time.sleep(0.01)
            assert await host.fault() == ""
        finally:
            daemon.kill()
