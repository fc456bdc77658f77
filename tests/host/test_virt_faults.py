"""libvirt down, restarted, frozen or killed: the door errs within its bounds, the loop turns, and it finds its way back."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.phones import BarePhone
from tests.lab.privatelibvirt import PrivateLibvirt
from tests.patience import PATIENCE
from wiped.errors import HypervisorError
from wiped.model.inventory import DomainState, FileIdentity
from wiped.virt.bounds import Bounds
from wiped.virt.connection import LibvirtHypervisor
from wiped.virt.fence import FenceFiles

HOOK = Path(__file__).parents[2] / "config" / "libvirt-hook"
QUICK = Bounds(open=2, call=1, sweep=1.5, destroy=3, start=5, keepalive_interval=1, keepalive_count=2, backoff_first=0.1, backoff_most=0.5, stuck=2)
#: Where libvirtd answers, however slow the machine is.
PATIENT = replace(QUICK, open=PATIENCE, call=PATIENCE, sweep=PATIENCE, destroy=PATIENCE, start=PATIENCE)


async def heard(hints: object, wanted: str) -> None:
    """Wait for one hint among others."""
    async with asyncio.timeout(PATIENCE):
        while await anext(hints) != wanted:  # type: ignore[call-overload]
            pass


async def test_restart_of_libvirtd(private_libvirt: PrivateLibvirt) -> None:
    """Lost, noticed, errors at once, back by itself with "look at everything"; the phone ran on all the while."""
    phone = BarePhone(private_libvirt, "phone").define(start=True)
    door = LibvirtHypervisor(private_libvirt.connect_uri, bounds=PATIENT)
    hints = door.hints()
    async with door:
        assert await anext(hints) == ""
        await asyncio.to_thread(private_libvirt.stop_libvirtd)
        async with asyncio.timeout(PATIENCE):
            while door.connected:
                await asyncio.sleep(0.01)
        with pytest.raises(HypervisorError, match="is not connected"):  # at once: nothing is tried
            await door.domains()
        await asyncio.to_thread(private_libvirt.start_libvirtd)
        await heard(hints, "")
        facts = await door.domain(phone.uuid)
        assert facts is not None
        assert facts.state is DomainState.RUNNING
        await door.destroy(phone.uuid)
        await heard(hints, phone.uuid)


def own_threads() -> int:
    """Living threads, but for those in which this test itself waits for libvirtd (`asyncio.to_thread`)."""
    return sum(1 for thread in threading.enumerate() if not thread.name.startswith("asyncio_"))


async def test_kill_of_libvirtd(private_libvirt: PrivateLibvirt) -> None:
    """The same after SIGKILL, again and again, with no thread left over."""
    door = LibvirtHypervisor(private_libvirt.connect_uri, bounds=PATIENT)
    hints = door.hints()
    async with door:
        threads = 0
        for round_number in range(3):
            assert await anext(hints) == ""
            assert await door.domains() == ()
            await asyncio.to_thread(private_libvirt.stop_libvirtd, signal.SIGKILL)
            await asyncio.to_thread(private_libvirt.start_libvirtd)
            if round_number == 0:
                threads = own_threads()
        assert await anext(hints) == ""
        async with asyncio.timeout(PATIENCE):
            while own_threads() > threads:
                await asyncio.sleep(0.05)


async def test_frozen_libvirtd(private_libvirt: PrivateLibvirt) -> None:
    """SIGSTOP: each call errs within its bound, then at once; the loop keeps turning; threads stay few; after SIGCONT all is well again."""
    phone = BarePhone(private_libvirt, "phone").define()
    door = LibvirtHypervisor(private_libvirt.connect_uri, bounds=QUICK)
    hints = door.hints()
    async with door:
        await anext(hints)
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.01)
                turns += 1

        turning = asyncio.create_task(turn())
        threads = threading.active_count()
        private_libvirt.sigstop()
        try:
            until = time.monotonic() + 6
            while time.monotonic() < until:
                with pytest.raises(HypervisorError):
                    await door.domain(phone.uuid)
                assert not door.connected
                assert threading.active_count() <= threads + QUICK.stuck + 2  # and one opener, one closer
                await asyncio.sleep(0.05)
            assert turns > 20  # a call on the loop would hold it for as long as libvirtd is frozen
        finally:
            private_libvirt.sigcont()
        await heard(hints, "")
        async with asyncio.timeout(PATIENCE):
            while not door.connected:  # calls are refused until the stuck ones have come back
                with contextlib.suppress(HypervisorError):
                    assert await door.domain(phone.uuid) is not None
                await asyncio.sleep(0.05)
        turning.cancel()
        async with asyncio.timeout(PATIENCE):
            while threading.active_count() > threads + 1:
                await asyncio.sleep(0.05)


async def test_leaving_while_libvirtd_is_frozen(private_libvirt: PrivateLibvirt) -> None:
    """The daemon's shutdown is not delayed by a hung libvirtd."""
    try:
        async with LibvirtHypervisor(private_libvirt.connect_uri, bounds=replace(QUICK, keepalive_interval=3_600)) as door:
            private_libvirt.sigstop()
            with pytest.raises(HypervisorError, match="no answer within"):
                await door.domains()
        assert "libvirt close" in [thread.name for thread in threading.enumerate()]  # it waits for libvirtd, and nobody waits for it
    finally:
        private_libvirt.sigcont()


