"""Any story that a host can tell: time, renewals, holds, deaths and power cuts in any order. What must hold, holds after each step."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.conduct.rig import GRACE, PowerCut, Rig
from wiped.errors import RefusedError, WipedError
from wiped.model.records import COMMITTED_STEPS, FINAL_STEPS, WipeStep
from wiped.model.subscription import Hold, State

_T = TypeVar("_T")
GOLDEN = b"GOLDEN".ljust(8192, b".")


class AnyStory(RuleBasedStateMachine):
    """Two phones over one golden image, and a third that nobody ever ends."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.rig = Rig()
        self.golden = self.rig.host.add_file("/golden/base.qcow2", GOLDEN)
        self.phones = [self.rig.host.add_phone(number, running=True, golden="/golden/base.qcow2") for number in (1, 2)]
        self.bystander = self.rig.host.add_phone(3, running=True, golden="/golden/base.qcow2")
        self.terms = 0
        self.held: set[str] = set()

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run to the end."""
        return self.runner.run(work)

    def teardown(self) -> None:
        self.runner.close()

    @initialize()
    def begin(self) -> None:
        """Everybody has a term; the bystander's is without end."""
        self.do(self.rig.reconciler.sweep())
        for uuid in self.phones:
            self.do(self.rig.subscribe(uuid))
        self.do(self.rig.subscribe(self.bystander, seconds=10**9))

    @rule(seconds=st.sampled_from([30, 400, 700, GRACE, GRACE + 700, 90_000]))
    def time_passes(self, seconds: int) -> None:
        """A minute or a day."""
        self.rig.clock.move(seconds)

    @rule()
    def sweep(self) -> None:
        """One look at everything."""
        self.do(self.rig.reconciler.sweep())

    @rule(cut_at=st.one_of(st.none(), st.integers(0, 40)))
    def work(self, cut_at: int | None) -> None:
        """The queue is worked off; the power may go."""
        self.rig.milestones.seen.clear()
        self.rig.milestones.cut_at = cut_at
        try:
            self.do(self._work())
        except PowerCut:
            for inode in self.rig.host.inodes:
                inode.locked_by = None
            self.do(self.rig.reboot())
        self.rig.milestones.cut_at = None

    async def _work(self) -> None:
        await self.rig.reconciler.sweep()
        for _ in range(6):
            work = await self.rig.reconciler.queue._next()
            if work is None:
                return
            self.rig.reconciler.queue._waiting.pop(work.key, None)
            try:
                await self.rig.reconciler.queue.do(work)
            except WipedError:
                continue

    @rule()
    def reboot(self) -> None:
        """A new daemon."""
        self.do(self.rig.reboot())

    @rule(which=st.integers(0, 1), seconds=st.sampled_from([100, 10_000]))
    def renew(self, which: int, seconds: int) -> None:
        """The customer pays; too late is refused."""
        self.terms += 1
        with contextlib.suppress(RefusedError):
            self.do(self.rig.subscribe(self.phones[which], seconds=seconds, number=f"r-{self.terms}"))

    @rule(which=st.integers(0, 1))
    def hold(self, which: int) -> None:
        """A court says so."""
        uuid = self.phones[which]
        if uuid not in self.held:
            self.held.add(uuid)
            self.do(self.rig.ledger.holds.add(Hold(f"h-{uuid}", uuid, "", "litigation"), self.rig.clock.now(), "tester"))

    @rule(which=st.integers(0, 1))
    def release_hold(self, which: int) -> None:
        """It says so no more."""
        uuid = self.phones[which]
        if uuid in self.held:
            self.held.discard(uuid)
            self.do(self.rig.ledger.holds.release(f"h-{uuid}", self.rig.clock.now(), "tester"))

    @rule(after=st.integers(0, 15))
    def the_eraser_will_die(self, after: int) -> None:
        """After so many blocks."""
        self.rig.eraser.dies_after = after

    @rule(calls=st.integers(1, 3))
    def the_observer_will_die(self, calls: int) -> None:
        """For so many calls."""
        self.rig.observer.dies = calls

    @rule(blocks=st.integers(1, 3))
    def a_block_will_not_stick(self, blocks: int) -> None:
        """A read-back finds something else."""
        self.rig.observer.mismatches.append(blocks)

    @rule(down=st.booleans())
    def libvirt(self, down: bool) -> None:
        """It goes and comes."""
        self.rig.host.libvirt_down = down

    @rule(which=st.integers(0, 1))
    def somebody_starts_it(self, which: int) -> None:
        """With libvirt's own tools; the hook may veto."""
        try:
            self.rig.host.start(self.phones[which])
        except (WipedError, KeyError):
            return

    @invariant()
    def golden_and_bystander_are_untouched(self) -> None:
        """I5, and the second way to fail."""
        assert bytes(self.golden.data) == GOLDEN
        assert self.rig.host.path_of(self.golden) == "/golden/base.qcow2"
        assert self.rig.host.remains("SECRET of phone-3") == 5
        assert self.rig.host.running(self.bystander)
        assert self.bystander not in self.rig.host.fences

    @invariant()
    def bytes_and_ledger_agree(self) -> None:
        """A phone is whole, or its wipe passed the last word and it is fenced, or it is released and nothing of it is left."""
        for number, uuid in enumerate(self.phones, start=1):
            left = self.rig.host.remains(f"SECRET of phone-{number}")
            wipes = self.do(self.rig.ledger.wipes.find(uuid))
            committed = [wipe for wipe in wipes if wipe.step in COMMITTED_STEPS]
            if not committed:
                assert left == 5
                continue
            assert len(committed) == 1
            wipe = committed[0]
            if wipe.step is WipeStep.RELEASED:
                assert (left, wipe.outcome) == (0, "clear")
                assert uuid not in self.rig.host.fences
                assert [c.kind for c in self.rig.ledger.certificates.issued if c.wipe_id == wipe.id].count("certificate") == 1  # type: ignore[attr-defined]
            elif wipe.step is not WipeStep.JUDGED:
                assert uuid in self.rig.host.fences
                assert not self.rig.host.running(uuid)

    @rule()
    def calm(self) -> None:
        """Everything works again for a while: whoever is active is unfenced; whoever was begun is finished, or held."""
        rig = self.rig
        rig.host.libvirt_down, rig.eraser.dies_after, rig.observer.dies, rig.observer.mismatches = False, None, 0, []
        for _ in range(3):
            self.do(rig.reboot())
            self.do(self._work())
            rig.clock.move(90_000 if any(self._unfinished()) else 1)
        for uuid in self.phones:
            phone = self.do(rig.ledger.phones.get(uuid))
            assert phone is not None
            if phone.state in {State.ACTIVE, State.NOTICE}:
                assert uuid not in rig.host.fences
        for wipe in self._unfinished():
            assert wipe.uuid in self.held

    def _unfinished(self) -> list[Any]:
        return [wipe for wipe in self.do(self.rig.ledger.wipes.find(unfinished=True)) if wipe.step not in FINAL_STEPS]


TestAnyStory = AnyStory.TestCase
TestAnyStory.__doc__ = "Any story: see the rules and invariants of `AnyStory`."
TestAnyStory.settings = settings(max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
