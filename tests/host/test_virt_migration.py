"""A phone that leaves for another host, on two real libvirts: told apart from one that was stopped or undefined here."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from tests.lab.phones import BarePhone
from tests.lab.privatelibvirt import PrivateLibvirt, wait_for
from tests.patience import PATIENCE
from wiped.virt.connection import LibvirtHypervisor


@pytest.fixture
def two_hosts() -> Iterator[tuple[PrivateLibvirt, PrivateLibvirt]]:
    """Two libvirts that take themselves for two hosts, with one storage."""
    confs = [f'host_uuid = "{uuid.uuid4()}"\n' for _ in range(2)]
    with PrivateLibvirt(libvirtd_conf=confs[0]) as here, PrivateLibvirt(libvirtd_conf=confs[1]) as there:
        yield here, there


def migrate(phone: BarePhone, source: PrivateLibvirt, target: PrivateLibvirt) -> None:
    """Live, with the definition, over a Unix socket; the disk stays where it is, as on shared storage."""
    words = ["--live", "--persistent", "--undefinesource", "--unsafe", "--migrateuri", f"unix://{target.workdir}/migration.sock"]
    subprocess.run(["virsh", "-q", "-c", source.connect_uri, "migrate", phone.uuid, *words, "--desturi", target.connect_uri], check=True, timeout=PATIENCE)


async def test_a_phone_that_migrated_is_told_apart(two_hosts: tuple[PrivateLibvirt, PrivateLibvirt]) -> None:
    """Gone here in both cases; but the disk of the one is in use elsewhere, and libvirt said so. It stays told when the phone comes back."""
    here, there = two_hosts
    leaving, undefined = BarePhone(here, "leaving").define(start=True), BarePhone(here, "undefined").define(start=True)
    async with LibvirtHypervisor(here.connect_uri) as door, LibvirtHypervisor(there.connect_uri) as other:
        hints = door.hints()
        undefined.forget()
        await asyncio.to_thread(migrate, leaving, here, there)
        async with asyncio.timeout(PATIENCE):
            while await anext(hints) != leaving.uuid or await door.domain(leaving.uuid) is not None:
                pass
        assert {facts.uuid for facts in await door.domains()} == set()
        assert door.migrated_away() == {leaving.uuid}
        assert {facts.uuid for facts in await other.domains()} == {leaving.uuid}
        assert other.migrated_away() == frozenset()
        await asyncio.to_thread(migrate, leaving, there, here)
        await asyncio.to_thread(wait_for, lambda: there.state(leaving.uuid) == "undefined", "its way back")
        async with asyncio.timeout(PATIENCE):
            while not other.migrated_away():
                await asyncio.sleep(0.02)
        assert await door.domain(leaving.uuid) is not None
        assert door.migrated_away() == other.migrated_away() == {leaving.uuid}