async def test_the_process_ends_while_libvirtd_is_frozen(private_libvirt: PrivateLibvirt) -> None:
    """Not only the loop: the interpreter too."""
    program = f"""
import asyncio, os, signal
from wiped.errors import HypervisorError
from wiped.virt.bounds import Bounds
from wiped.virt.connection import LibvirtHypervisor
async def main():
    async with LibvirtHypervisor({private_libvirt.connect_uri!r}, bounds=Bounds(call=0.3, sweep=0.3)) as door:
        assert door.connected, door.fault
        os.kill({private_libvirt.libvirtd_pid}, signal.SIGSTOP)
        try:
            await door.domains()
        except HypervisorError:
            print("given up", flush=True)
asyncio.run(main())
"""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await child.communicate()
    finally:
        private_libvirt.sigcont()
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    assert (out, err, child.returncode) == (b"given up\n", b"", 0)


async def test_down_at_the_start(private_libvirt: PrivateLibvirt) -> None:
    """The door opens by itself when libvirtd comes up later."""
    private_libvirt.stop_libvirtd()
    # Entering waits for a connection as long as `open` says, here in vain; an attempt that takes longer is waited for again.
    door = LibvirtHypervisor(private_libvirt.connect_uri, bounds=replace(PATIENT, open=1))
    hints = door.hints()
    async with door:
        with pytest.raises(HypervisorError, match="not connected"):
            await door.domains()
        await asyncio.to_thread(private_libvirt.start_libvirtd)
        await heard(hints, "")
        assert await door.domains() == ()


async def test_undefine_with_everything_gone(private_libvirt: PrivateLibvirt) -> None:
    """After the eraser removed RAM image, NVRAM, disk (with its internal snapshot) and overlay under libvirt, the definition still goes, at the first call."""
    libvirt = private_libvirt
    code, nvram = libvirt.workdir / "code.fd", libvirt.path("/var/lib/libvirt/qemu/nvram") / "phone_VARS.fd"
    code.write_bytes(bytes(1 << 18))
    nvram.parent.mkdir(parents=True, exist_ok=True)
    nvram.write_bytes(bytes(1 << 18))
    inside = "/var/lib/libvirt/qemu/nvram/phone_VARS.fd"
    phone = BarePhone(libvirt, "phone", os_extra=f"<loader readonly='yes' type='pflash'>{code}</loader><nvram>{inside}</nvram>").define()
    overlay = phone.directory / "overlay"
    libvirt.virsh("snapshot-create-as", phone.uuid, "outside", "--disk-only", "--diskspec", f"vda,file={overlay}")
    libvirt.virsh("start", phone.uuid)
    libvirt.virsh("managedsave", phone.uuid)
    save = libvirt.path("/var/lib/libvirt/qemu/save/phone.save")
    async with LibvirtHypervisor(libvirt.connect_uri, bounds=PATIENT) as door:
        facts = await door.domain(phone.uuid)
        assert facts is not None
        assert (facts.has_managed_save, facts.nvram, facts.snapshots) == (True, inside, ("outside",))
        for path in (save, nvram, overlay, phone.disk):
            path.unlink()
        await door.undefine(phone.uuid)
        assert await door.domains() == ()
    left = [path for path in libvirt.path("/var/lib/libvirt/qemu").rglob("*phone*") if path.is_file()]
    assert left == []


