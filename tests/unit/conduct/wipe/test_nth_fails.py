"""The n-th call of a port fails, n rising until a wipe passes untouched: no false `clear`, nothing foreign changed, and the next start finishes.

Layer by layer (libvirt, ledger, fences, records, observer, eraser), in three ways: the call fails before it did anything, it did everything and its answer is
lost, and it fails for ever from the n-th on.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.unit.conduct.ends import proven
from tests.unit.conduct.rig import Rig
from wiped.conduct.results import Ending
from wiped.conduct.wipe.run import Executor
from wiped.errors import HelperError, HypervisorError, LedgerError, StorageError, WipedError
from wiped.model.records import WipeRecord, WipeStep

WAYS = ("before", "after", "for-ever")
GOLDEN = b"GOLDEN".ljust(8192, b".")


@dataclass
class Fault:
    """Counts the calls of one layer; the `at`-th fails (0 is the first)."""

    way: str
    at: int
    error: Callable[[], Exception]
    seen: int = 0
    fired: bool = False

    def due(self) -> bool:
        """Whether this call fails."""
        number, self.seen = self.seen, self.seen + 1
        hit = number >= self.at if self.way == "for-ever" else number == self.at
        self.fired = self.fired or hit
        return hit


class Failing:
    """A port with a fault in it: every coroutine function and every attribute that is a port itself."""

    def __init__(self, port: Any, fault: Fault) -> None:
        self._port, self._fault = port, fault

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if name == "session":
            return self._session
        if inspect.iscoroutinefunction(found):
            return self._wrapped(found)
        if type(found).__module__.startswith(("tests.fakes.ledger", "wiped.record")):
            return Failing(found, self._fault)
        return found

    def _wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*words: Any, **named: Any) -> Any:
            due = self._fault.due()
            if due and self._fault.way != "after":
                raise self._fault.error()
            answer = await function(*words, **named)
            if due:
                raise self._fault.error()
            return answer

        return call

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Any]:
        async with self._port.session() as session:
            yield Failing(session, self._fault)


LAYERS: dict[str, Callable[[], Exception]] = {
    "hypervisor": lambda: HypervisorError("the n-th call"),
    "ledger": lambda: LedgerError("the n-th transaction"),
    "fences": lambda: StorageError("the n-th file"),
    "sheets": lambda: StorageError("the n-th record"),
    "observer": lambda: HelperError("the n-th message"),
    "eraser": lambda: HelperError("the n-th message"),
}


async def told(rig: Rig) -> None:
    """What must hold at any moment: who is certified has no byte left."""
    for record in rig.ledger.certificates.issued:  # type: ignore[attr-defined]
        if record.kind == "certificate":
            assert rig.host.remains("SECRET of phone-1") == 0


async def finish(rig: Rig, wipe: WipeRecord) -> None:
    """New daemons, until it is over: quarantine is left when its next attempt is due."""
    for _ in range(4):
        if await rig.survive(wipe.id) is Ending.RELEASED:
            return
        found = await rig.ledger.wipes.get(wipe.id)
        assert found is not None
        assert found.step is WipeStep.QUARANTINED
        assert found.retry_at is not None, found.reasons
        rig.clock.move((found.retry_at - rig.clock.now()).total_seconds() + 1)
    raise AssertionError("the wipe never ends")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", list(LAYERS))
async def test_the_nth_call_fails(layer: str, way: str) -> None:
    """For every n until none fails any more."""
    points = 0
    while True:
        rig = Rig()
        golden = rig.host.add_file("/golden/base.qcow2", GOLDEN)
        uuid = rig.host.add_phone(1, running=True, golden="/golden/base.qcow2", saved=True)
        rig.host.add_phone(2, golden="/golden/base.qcow2")
        wipe = await rig.begun(uuid)
        await rig.reboot()
        fault = Fault(way, points, LAYERS[layer])
        rig.world = replace(rig.world, **{layer: Failing(getattr(rig.world, layer), fault)})
        rig.executor = Executor(rig.world)
        for _ in range(3):
            with suppress(WipedError):
                await rig.run(wipe.id)
            await told(rig)
        await finish(rig, wipe)
        await proven(rig, uuid, "phone-1")
        assert bytes(golden.data) == GOLDEN
        assert rig.host.remains("SECRET of phone-2") > 0
        if not fault.fired:
            break
        points += 1
    print(f"{layer} {way}: {points} points")
    assert points >= {"sheets": 2, "fences": 4, "hypervisor": 8}.get(layer, 6)
