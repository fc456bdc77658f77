"""The libvirt door on a real libvirtd: the port's contract, and every kind of domain that a host may hold."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.hypervisor import HypervisorContract
from tests.lab.phones import BarePhone
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.patience import Work
from wiped.errors import HypervisorError
from wiped.model.inventory import DiskSource, DomainState, JobKind
from wiped.ports.libvirt import Hypervisor
from wiped.virt.connection import LibvirtHypervisor
from wiped.virt.domain_xml import merge, parse_domain

NewPhone = Callable[..., BarePhone]


@pytest.fixture
def new_phone(module_libvirt: PrivateLibvirt) -> Iterator[NewPhone]:
    """Makes phones that are gone after the test."""
    made: list[BarePhone] = []

    def make(**options: str) -> BarePhone:
        made.append(BarePhone(module_libvirt, f"phone-{uuid.uuid4()}", **options))
        return made[-1]

    yield make
    for phone in made:
        phone.forget()


@pytest.fixture
async def door(module_libvirt: PrivateLibvirt) -> AsyncIterator[LibvirtHypervisor]:
    """A connected door."""
    async with LibvirtHypervisor(module_libvirt.connect_uri) as hypervisor:
        yield hypervisor


class TestRealLibvirt(HypervisorContract):
    """The contract, with libvirtd and QEMU behind the door."""

    @pytest.fixture
    def phone(self, new_phone: NewPhone) -> str:
        return new_phone().define(start=True).uuid

    @pytest.fixture
    async def hypervisor(self, door: LibvirtHypervisor) -> Hypervisor:
        return door


async def test_inactive_and_running(door: LibvirtHypervisor, new_phone: NewPhone) -> None:
    """A shut-off phone has its inactive disks; a running one the live ones too; logs, trim and autostart are seen."""
    off, on = new_phone().define(), new_phone().define(start=True)
    await door.set_autostart(on.uuid, True)
    by_uuid = {facts.uuid: facts for facts in await door.domains()}
    assert by_uuid[off.uuid].state is DomainState.SHUTOFF
    assert by_uuid[off.uuid].disks == (DiskSource("vda", "file", str(off.disk), "qcow2", origin="inactive", discard=True),)
    facts = by_uuid[on.uuid]
    assert (facts.name, facts.state, facts.persistent, facts.autostart, facts.job) == (on.name, DomainState.RUNNING, True, True, JobKind.NONE)
    assert [(disk.location, disk.origin) for disk in facts.disks] == [(str(on.disk), "live"), (str(on.disk), "inactive")]
    assert facts.console_logs == (str(on.log),)


async def test_transient_and_paused(door: LibvirtHypervisor, new_phone: NewPhone, module_libvirt: PrivateLibvirt) -> None:
    """A transient phone is one while it runs; autostart of it is no error; after its stop it is no more."""
    phone = new_phone()
    module_libvirt.create(phone.xml)
    module_libvirt.virsh("suspend", phone.uuid)
    facts = await door.domain(phone.uuid)
    assert facts is not None
    assert (facts.state, facts.persistent) == (DomainState.PAUSED, False)
    assert {disk.origin for disk in facts.disks} == {"live"}
    await door.set_autostart(phone.uuid, False)
    await door.undefine(phone.uuid)
    await door.destroy(phone.uuid)
    assert await door.domain(phone.uuid) is None


async def test_managed_save(door: LibvirtHypervisor, new_phone: NewPhone, module_libvirt: PrivateLibvirt) -> None:
    """A phone whose RAM stands on disk says so; undefining it while it does is refused."""
    phone = new_phone().define(start=True)
    module_libvirt.virsh("managedsave", phone.uuid)
    facts = await door.domain(phone.uuid)
    assert facts is not None
    assert (facts.has_managed_save, facts.state) == (True, DomainState.SHUTOFF)
    with pytest.raises(HypervisorError, match="managed save"):
        await door.undefine(phone.uuid)
    assert await door.domain(phone.uuid) is not None


async def test_snapshots(door: LibvirtHypervisor, new_phone: NewPhone, module_libvirt: PrivateLibvirt) -> None:
    """An external snapshot with RAM: the overlay is live, the former disk and the RAM file are named by the snapshot; an internal one has no files."""
    phone = new_phone().define(start=True)
    overlay, memory = phone.directory / "overlay.qcow2", phone.directory / "ram"
    module_libvirt.virsh("snapshot-create-as", phone.uuid, "first", "--memspec", f"file={memory}", "--diskspec", f"vda,file={overlay}")
    facts = await door.domain(phone.uuid)
    assert facts is not None
    assert (facts.snapshots, facts.has_snapshot_memory, facts.snapshot_memory_files) == (("first",), True, (str(memory),))
    assert {(disk.location, disk.origin) for disk in facts.disks} == {
        (str(overlay), "live"), (str(overlay), "inactive"), (str(phone.disk), "snapshot"), (str(overlay), "snapshot")}  # fmt: skip
    internal = new_phone().define()
    module_libvirt.virsh("snapshot-create-as", internal.uuid, "inside")
    facts = await door.domain(internal.uuid)
    assert facts is not None
    assert (facts.snapshots, facts.has_snapshot_memory) == (("inside",), False)


async def test_volume_disks(door: LibvirtHypervisor, new_phone: NewPhone, module_libvirt: PrivateLibvirt) -> None:
    """A disk named by pool and volume is found while its pool is active, and stays without a place when it is not."""
    phone = new_phone()
    phone.devices = (
        "<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='p' volume='extra'/><target dev='vdb' bus='virtio'/></disk>"
    )
    module_libvirt.virsh("pool-create-as", "p", "dir", "--target", phone.directory)
    extra = phone.image("extra")
    module_libvirt.virsh("pool-refresh", "p")
    phone.define(start=True)

    async def places() -> set[tuple[str, str]]:
        facts = await door.domain(phone.uuid)
        assert facts is not None
        return {(disk.location, disk.origin) for disk in facts.disks if disk.type == "volume"}

    assert await places() == {(str(extra), "live"), (str(extra), "inactive")}
    await door.destroy(phone.uuid)
    module_libvirt.virsh("pool-destroy", "p")
    assert await places() == {("", "inactive")}


async def test_libvirts_own_files_say_the_same(door: LibvirtHypervisor, new_phone: NewPhone, module_libvirt: PrivateLibvirt) -> None:
    """What the root helpers read from libvirt's files equals what libvirt says: live status, configuration, snapshots."""
    phone = new_phone().define(start=True)
    module_libvirt.virsh("snapshot-create-as", phone.uuid, "s", "--disk-only", "--diskspec", f"vda,file={phone.directory / 'over'}")
    asked = await door.domain(phone.uuid)
    assert asked is not None
    status = module_libvirt.path(f"/run/libvirt/qemu/{phone.name}.xml").read_bytes()
    config = module_libvirt.path(f"/etc/libvirt/qemu/{phone.name}.xml").read_bytes()
    snapshot = module_libvirt.path(f"/var/lib/libvirt/qemu/snapshot/{phone.name}/s.xml").read_bytes()
    read = merge(
        parse_domain(status, origin="status"), parse_domain(config, origin="inactive"), parse_domain(snapshot, origin="snapshot"))  # fmt: skip
    assert read == asked


