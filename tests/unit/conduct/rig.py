"""A whole daemon's inside over a fake host: made again after every power cut, while host and ledger stay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import timedelta

from tests.fakes.clock import FakeClock, FakeRandomness
from tests.fakes.host import FakeHost
from tests.fakes.ledger import MemoryLedger
from tests.fakes.ports import (
    FakeEraser,
    FakeFeed,
    FakeFences,
    FakeHypervisor,
    FakeObserver,
    PowerCut,
    RecordingAnnouncer,
    RecordingMilestones,
)
from tests.fakes.sheets import FakeSheets
from tests.unit.ledger_file import new_ledger
from wiped.attest.signing import Ed25519Signer, generate_key
from wiped.conduct import decisions
from wiped.conduct.progress import Hub
from wiped.conduct.results import Ending
from wiped.conduct.service.service import Service
from wiped.conduct.sweep.queue import Work
from wiped.conduct.sweep.sweep import Reconciler
from wiped.conduct.wipe.run import Executor
from wiped.conduct.world import Issuer, World
from wiped.keys.salts import SaltFile
from wiped.model.policy import Policy, Safety, StorageRules
from wiped.model.records import FINAL_STEPS, WipeRecord, WipeStep
from wiped.model.subscription import AccountReference, Action, SubscriptionRecord
from wiped.ports.ledger import Ledger
from wiped.record.ledger import SqlLedger
from wiped.record.sql.migrate import refers_to_accounts

_SIGNER = Ed25519Signer(generate_key())
GRACE = 3600
SAFETY = Safety(settle=60, feed_max_age=900, max_clock_step=300)


class BrokenWorldError(AssertionError):
    """The witness saw an invariant broken on the host itself."""


@dataclass
class Rig:
    """`boot` makes a new daemon; `host`, `ledger`, `clock` and the helpers' faults outlive it."""

    clock: FakeClock = field(default_factory=FakeClock)
    policy: Policy = field(default_factory=lambda: Policy(grace=GRACE, notice=(600,), stop_timeout=20))
    parallel: int = 2
    ledger: Ledger = field(default_factory=MemoryLedger)

    def __post_init__(self) -> None:
        self.host = FakeHost(self.clock.boottime)
        self.host.witness = self._witness
        self.randomness = FakeRandomness()
        self.sheets = FakeSheets()
        self.eraser = FakeEraser(self.host, self.sheets)
        self.observer = FakeObserver(self.host)
        self.feed = FakeFeed(self.clock.now)
        self.announcer = RecordingAnnouncer()
        self.milestones = RecordingMilestones()
        self.verify = "full"
        self.boot()

    def boot(self) -> None:
        """A new daemon: everything that was only in memory is gone."""
        self.milestones = RecordingMilestones()
        self.hypervisor = FakeHypervisor(self.host)
        self.fences = FakeFences(self.host)
        self.hub = Hub(self.clock, (self.announcer,))
        self.world = World(
            clock=self.clock,
            randomness=self.randomness,
            hypervisor=self.hypervisor,
            fences=self.fences,
            observer=self.observer,
            eraser=self.eraser,
            feed=self.feed,
            ledger=self.ledger,
            sheets=self.sheets,
            signer=_SIGNER,
            milestones=self.milestones,
            announcer=self.hub,
            policies={"default": self.policy},
            safety=SAFETY,
            rules=StorageRules(roots=("/phones",), protected=("/golden",), parallel_wipes=self.parallel, verify=self.verify),
            issuer=Issuer("host-1", "eu", "0.1.0"),
            pause=self.clock.pause,
        )
        self.reconciler = Reconciler(self.world)
        self.executor = Executor(self.world)
        self.nudges = 0
        self.service = Service(self.world, self.reconciler, self.hub, self._nudged)

    async def reboot(self, cut_at: int | None = None) -> None:
        """A new daemon that has swept once; the power goes at the `cut_at`-th milestone from here."""
        self.boot()
        await self.reconciler.sweep()
        self.milestones.seen.clear()
        self.milestones.cut_at = cut_at

    def _nudged(self) -> None:
        self.nudges += 1

    # -- the story
    async def subscribe(self, uuid: str, *, seconds: float = 600, account: str = "acct-1", number: str = "s-1", minor: bool = False) -> None:
        """A term that ends `seconds` from now."""
        now = self.clock.now()
        record = SubscriptionRecord(uuid, number, AccountReference(account), now - timedelta(days=30), now + timedelta(seconds=seconds), minor=minor)
        await self.ledger.subscriptions.record((record,), now, source="test", operator="tester")

    async def due(self, *uuids: str) -> None:
        """Phones whose terms and grace have passed, seen by a fresh sweep; nothing has been run yet."""
        await self.reconciler.sweep()
        for uuid in uuids:
            await self.subscribe(uuid)
        self.clock.move(600 + GRACE + 1)
        await self.reconciler.sweep()

    async def begun(self, uuid: str) -> WipeRecord:
        """A due phone's wipe, at QUEUED."""
        await self.due(uuid)
        return await self.wipe_of(uuid)

    async def wipe_of(self, uuid: str) -> WipeRecord:
        """The newest wipe of a phone."""
        return (await self.ledger.wipes.find(uuid))[0]

    async def drain(self, rounds: int = 40) -> list[Ending | None]:
        """Do the queue's work here and now, in its order, until nothing is ready; then that is all."""
        endings: list[Ending | None] = []
        for _ in range(rounds):
            work = await self.reconciler.queue._next()
            if work is None:
                return endings
            self.reconciler.queue._waiting.pop(work.key, None)
            endings.append(await self.reconciler.queue.do(work))
        raise AssertionError("the queue never runs empty")

    async def survive(self, wipe_id: str, tries: int = 8) -> Ending:
        """Run a wipe on fresh daemons until one run ends it."""
        for _ in range(tries):
            await self.reboot()
            ending = await self.executor.run(wipe_id)
            wipe = await self.ledger.wipes.get(wipe_id)
            if wipe is not None and (wipe.step in FINAL_STEPS or wipe.step is WipeStep.QUARANTINED):
                return ending
        raise AssertionError("the wipe never ends")

    async def cut(self) -> None:
        """The power goes now."""
        raise PowerCut("now")

    async def run(self, wipe_id: str) -> Ending:
        """One run on this daemon."""
        return await self.executor.run(wipe_id)

    @staticmethod
    @asynccontextmanager
    async def on_disk(state_dir: str) -> AsyncIterator[Rig]:
        """A rig over the real SQLite ledger and salt file."""
        rig = Rig()
        new_ledger(state_dir)
        with ExitStack() as files:
            salts = files.enter_context(closing(SaltFile.open(state_dir, refers_to_accounts)))
            rig.ledger = await SqlLedger.open(state_dir, salts, rig.clock)
            try:
                rig.boot()
                yield rig
            finally:
                await rig.ledger.close()  # type: ignore[attr-defined]

    async def _witness(self, uuid: str, what: str, artefact_id: str) -> None:
        """Looks at the ledger and the host before each written block and each removal: the invariants, seen from outside."""
        wipe = next((w for w in await self.ledger.wipes.find(uuid) if w.step not in FINAL_STEPS), None)
        if wipe is None or wipe.plan is None or not wipe.snapshot_digest:
            raise BrokenWorldError("I1: no intent")
        record = next((item for item in wipe.artefacts if item.artefact_id == artefact_id), None)
        if record is None or not record.map_digest or len(record.seed.value) != 32:
            raise BrokenWorldError("I1: the intent lacks seed or ranges")
        if uuid not in self.host.fences:
            raise BrokenWorldError("I6: no fence")
        if self.host.running(uuid):
            raise BrokenWorldError("the phone runs")
        if wipe.step not in {WipeStep.ERASING, WipeStep.VERIFYING, WipeStep.REMOVING}:
            raise BrokenWorldError(f"I7: {what} at {wipe.step}")
        facts = await self.ledger.decisions.facts(uuid, self.clock.now())
        assert facts is not None
        if decisions.last_word(self.world, facts, self.clock.now()).action is not Action.WIPE:
            raise BrokenWorldError("I7: held or renewed")
        inode = self.host.names.get(record.location)
        if what == "write" and (inode is None or inode.locked_by is None):
            raise BrokenWorldError("I2: no lock")
        if what == "remove" and (record.evidence is None or record.evidence.mismatches or "SECRET" in repr(inode.data if inode else b"")):
            raise BrokenWorldError("I3: not read back")


__all__ = ["GRACE", "SAFETY", "BrokenWorldError", "PowerCut", "Rig", "Work"]
