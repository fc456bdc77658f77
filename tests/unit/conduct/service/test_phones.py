"""Phones by name, explained, and suspended by an operator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.conduct.account import ANNA, BORIS, CLEO, bound, settle, state
from tests.unit.conduct.rig import GRACE, Rig
from tests.unit.conduct.terms import ALICE, term
from wiped.errors import InputError, NotFoundError
from wiped.model.instants import NEVER
from wiped.model.status import Mark
from wiped.model.subscription import State


async def test_a_reported_leak_stops_and_fences_until_it_is_resumed(tmp_path: Path) -> None:
    """Reversible; nothing is erased by it."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        asked = await rig.service.requests.add("leak", "reported-leak", uuid=phones[0], reference="SEC-1", reason="", confirm="phone-1", person=ANNA)
        assert asked.approval is None
        await settle(rig, 5000)
        assert phones[0] in rig.host.fences
        assert not rig.host.running(phones[0])
        await rig.service.phones.resume(phones[0], reason="it was none", person=ANNA)
        await settle(rig)
        assert phones[0] not in rig.host.fences
        await rig.service.phones.suspend(phones[0], reason="once more", person=ANNA)
        await settle(rig)
        assert phones[0] in rig.host.fences
        assert rig.host.remains("SECRET") == 5


async def test_names_are_for_people() -> None:
    """By UUID in any spelling, by exact name; an ambiguous name names its candidates; a vanished namesake does not count."""
    rig = Rig()
    first, second = rig.host.add_phone(1), rig.host.add_phone(2)
    await rig.reconciler.sweep()
    assert (await rig.service.phones.resolve(first.upper())).uuid == first
    assert (await rig.service.phones.resolve("phone-2")).uuid == second
    rig.host.update(second, name="phone-1")
    await rig.reconciler.sweep()
    with pytest.raises(NotFoundError) as caught:
        await rig.service.phones.resolve("phone-1")
    assert first in str(caught.value)
    assert second in str(caught.value)
    del rig.host.machines[first]
    await rig.reconciler.sweep()
    assert (await rig.service.phones.resolve("phone-1")).uuid == second
    for unknown in ("phone", "*", "00000000-0000-4000-8000-000000000009"):
        with pytest.raises(NotFoundError):
            await rig.service.phones.resolve(unknown)


async def test_explain_decides_now_and_records_nothing() -> None:
    """The decision is of this moment; the phone's record is as last concluded."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.service.subscriptions.set(term(rig, uuid), ALICE)
    rig.clock.move(700)
    told = await rig.service.phones.explain(uuid)
    assert (told.phone.state, told.decision.state) == (State.NOTICE, State.GRACE)
    assert told.subscription is not None
    assert (await rig.service.phones.find([State.NOTICE]))[0].uuid == uuid
    with pytest.raises(InputError):
        await rig.service.phones.find(["asleep"])


async def test_who_suspended_or_protected_a_phone_and_why_is_explained(tmp_path: Path) -> None:
    """The newest word of each kind, with name and instant, until the account is gone; sealed at rest, and never in the audit log."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1)
        assert (await rig.service.phones.explain(uuid)).marks == ()
        await rig.service.phones.suspend(uuid, reason="reported stolen", person=ANNA)
        first = rig.clock.now()
        rig.clock.move(60)
        await rig.service.phones.suspend(uuid, reason="said once more", person=CLEO)  # it is suspended already: nothing changes
        await rig.service.phones.protect(uuid, reason="the police asked", person=BORIS)
        second = rig.clock.now()
        told = await rig.service.phones.explain(uuid)
        assert told.marks == (Mark("suspended", True, "reported stolen", "anna", first), Mark("protected", True, "the police asked", "boris", second))
        rig.clock.move(60)
        await rig.service.phones.resume(uuid, reason="found again", person=CLEO)
        await rig.service.phones.unprotect(uuid, reason="they have it", person=ANNA)
        third = rig.clock.now()
        told = await rig.service.phones.explain(uuid)
        assert told.marks == (Mark("suspended", False, "found again", "cleo", third), Mark("protected", False, "they have it", "anna", third))
        audited = str([entry.body for entry in await rig.ledger.audit.entries()])
        assert not [word for word in ("stolen", "police", "found again", "they have it") if word in audited]


async def test_a_mark_is_the_present_customers_own(tmp_path: Path) -> None:
    """What was done to the phone in an earlier generation is not told of the next customer's."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1, seconds=600)
        await rig.service.phones.protect(uuid, reason="the police asked", person=ANNA)
        await rig.service.phones.unprotect(uuid, reason="they have it", person=ANNA)
        await settle(rig, 600 + GRACE + 1)
        assert await state(rig, uuid) is State.RELEASED
        assert len((await rig.service.phones.explain(uuid)).marks) == 1
        rig.host.add_phone(1)
        await rig.reconciler.sweep()
        await rig.subscribe(uuid, account="somebody-else", number="s-2")
        assert (await rig.service.phones.explain(uuid)).marks == ()


async def test_a_suspension_that_ended_with_the_wipe_is_not_told_as_one(tmp_path: Path) -> None:
    """A mark is told as set only while the phone bears it: the wipe's end lifts a suspension without anybody's word."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1, seconds=600)
        await rig.service.phones.suspend(uuid, reason="reported stolen", person=ANNA)
        assert [mark.on for mark in (await rig.service.phones.explain(uuid)).marks] == [True]
        await settle(rig, 600 + GRACE + 1)
        told = await rig.service.phones.explain(uuid)
        assert (told.phone.state, told.phone.suspended, told.marks) == (State.RELEASED, False, ())


async def test_a_suspended_phone_is_fenced_before_anything_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in deciding about it: who was answered *done* has a phone that cannot start."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1)

        def broken(*_: object, **__: object) -> None:
            raise OverflowError

        monkeypatch.setattr("wiped.conduct.decisions.lifecycle.decide", broken)
        await rig.service.phones.suspend(uuid, reason="reported stolen", person=ANNA)
        assert uuid in rig.host.fences
        phone = await rig.ledger.phones.get(uuid)
        assert phone is not None
        assert phone.fenced


async def test_a_term_without_an_end_lasts_until_billing_says_otherwise(tmp_path: Path) -> None:
    """It is explained, suspended, given back and kept; and wiped once a real end has passed."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        uuid = rig.host.add_phone(1)
        await rig.reconciler.sweep()
        await rig.service.subscriptions.set(replace(term(rig, uuid), expires_at=NEVER), ALICE)
        await settle(rig, 400 * 86_400)
        told = await rig.service.phones.explain(uuid)
        assert (told.decision.state, told.decision.next_at) == (State.ACTIVE, None)
        assert "the term has no end" in [reason.detail for reason in told.decision.reasons]
        await rig.service.phones.suspend(uuid, reason="lost", person=ANNA)
        assert uuid in rig.host.fences
        await rig.service.phones.resume(uuid, reason="found", person=ANNA)
        await settle(rig)
        assert uuid not in rig.host.fences
        assert rig.host.remains("SECRET") == 5