async def test_a_frozen_emulator_hides_nobody_and_a_save_is_seen(door: LibvirtHypervisor, new_phone: NewPhone, module_libvirt: PrivateLibvirt) -> None:
    """With a phone whose emulator hangs, and a save of it under way, the sweep is complete, waits for no emulator, and tells that a job holds the phone."""
    phone, other = new_phone().define(start=True), new_phone().define(start=True)
    emulator = phone.emulator()
    os.kill(emulator, signal.SIGSTOP)
    save = module_libvirt.popen(["virsh", "-q", "managedsave", phone.uuid], stdout=subprocess.DEVNULL)
    try:
        await asyncio.sleep(1)
        began = time.monotonic()
        by_uuid = {facts.uuid: facts for facts in await door.domains()}
        assert time.monotonic() - began < 30  # libvirt itself waits that long for an emulator (QEMU_JOB_WAIT_TIME): nobody asked this one
        assert by_uuid[phone.uuid].job is not JobKind.NONE
        assert by_uuid[other.uuid].state is DomainState.RUNNING
        assert by_uuid[other.uuid].job is JobKind.NONE
    finally:
        os.kill(emulator, signal.SIGCONT)
        assert save.wait() == 0
    facts = await door.domain(phone.uuid)
    assert facts is not None
    assert (facts.has_managed_save, facts.job) == (True, JobKind.NONE)


