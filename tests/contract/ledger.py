"""The stories that the contract of the ledger's stores begins with, for the real one and for the fake.

The contract itself is in `tests/unit/record/test_*.py`, one file a noun: each test that takes the fixture `ledger` is run over SQLite and in memory. What only
a disk can show (restarts, a full disk, the salt file) takes the fixture `rig` and is run over the real ledger alone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.fakes.clock import START
from tests.unit.attest.samples import RESULTS
from tests.unit.record.rig import OTHER, PHONE, Rig, domain, record, yes
from wiped.model.images import ClassifiedImage
from wiped.model.inventory import FileIdentity
from wiped.model.records import Trigger, WipeStep
from wiped.model.sightings import Memory
from wiped.model.subscription import State
from wiped.ports.ledger import Ledger


async def bind(ledger: Ledger, **changes: object) -> None:
    """One term for the phone."""
    await ledger.subscriptions.record([record(**changes)], START, source="local", operator="op")  # type: ignore[arg-type]


async def begun(ledger: Ledger) -> None:
    """A wipe just before its last word."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    wipe = await ledger.wipes.begin(PHONE, "w-1", Trigger("expiry"), START)
    plan = Rig.plan(PHONE, wipe.generation)
    await ledger.wipes.record_intent("w-1", plan, {"form": 1}, Rig.artefacts("w-1"), was_running=True, was_autostart=False, now=START)
    for artefact in ("a1", "a2"):
        await ledger.artefacts.save_ranges("w-1", artefact, [b"blob"], RESULTS[artefact].digest_before)
    await ledger.wipes.advance("w-1", WipeStep.REOBSERVED, START)


async def wipe_step(ledger: Ledger) -> WipeStep:
    """Where the wipe is."""
    wipe = await ledger.wipes.get("w-1")
    assert wipe is not None
    return wipe.step


async def phone_state(ledger: Ledger) -> State:
    """What the phone is."""
    phone = await ledger.phones.get(PHONE)
    assert phone is not None
    return phone.state


def image(meaning: str = "golden", inode: int = 7, hours: int = 0) -> ClassifiedImage:
    """An image as somebody settled it."""
    return ClassifiedImage("/srv/base.qcow2", FileIdentity(1, inode), meaning, START + timedelta(hours=hours), "op")


def memory(hours: int = 0, generation: int = 1) -> Memory:
    """A look at the phone."""
    return Memory(PHONE, generation, START + timedelta(hours=hours), "digest")


async def quarantined(ledger: Ledger) -> None:
    """A wipe without proof."""
    await begun(ledger)
    await ledger.wipes.last_word("w-1", START, yes)
    await ledger.verdicts.judge("w-1", outcome="not-sanitized", reasons=("cow-filesystem",), residuals=(), certificate=None, now=START, retry_at=None)


async def bound(ledger: Ledger) -> tuple[tuple[str, int], tuple[str, int]]:
    """Two bound phones, as (uuid, generation)."""
    await ledger.phones.see([domain(), replace(domain(), uuid=OTHER, name="phone-2")], START)
    await ledger.subscriptions.record([record(), replace(record(), uuid=OTHER)], START, source="local", operator="op")
    phones = [await ledger.phones.get(uuid) for uuid in (PHONE, OTHER)]
    one, two = [(phone.uuid, phone.generation) for phone in phones if phone is not None]
    return one, two


async def held_back(ledger: Ledger, uuid: str) -> bool:
    """Whether the facts say so."""
    facts = await ledger.decisions.facts(uuid, START)
    assert facts is not None
    return facts.breaker_open
