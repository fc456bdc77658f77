"""A real ledger over a real salt file in a directory of its own, and the values that its tests record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from tests.fakes.clock import START, FakeClock
from tests.unit.attest.samples import EVIDENCE, PLAN, RESULTS
from tests.unit.ledger_file import new_ledger
from wiped.keys.salts import SaltFile
from wiped.model.inventory import DomainFacts
from wiped.model.plan import Plan
from wiped.model.records import ArtefactRecord, CertificateRecord, Secret, Trigger, WipeStep
from wiped.model.subscription import AccountReference, Action, Decision, LifecycleFacts, State, SubscriptionRecord
from wiped.record.ledger import SqlLedger
from wiped.record.sql.migrate import refers_to_accounts

DAY = timedelta(days=1)
ALICE, BOB = AccountReference("alice@customers.example"), AccountReference("bob@customers.example")


def uuid_of(number: int) -> str:
    """A phone's UUID."""
    return f"6f1c0c8e-0000-4000-8000-{number:012x}"


PHONE, OTHER = uuid_of(10), uuid_of(11)


def domain(uuid: str = PHONE, name: str = "phone-1") -> DomainFacts:
    """A domain as libvirt tells it."""
    return DomainFacts(uuid, name)


def record(uuid: str = PHONE, account: AccountReference = ALICE, *, days: float = 30, number: str = "s-1", **changes: object) -> SubscriptionRecord:
    """A term that began a day before START and ends `days` after it."""
    made = SubscriptionRecord(uuid, number, account, START - DAY, START + timedelta(days=days))
    return replace(made, **changes)  # type: ignore[arg-type]


def decision(state: State, action: Action = Action.NONE, next_at: datetime | None = None) -> Decision:
    """A decision without flags."""
    return Decision(state, (), action, next_at, None, ())


def yes(_: LifecycleFacts) -> Decision:
    """The last word: erase."""
    return decision(State.DUE, Action.WIPE)


def no(_: LifecycleFacts) -> Decision:
    """The last word: do not."""
    return decision(State.ACTIVE)


@dataclass
class Rig:
    """`ledger` over `salts` in `folder`, at the time of `clock`."""

    folder: Path
    clock: FakeClock
    salts: SaltFile
    ledger: SqlLedger

    @property
    def now(self) -> datetime:
        """The clock's now."""
        return self.clock.now()

    async def bind(self, *records: SubscriptionRecord, source: str = "local") -> None:
        """Record terms."""
        await self.ledger.subscriptions.record(records or (record(),), self.now, source=source, operator="op")

    async def kinds(self) -> list[str]:
        """The kinds of all audit entries."""
        return [entry.kind for entry in await self.ledger.audit.entries(limit=100_000)]

    async def begun(self, uuid: str = PHONE, wipe_id: str = "w-1") -> str:
        """A wipe with its intent and ranges, just before its last word."""
        await self.ledger.phones.see([domain(uuid)], self.now)
        if await self.ledger.subscriptions.get(uuid) is None:
            await self.bind(record(uuid))
        wipe = await self.ledger.wipes.begin(uuid, wipe_id, Trigger("expiry", "service-ended"), self.now)
        plan = self.plan(uuid, wipe.generation)
        await self.ledger.wipes.record_intent(wipe_id, plan, {"form": 1}, self.artefacts(wipe_id), was_running=True, was_autostart=True, now=self.now)
        for step in (WipeStep.FENCED, WipeStep.STOPPED, WipeStep.LOCKED):
            await self.ledger.wipes.advance(wipe_id, step, self.now)
        for artefact in ("a1", "a2"):
            await self.ledger.artefacts.save_ranges(wipe_id, artefact, [b"one", b"two"], RESULTS[artefact].digest_before)
        await self.ledger.wipes.advance(wipe_id, WipeStep.REOBSERVED, self.now)
        return wipe_id

    async def proven(self, wipe_id: str = "w-1") -> str:
        """A wipe all of whose artefacts are proven and removed."""
        await self.begun(wipe_id=wipe_id)
        await self.ledger.wipes.last_word(wipe_id, self.now, yes)
        for artefact in ("a1", "a2"):
            await self.ledger.artefacts.record_erased(wipe_id, RESULTS[artefact])
            await self.ledger.artefacts.record_evidence(wipe_id, EVIDENCE[artefact], proven=True)
            await self.ledger.artefacts.record_removed(wipe_id, artefact)
        return wipe_id

    async def released(self, wipe_id: str = "w-1") -> None:
        """A wipe from its beginning to its end."""
        await self.proven(wipe_id)
        await self.judge(wipe_id)
        await self.ledger.verdicts.finish(wipe_id, WipeStep.RELEASED, self.now)

    async def judge(self, wipe_id: str = "w-1") -> None:
        """A good verdict."""
        certificate = CertificateRecord(f"c-{wipe_id}", wipe_id, PHONE, "certificate", self.now, b"envelope")
        await self.ledger.verdicts.judge(wipe_id, outcome="clear", reasons=(), residuals=("sampled",), certificate=certificate, now=self.now, retry_at=None)

    async def quarantine(self, wipe_id: str = "w-1", reason: str = "io-error", retry_at: datetime | None = None) -> None:
        """A bad verdict."""
        incident = CertificateRecord(f"i-{wipe_id}-{self.now:%s}", wipe_id, PHONE, "incident", self.now, b"incident")
        told = {"outcome": "not-sanitized", "reasons": (reason,), "residuals": ()}
        await self.ledger.verdicts.judge(wipe_id, **told, certificate=incident, now=self.now, retry_at=retry_at)  # type: ignore[arg-type]

    @staticmethod
    def plan(uuid: str, generation: int) -> Plan:
        """The sample plan, of this phone."""
        return replace(PLAN, uuid=uuid, generation=generation)

    @staticmethod
    def artefacts(wipe_id: str) -> tuple[ArtefactRecord, ...]:
        """The intent of the sample plan."""
        return tuple(
            ArtefactRecord(wipe_id, step.artefact_id, step.kind, step.location, f".wiped-{n:032x}", Secret(bytes([n]) * 32))
            for n, step in enumerate(PLAN.steps, start=1)
        )


@asynccontextmanager
async def rig_in(folder: Path, clock: FakeClock | None = None) -> AsyncIterator[Rig]:
    """Open what is in `folder` (again)."""
    clock = clock or FakeClock()
    new_ledger(folder)
    salts = SaltFile.open(str(folder), refers_to_accounts)
    try:
        async with await SqlLedger.open(str(folder), salts, clock) as ledger:
            yield Rig(folder, clock, salts, ledger)
    finally:
        salts.close()