async def test_undefine_keeps_every_file(private_libvirt: PrivateLibvirt) -> None:
    """libvirt is never made to unlink: NVRAM, disk and (where swtpm-tools is installed) the TPM's state stay, so that what was not proven can be found."""
    libvirt = private_libvirt
    code, nvram = libvirt.workdir / "code.fd", libvirt.workdir / "phone_VARS.fd"
    code.write_bytes(bytes(1 << 18))
    nvram.write_bytes(bytes(1 << 18))
    tpm = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>" if shutil.which("swtpm_setup") else ""
    phone = BarePhone(
        libvirt, "phone", os_extra=f"<loader readonly='yes' type='pflash'>{code}</loader><nvram>{nvram}</nvram>", devices=tpm
    ).define()  # fmt: skip
    libvirt.virsh("snapshot-create-as", phone.uuid, "s", "--disk-only", "--diskspec", f"vda,file={phone.directory / 'o'}")
    state = libvirt.path(f"/var/lib/libvirt/swtpm/{phone.uuid}") / "tpm2" / "tpm2-00.permall"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"state")
    async with LibvirtHypervisor(libvirt.connect_uri, bounds=PATIENT) as door:
        await door.undefine(phone.uuid)
        assert await door.domains() == ()
    assert [path.exists() for path in (nvram, state, phone.disk, phone.directory / "o")] == [True] * 4


async def test_undefine_after_libvirtd_forgot(private_libvirt: PrivateLibvirt) -> None:
    """The same with a restart of libvirtd between the removal and the undefining."""
    phone = BarePhone(private_libvirt, "phone").define(start=True)
    private_libvirt.virsh("snapshot-create-as", phone.uuid, "inside")
    private_libvirt.virsh("managedsave", phone.uuid)
    private_libvirt.path("/var/lib/libvirt/qemu/save/phone.save").unlink()
    phone.disk.unlink()
    private_libvirt.restart()
    async with LibvirtHypervisor(private_libvirt.connect_uri, bounds=PATIENT) as door:
        await door.undefine(phone.uuid)
        assert await door.domains() == ()


async def test_a_fence_stops_a_start_and_its_lifting_allows_it(private_libvirt: PrivateLibvirt) -> None:
    """Our fence file and the shipped hook under a real libvirtd: by UUID, by disk under another UUID, across a restart; and when the hook counts as loaded."""
    libvirt = private_libvirt
    fences = FenceFiles(
        str(libvirt.path("/var/lib/wiped/fence")),
        hook_directory=str(libvirt.path("/etc/libvirt/hooks/qemu.d")),
        pid_files=[str(libvirt.workdir / "no.pid")],
    )
    assert "not installed" in await fences.hook_fault()
    libvirt.install_hook(HOOK)
    assert await fences.hook_fault() == ""
    phone = BarePhone(libvirt, "phone").define()
    thief = BarePhone(libvirt, "thief")
    thief.disk = phone.disk
    thief.define()
    stat = phone.disk.stat()
    async with LibvirtHypervisor(libvirt.connect_uri, bounds=PATIENT) as door:
        await fences.put(phone.uuid, [str(phone.disk)], [FileIdentity(stat.st_dev, stat.st_ino)], [])
        for uuid in (phone.uuid, thief.uuid):
            with pytest.raises(HypervisorError, match="fenced"):
                await door.start(uuid)
        libvirt.restart()
        assert await door.wait_connected(PATIENCE)
        hints = door.hints()
        with contextlib.suppress(TimeoutError):  # the connection may have been back before anybody listened
            async with asyncio.timeout(1):
                await heard(hints, "")
        with pytest.raises(HypervisorError, match="fenced"):
            await door.start(phone.uuid)
        await fences.lift(phone.uuid)
        await door.start(phone.uuid)
        facts = await door.domain(phone.uuid)
        assert facts is not None
        assert facts.state is DomainState.RUNNING


async def test_the_hooks_own_mark_proves_that_it_is_loaded(private_libvirt: PrivateLibvirt) -> None:
    """A hook that came after libvirtd's start is not known to be loaded; after a reload and one start of any phone its mark says so."""
    libvirt = private_libvirt
    pid_file, stat_of = libvirt.workdir / "libvirtd.pid", libvirt.libvirtd_pid
    pid_file.write_text(f"{stat_of}\n")
    mark = libvirt.workdir / "mark"

    def fences() -> FenceFiles:
        return FenceFiles(
            hook_directory=str(libvirt.path("/etc/libvirt/hooks/qemu.d")),  pid_files=[str(pid_file)], seen_file=str(mark)
        )  # fmt: skip

    time.sleep(0.05)
    libvirt.install_hook(HOOK)
    assert "not known to be loaded" in await fences().hook_fault()
    BarePhone(libvirt, "phone").define(start=True)
    # The hook wrote the process id of its own namespace; seen from here libvirtd has another.
    inside, ticks = libvirt.path("/run/wiped-hook-seen").read_text().split()
    assert inside == libvirt.path("/run/libvirtd.pid").read_text().strip()
    mark.write_text(f"{stat_of} {ticks}\n")
    assert await fences().hook_fault() == ""
