"""The fake that the conduct tests run on, held to the same contract as the real door."""

from __future__ import annotations

import itertools

import pytest

from tests.contract.hypervisor import HypervisorContract
from tests.fakes.host import FakeHost
from tests.fakes.ports import FakeHypervisor
from wiped.ports.libvirt import Hypervisor


class TestFake(HypervisorContract):
    """The contract, with `FakeHost` behind the port."""

    @pytest.fixture
    def host(self) -> FakeHost:
        ticks = itertools.count()
        return FakeHost(lambda: float(next(ticks)))

    @pytest.fixture
    def phone(self, host: FakeHost) -> str:
        return host.add_phone(1, running=True)

    @pytest.fixture
    async def hypervisor(self, host: FakeHost) -> Hypervisor:
        return FakeHypervisor(host)
