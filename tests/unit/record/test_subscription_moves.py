"""Batches of terms: each statement for many rows, the same outcome as one by one, and other writers in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.patience import PATIENCE
from tests.unit.record.rig import ALICE, BOB, DAY, Rig, record, uuid_of
from wiped.errors import RefusedError
from wiped.model.plan import RefusalCode
from wiped.model.subscription import AccountReference, Hold, SubscriptionRecord
from wiped.record import subscription_moves

#: More than two statements' worth.
MANY = 2 * subscription_moves.SLICE + 3


def batch(*, days: float = 30, number: str = "s-1") -> list[SubscriptionRecord]:
    """A term for each of many phones, each of another account."""
    return [record(uuid_of(1000 + place), AccountReference(f"customer-{place}"), days=days, number=number) for place in range(MANY)]


async def test_a_large_batch_begins_renews_and_repeats_in_its_order(rig: Rig) -> None:
    """First generations, then a renewal of all, then the same again; the audit log tells each in the order of the records."""
    begun = await rig.ledger.subscriptions.record(batch(), rig.now, source="import", operator="root")
    assert [term.uuid for term in begun] == [item.uuid for item in batch()]
    assert {(term.generation, term.revision) for term in begun} == {(1, 1)}
    assert len({term.account for term in begun}) == MANY
    renewed = await rig.ledger.subscriptions.record(batch(days=60, number="s-2"), rig.now + DAY, source="import", operator="root")
    assert [(term.uuid, term.account, term.generation) for term in renewed] == [(term.uuid, term.account, 1) for term in begun]
    assert {(term.revision, term.subscription_id) for term in renewed} == {(2, "s-2")}
    assert await rig.ledger.subscriptions.record(batch(days=60, number="s-2"), rig.now + DAY, source="import", operator="root") == renewed
    assert sorted(await rig.ledger.subscriptions.current(), key=lambda term: term.uuid) == list(renewed)
    entries = [entry for entry in await rig.ledger.audit.entries(limit=10_000) if entry.kind == "subscription"]
    assert [entry.body["uuid"] for entry in entries] == 2 * [item.uuid for item in batch()]
    assert [entry.body["change"] for entry in entries] == MANY * ["begin"] + MANY * ["renew"]
    await rig.ledger.audit.verify()


async def test_a_hold_on_an_account_reaches_the_phone_that_a_batch_gives_it(rig: Rig) -> None:
    """Among many that are not held (R9)."""
    await rig.ledger.subscriptions.record([record(account=ALICE)], rig.now, source="import", operator="root")
    await rig.ledger.holds.add_for_account(Hold("h-1", "", "", "litigation"), ALICE, rig.now, "officer", reason="served")
    late = uuid_of(77)
    await rig.ledger.subscriptions.record([*batch(), record(late, ALICE)], rig.now, source="import", operator="root")
    told = [entry for entry in await rig.ledger.audit.entries(limit=10_000) if entry.kind == "hold-reaches"]
    assert [entry.body["uuid"] for entry in told] == [late]


async def test_one_refused_record_of_many_refuses_all(rig: Rig) -> None:
    """Nothing is recorded, and no pseudonym is made for what is not."""
    await rig.ledger.subscriptions.record([record(batch()[-1].uuid, BOB)], rig.now, source="import", operator="root")
    used = rig.salts.used
    with pytest.raises(RefusedError) as error:
        await rig.ledger.subscriptions.record(batch(), rig.now, source="import", operator="root")
    assert error.value.codes == (RefusalCode.GENERATION_OCCUPIED,)
    assert await rig.ledger.subscriptions.bound() == 1
    assert rig.salts.used == used


async def test_others_write_while_a_large_batch_is_made_ready(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slots of many accounts are written before the turn is taken; what was recorded meanwhile is weighed again."""
    waiting, go = asyncio.Event(), asyncio.Event()
    real = rig.salts.pseudonym_each

    async def slow(wanted: Sequence[tuple[AccountReference, int]]) -> tuple[str, ...]:
        if len(wanted) > 1 and not go.is_set():
            waiting.set()
            await go.wait()
        return await real(wanted)

    monkeypatch.setattr(rig.salts, "pseudonym_each", slow)
    store = rig.ledger.subscriptions
    importing = asyncio.create_task(store.record(batch(), rig.now, source="import", operator="root"))
    taken = batch()[5].uuid
    async with asyncio.timeout(PATIENCE):  # were it made ready in the writer's turn, the other record would wait for ever
        await waiting.wait()
        await store.record([record(taken, BOB)], rig.now, source="local", operator="root")
    go.set()
    with pytest.raises(RefusedError) as error:
        await importing
    assert error.value.codes == (RefusalCode.GENERATION_OCCUPIED,)
    assert [term.uuid for term in await store.current()] == [taken]


async def test_a_batch_of_a_feed_settles_a_marked_phone(rig: Rig) -> None:
    """Its own account's record, among many: the mark goes, and the log tells it before the term."""
    own = batch()[3]
    await rig.ledger.subscriptions.record([own], rig.now, source="import", operator="root")
    await rig.ledger.subscriptions.record_answer([record(own.uuid, BOB)], rig.now, source="http")
    phone = await rig.ledger.phones.get(own.uuid)
    assert phone is not None
    assert phone.occupied
    await rig.ledger.subscriptions.record_answer(batch(days=31), rig.now + timedelta(hours=1), source="http")
    phone = await rig.ledger.phones.get(own.uuid)
    assert phone is not None
    assert not phone.occupied
    kinds = [entry.kind for entry in await rig.ledger.audit.entries(limit=10_000) if entry.body.get("uuid") == own.uuid]
    assert kinds[-2:] == ["occupied-settled", "subscription"]
