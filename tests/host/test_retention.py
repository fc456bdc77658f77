"""What was kept for its period is gone from the raw device (R10): reference, words and salts; a hold suspends it; the audit log verifies before and after."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.fakes.clock import FakeClock
from tests.unit.record.rig import PHONE, domain
from wiped.keys.salts import FILE_NAME, SaltFile
from wiped.keys.slots import SLOT, slot_of
from wiped.model.records import Trigger, WipeStep
from wiped.model.subscription import AccountReference, Hold, SubscriptionRecord, WipeRequest
from wiped.record.ledger import SqlLedger
from wiped.record.sql.migrate import refers_to_accounts
from wiped.record.sql.schema import subscriptions, wipes

ACCOUNT, OTHER = "li.wei@example.org", "somebody.else@example.org"
WORDS = ("TICKET-4711-of-li-wei", "she wrote that she leaves", "District Court of Li Wei")
HALF_A_YEAR = timedelta(seconds=15_768_000)
OTHER_PHONE = PHONE[:-1] + "9"


def secrets_in(path: Path) -> list[bytes]:
    """The salts and sealing keys of all used slots, each by its longest piece without a zero byte."""
    data = path.read_bytes()
    slots = [slot_of(data[at : at + SLOT]) for at in range(0, len(data), SLOT)]
    return [max(secret.split(b"\0"), key=len) for slot in slots if slot is not None for secret in (slot.salt, slot.key)]


async def story(state: Path, clock: FakeClock, *, held: bool) -> None:
    """Two accounts; one's generation ends, with everything that was ever said about it."""
    with closing(SaltFile.open(str(state), refers_to_accounts)) as salts:
        async with await SqlLedger.open(str(state), salts, clock) as ledger:
            now = clock.now()
            await ledger.phones.see([domain(), replace(domain(), uuid=OTHER_PHONE, name="other")], now)
            for uuid, account in ((PHONE, ACCOUNT), (OTHER_PHONE, OTHER)):
                record = SubscriptionRecord(uuid, f"sub-{uuid[-1]}", AccountReference(account), now - timedelta(days=2), now + timedelta(days=1))
                await ledger.subscriptions.record([record], now, source="local", operator="op")
            await ledger.requests.add(PHONE, WipeRequest("r-1", "deletion", "no-consent", now), reference=WORDS[0], reason=WORDS[1], operator="op")
            await ledger.holds.add(Hold("h-1", PHONE, "", "litigation", None, WORDS[2], "3 O 12"), now, "op")
            if not held:
                await ledger.holds.release("h-1", now, "op")
            await ledger.wipes.begin(PHONE, "w-1", Trigger("expiry"), now)
            await ledger._db.write(lambda c: _end(c, now))
            assert (await ledger.words.about("r-1")) == {"reference": WORDS[0], "reason": WORDS[1]}


def _end(connection, now):
    """The generation is over, as a finished wipe leaves it."""
    connection.execute(update(subscriptions).where(subscriptions.c.uuid == PHONE).values(ended_at=now))
    connection.execute(update(wipes).values(step=str(WipeStep.RELEASED), finished_at=now, snapshot={"about": "the phone"}))


async def later(state: Path, clock: FakeClock) -> dict[str, int]:
    """A daemon half a year later."""
    with closing(SaltFile.open(str(state), refers_to_accounts)) as salts:
        async with await SqlLedger.open(str(state), salts, clock) as ledger:
            before = await ledger.audit.verify()
            done = await ledger.retention.retain(clock.now(), snapshots=HALF_A_YEAR, audit=HALF_A_YEAR, may=lambda: True)
            after = await ledger.audit.verify()
            assert after.seq >= before.seq
            assert (await ledger.retention.retain(clock.now(), snapshots=HALF_A_YEAR, audit=HALF_A_YEAR, may=lambda: True))["anonymised"] == 0
    return done


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_after_its_period_nothing_leads_to_the_account(raw_fs, scratch, kind):
    """Not the ledger, not the salt file, not the raw device under them; the other account's slot is whole."""
    at = scratch / "state"
    at.mkdir()
    filesystem = raw_fs(kind, at=at)
    state, clock = at / "wiped", FakeClock()
    state.mkdir(mode=0o700)
    asyncio.run(story(state, clock, held=False))
    all_secrets = secrets_in(state / FILE_NAME)
    os.sync()
    assert len(all_secrets) == 4
    assert all(filesystem.count(secret) for secret in all_secrets)
    clock.move(HALF_A_YEAR.total_seconds() - 60)
    assert asyncio.run(later(state, clock)) == {"snapshots": 0, "anonymised": 0, "unproven": 0}
    clock.move(120)
    assert asyncio.run(later(state, clock)) == {"snapshots": 1, "anonymised": 1, "unproven": 0}
    kept = secrets_in(state / FILE_NAME)
    lost = [secret for secret in all_secrets if secret not in kept]
    assert (len(kept), len(lost)) == (2, 2)
    os.sync()
    filesystem.unmount()
    assert [filesystem.count(secret) > 0 for secret in kept] == [True, True]
    assert [filesystem.count(secret) for secret in lost] == [0, 0]
    assert [filesystem.count(word.encode()) for word in (ACCOUNT, OTHER, *WORDS)] == [0] * 5


def test_a_hold_suspends_it(scratch):
    """What is held is kept, with its words, however old it is."""
    state, clock = scratch / "wiped", FakeClock()
    state.mkdir(mode=0o700)
    asyncio.run(story(state, clock, held=True))
    clock.move(10 * HALF_A_YEAR.total_seconds())
    assert asyncio.run(later(state, clock)) == {"snapshots": 0, "anonymised": 0, "unproven": 0}