async def test_a_starting_phone_is_hinted_at_once(door: LibvirtHypervisor, new_phone: NewPhone, module_libvirt: PrivateLibvirt) -> None:
    """The event of a start made by somebody else arrives, with that UUID, within a second of it."""
    phone = new_phone().define()
    hints = door.hints()
    await asyncio.to_thread(module_libvirt.virsh, "start", phone.uuid)
    async with asyncio.timeout(1):
        while await anext(hints) != phone.uuid:
            pass


async def test_phones_that_come_and_go_during_the_sweep(door: LibvirtHypervisor, new_phone: NewPhone, module_libvirt: PrivateLibvirt) -> None:
    """While others are defined and undefined, every sweep succeeds and holds the one that stays."""
    stays, restless = new_phone().define(), [new_phone() for _ in range(4)]
    stop, rounds = asyncio.Event(), 0

    async def churn() -> None:
        nonlocal rounds
        while not stop.is_set():
            rounds += 1
            for phone in restless:
                await asyncio.to_thread(phone.define)
                await asyncio.to_thread(module_libvirt.virsh, "snapshot-create-as", phone.uuid, "s", check=False)
            for phone in restless:
                await asyncio.to_thread(module_libvirt.virsh, "undefine", phone.uuid, "--snapshots-metadata")

    task = asyncio.create_task(churn())
    sweeps = 0
    while sweeps <= 20 or rounds < 3:
        assert stays.uuid in {facts.uuid for facts in await door.domains()}
        sweeps += 1
    stop.set()
    await task


async def test_odd_names_are_only_names(door: LibvirtHypervisor, new_phone: NewPhone) -> None:
    """libvirt takes a domain called `*`, or one with markup in it; it is found by its UUID, and read right."""
    for name, shown in (("*", "*"), ("a&amp;b &lt;x&gt; 'q' ü", "a&b <x> 'q' ü")):
        phone = new_phone()
        phone.name = name
        phone.define()
        facts = await door.domain(phone.uuid)
        assert facts is not None
        assert facts.name == shown
        await door.undefine(phone.uuid)


@pytest.mark.long
async def test_a_sweep_of_five_hundred_is_little_work(door: LibvirtHypervisor, new_phone: NewPhone, module_libvirt: PrivateLibvirt, tmp_path: Path) -> None:
    """The density of a real host: one sweep is little work, and the loop keeps turning meanwhile."""
    template = new_phone()
    identities = [str(uuid.uuid4()) for _ in range(500)]
    script = tmp_path / "define"
    lines = []
    for number, identity in enumerate(identities):
        path = tmp_path / f"{number}.xml"
        path.write_text(template.xml.replace(template.uuid, identity).replace(template.name, f"many-{number}"))
        lines.append(f"define {path}")
    script.write_text("\n".join(lines))
    module_libvirt.run(["virsh", "-q", "-c", module_libvirt.uri], stdin_text=script.read_text())
    try:
        turns = 0
        with Work() as work:
            sweep = asyncio.create_task(door.domains())
            while not sweep.done():
                await asyncio.sleep(0.005)
                turns += 1
        assert set(identities) <= {facts.uuid for facts in await sweep}
        print(f"sweep of 500: {work.units:.0f} units of work, {turns} turns of the loop meanwhile")
        assert work.units < 150
        assert turns > 10
    finally:
        module_libvirt.run(["virsh", "-q", "-c", module_libvirt.uri], stdin_text="\n".join(f"undefine {identity}" for identity in identities))
    wait_for(lambda: "many-" not in module_libvirt.virsh("list", "--all", "--name").stdout, "the many phones gone")
