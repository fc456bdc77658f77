"""The contract of the port Hypervisor, for the real door and for the fake.

A subclass gives a fixture `hypervisor`: an object of the port, connected, in a running event loop, whose host has at least one
domain, running and persistent, with the UUID of the fixture `phone`. Each test gets a host of its own. To run it elsewhere::

    class TestFake(HypervisorContract):
        @pytest.fixture
        async def hypervisor(self): ...
        @pytest.fixture
        def phone(self) -> str: ...
"""

from __future__ import annotations

import asyncio

import pytest

from tests.patience import PATIENCE
from wiped.errors import HypervisorError
from wiped.model.inventory import DomainState
from wiped.ports.libvirt import Hypervisor

NOBODY = "00000000-1111-4222-8333-444444444444"


class HypervisorContract:
    """What every Hypervisor does. Idempotency, absent domains, hints."""

    @pytest.fixture
    def phone(self) -> str:
        """UUID of a running, persistent domain."""
        raise NotImplementedError

    @pytest.fixture
    async def hypervisor(self) -> Hypervisor:
        """A connected object of the port."""
        raise NotImplementedError

    async def test_connected(self, hypervisor: Hypervisor) -> None:
        """After a contact that succeeded."""
        await hypervisor.domains()
        assert hypervisor.connected is True

    async def test_all_domains_hold_the_one(self, hypervisor: Hypervisor, phone: str) -> None:
        """The list and the single look say the same of a domain, UUIDs in lower case and once each."""
        everyone = await hypervisor.domains()
        uuids = [facts.uuid for facts in everyone]
        assert sorted(set(uuids)) == sorted(uuids)
        assert all(uuid == uuid.lower() for uuid in uuids)
        (mine,) = [facts for facts in everyone if facts.uuid == phone]
        assert await hypervisor.domain(phone) == mine
        assert (mine.state, mine.persistent) == (DomainState.RUNNING, True)

    async def test_an_unknown_domain_is_none(self, hypervisor: Hypervisor) -> None:
        """No domain is an answer, not an error."""
        assert await hypervisor.domain(NOBODY) is None

    async def test_destroy_is_idempotent(self, hypervisor: Hypervisor, phone: str) -> None:
        """Stopped once, stopped twice; then it is shut off, and a shutdown of it is no error either."""
        await hypervisor.destroy(phone)
        await hypervisor.destroy(phone)
        await hypervisor.shutdown(phone)
        facts = await hypervisor.domain(phone)
        assert facts is not None
        assert facts.state is DomainState.SHUTOFF

    async def test_start_again(self, hypervisor: Hypervisor, phone: str) -> None:
        """A stopped domain runs after a start, and a second start is no error."""
        await hypervisor.destroy(phone)
        await hypervisor.start(phone)
        await hypervisor.start(phone)
        facts = await hypervisor.domain(phone)
        assert facts is not None
        assert facts.state is DomainState.RUNNING

    async def test_autostart_is_what_was_set(self, hypervisor: Hypervisor, phone: str) -> None:
        """On, on again, off, off again."""
        for on in (True, True, False, False):
            await hypervisor.set_autostart(phone, on)
            facts = await hypervisor.domain(phone)
            assert facts is not None
            assert facts.autostart is on

    async def test_undefine_is_idempotent(self, hypervisor: Hypervisor, phone: str) -> None:
        """After it there is no domain, and doing it again is no error."""
        await hypervisor.destroy(phone)
        await hypervisor.undefine(phone)
        await hypervisor.undefine(phone)
        assert await hypervisor.domain(phone) is None
        assert phone not in {facts.uuid for facts in await hypervisor.domains()}

    async def test_a_running_domain_is_not_undefined(self, hypervisor: Hypervisor, phone: str) -> None:
        """Undefining it would leave a transient domain that still has the disks open."""
        with pytest.raises(HypervisorError):
            await hypervisor.undefine(phone)
        facts = await hypervisor.domain(phone)
        assert facts is not None
        assert (facts.state, facts.persistent) == (DomainState.RUNNING, True)

    async def test_nobody_is_stopped_quietly_and_started_never(self, hypervisor: Hypervisor) -> None:
        """Stopping, undefining or quieting a domain that is not there changes nothing; starting it is an error."""
        before = await hypervisor.domains()
        await hypervisor.shutdown(NOBODY)
        await hypervisor.destroy(NOBODY)
        await hypervisor.undefine(NOBODY)
        await hypervisor.set_autostart(NOBODY, False)
        with pytest.raises(HypervisorError):
            await hypervisor.start(NOBODY)
        assert await hypervisor.domains() == before

    async def test_no_secret_is_no_error(self, hypervisor: Hypervisor) -> None:
        """Undefining a secret that is not there, again and again, changes nothing."""
        before = await hypervisor.domains()
        await hypervisor.undefine_secret(NOBODY)
        await hypervisor.undefine_secret(NOBODY)
        assert await hypervisor.domains() == before

    async def test_no_ephemeral_secret_is_no_error(self, hypervisor: Hypervisor) -> None:
        """Nor where the driver knows nothing of secrets."""
        before = await hypervisor.domains()
        await hypervisor.undefine_ephemeral(NOBODY)
        assert await hypervisor.domains() == before

    async def test_a_stop_is_hinted(self, hypervisor: Hypervisor, phone: str) -> None:
        """Who listens hears the UUID (or "look at everything") soon."""
        hints = hypervisor.hints()
        listener = asyncio.ensure_future(anext(hints))
        await asyncio.sleep(0)
        await hypervisor.destroy(phone)
        assert await asyncio.wait_for(listener, PATIENCE) in (phone, "")

    async def test_a_stop_is_no_migration(self, hypervisor: Hypervisor, phone: str) -> None:
        """Stopped and undefined here, a phone has not left for another host."""
        await hypervisor.destroy(phone)
        await hypervisor.undefine(phone)
        await asyncio.sleep(0.1)
        assert hypervisor.migrated_away() == frozenset()
