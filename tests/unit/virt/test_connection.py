"""The door against libvirt's own in-memory driver: the contract, and what only the real one can show without a host."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.hypervisor import HypervisorContract
from tests.patience import PATIENCE
from wiped.errors import HypervisorError, InputError
from wiped.model.inventory import DiskSource
from wiped.ports.libvirt import Hypervisor
from wiped.virt.bounds import Bounds
from wiped.virt.connection import LibvirtHypervisor

PHONE = "6f1f7a5e-53b1-4c6a-9d3b-0123456789ab"
HOST = f"""<node><domain type='test'><name>phone-1</name><uuid>{PHONE}</uuid><memory>8192</memory><os><type>hvm</type></os>
<devices><disk type='file' device='disk'><driver type='qcow2'/><source file='/srv/pool/phone-1.qcow2'/><target dev='vda'/></disk>
<disk type='volume' device='disk'><source pool='p1' volume='v1'/><target dev='vdb'/></disk>
<disk type='volume' device='disk'><source pool='p1' volume='none'/><target dev='vdc'/></disk></devices></domain>
<pool type='dir'><name>p1</name><target><path>/srv/pool</path></target><volume><name>v1</name><capacity>1</capacity>
<target><path>/srv/pool/v1</path></target></volume></pool></node>"""
QUICK = Bounds(open=0.3, call=0.3, sweep=0.3, destroy=0.3, start=0.3, backoff_first=0.05, backoff_most=0.2, keepalive_interval=1, keepalive_count=1,
               threads=3, stuck=2)  # fmt: skip


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """A test host of its own."""
    (tmp_path / "host.xml").write_text(HOST)
    return f"test://{tmp_path}/host.xml"


class TestInMemoryDriver(HypervisorContract):
    """The contract, with libvirt's test driver behind the door: one host for all connections of a process, gone with the last."""

    @pytest.fixture
    def phone(self) -> str:
        return "6695eb01-f6a4-8304-79aa-97f2502e193f"  # of the driver's one domain

    @pytest.fixture
    async def hypervisor(self) -> AsyncIterator[Hypervisor]:
        async with LibvirtHypervisor("test:///default") as door:
            yield door
        await asyncio.to_thread(closed)

    async def test_no_secret_is_no_error(self, hypervisor: Hypervisor) -> None:
        """A driver that knows nothing of secrets cannot say that there is none: an error, not silence."""
        with pytest.raises(HypervisorError, match="not supported"):
            await hypervisor.undefine_secret(PHONE)


def closed() -> None:
    """Wait until the listening connection is closed, and with it the in-memory host gone."""
    for thread in threading.enumerate():
        if thread.name == "libvirt close":
            thread.join(5)


async def test_disks_of_a_domain(uri: str) -> None:
    """Live and inactive sources; a volume is resolved through its pool, an unknown one stays without a place."""
    async with LibvirtHypervisor(uri) as door:
        facts = await door.domain(PHONE)
    assert facts is not None
    expected = [
        disk
        for origin in ("live", "inactive")
        for disk in (
            DiskSource("vda", "file", "/srv/pool/phone-1.qcow2", "qcow2", origin=origin),
            DiskSource("vdb", "volume", "/srv/pool/v1", "", pool="p1", volume="v1", origin=origin),
            DiskSource("vdc", "volume", "", "", pool="p1", volume="none", origin=origin),
        )
    ]
    assert list(facts.disks) == expected


async def test_first_connection_rings_for_everything(uri: str) -> None:
    """A new connection means that anything may have happened before."""
    door = LibvirtHypervisor(uri)
    hints = door.hints()
    async with door:
        assert await asyncio.wait_for(anext(hints), PATIENCE) == ""


async def test_without_libvirt_every_call_is_an_error_at_once(tmp_path: Path) -> None:
    """The daemon lives on; the error says why there is no connection; when the host appears, the door opens by itself."""
    door = LibvirtHypervisor(f"test://{tmp_path}/host.xml", bounds=QUICK)
    async with door:
        assert door.connected is False
        with pytest.raises(HypervisorError, match="not connected"):
            await door.domains()
        assert "cannot connect" in door.fault
        (tmp_path / "host.xml").write_text(HOST)
        assert await door.wait_connected(PATIENCE)
        assert [facts.uuid for facts in await door.domains()] == [PHONE]
        assert door.fault == ""


async def test_libvirts_errors_are_not_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """libvirt's habit of writing to stderr is switched off."""
    async with LibvirtHypervisor(f"qemu:///system?socket={tmp_path}/none", bounds=QUICK) as door:
        await asyncio.sleep(0.2)
        assert "none" in door.fault
    assert capfd.readouterr().err == ""


async def test_a_libvirt_that_never_answers_costs_one_thread(tmp_path: Path) -> None:
    """A socket that accepts and says nothing: bounded waits, one opener however long, the loop turns, closing is immediate."""
    path = str(tmp_path / "mute")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(100)
    try:
        before = threading.active_count()
        door = LibvirtHypervisor(f"qemu:///system?socket={path}", bounds=QUICK)
        async with door:
            turns = 0
            until = time.monotonic() + 1.5
            while time.monotonic() < until or turns <= 75:  # a loop that the opening holds up never gets there
                turns += 1
                await asyncio.sleep(0.01)
            with pytest.raises(HypervisorError, match="no answer within"):
                await door.domains()
            openers = [thread for thread in threading.enumerate() if thread.name == "libvirt open"]
            assert len(openers) == 1
            assert threading.active_count() <= before + 2  # the opener, and libvirt's event loop if this test came first
        assert openers[0].is_alive()  # nobody answers it, and leaving did not wait for it
    finally:
        listener.close()  # connections in its queue are reset: the opener ends
    for opener in openers:
        await asyncio.to_thread(opener.join, PATIENCE)
        assert not opener.is_alive()


async def test_a_name_is_no_key(uri: str) -> None:
    """Only UUIDs address a domain; libvirt would also take other things."""
    async with LibvirtHypervisor(uri) as door:
        for wrong in ("phone-1", "*", PHONE.upper(), PHONE.replace("-", "")):
            with pytest.raises(InputError):
                await door.destroy(wrong)
            with pytest.raises(InputError):
                await door.domain(wrong)


async def test_back_off_doubles_to_its_cap_with_jitter() -> None:
    """Half to all of first x 2^n, never above the cap, however many attempts."""
    low = LibvirtHypervisor("test:///default", bounds=Bounds(backoff_first=1, backoff_most=30), jitter=lambda: 0.0)
    high = LibvirtHypervisor("test:///default", bounds=Bounds(backoff_first=1, backoff_most=30), jitter=lambda: 1.0)
    assert [low._pause(n) for n in (0, 1, 2, 10, 10_000)] == [0.5, 1, 2, 15, 15]
    assert [high._pause(n) for n in (0, 1, 2, 10, 10_000)] == [1, 2, 4, 30, 30]


async def test_an_unfinished_opening_is_closed_when_it_comes_late(uri: str, tmp_path: Path) -> None:
    """Leaving while an opening hangs leaks neither the connection nor its thread."""
    fifo = tmp_path / "late.xml"
    os.mkfifo(fifo)
    async with LibvirtHypervisor(f"test://{fifo}", bounds=QUICK) as door:
        assert door.connected is False
    with fifo.open("w") as file:
        file.write(HOST)
    until = time.monotonic() + PATIENCE
    while any(thread.name in ("libvirt open", "libvirt close") for thread in threading.enumerate()):
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
