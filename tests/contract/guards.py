"""The contract of the port Ledger about breaker and clock, for the real one and for the fake."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tests.unit.record.rig import OTHER, PHONE, decision, domain, record, yes
from wiped.errors import InputError, InvariantError, RefusedError
from wiped.model.breaker_and_clock import ClockMemory
from wiped.model.policy import Safety
from wiped.model.subscription import State
from wiped.ports.ledger import Ledger
from wiped.wire.messages import Trimmed

SAFETY = Safety(breaker_max=1, breaker_ratio_percent=0, breaker_window=3_600)
HOUR = timedelta(hours=1)


class GuardContract:
    """What every Ledger does for the guards against mass mistakes."""

    async def begun(self, ledger: Ledger) -> None:
        """A wipe `w-1` just before its last word; `LedgerContract` has it."""
        raise NotImplementedError

    async def bound(self, ledger: Ledger) -> tuple[tuple[str, int], tuple[str, int]]:
        """Two bound phones, as (uuid, generation)."""
        await ledger.phones.see([domain(), replace(domain(), uuid=OTHER, name="phone-2")], START)
        await ledger.subscriptions.record([record(), replace(record(), uuid=OTHER)], START, source="local", operator="op")
        phones = [await ledger.phones.get(uuid) for uuid in (PHONE, OTHER)]
        one, two = [(phone.uuid, phone.generation) for phone in phones if phone is not None]
        return one, two

    async def held_back(self, ledger: Ledger, uuid: str) -> bool:
        """Whether the facts say so."""
        facts = await ledger.decisions.facts(uuid, START)
        assert facts is not None
        return facts.breaker_open

    async def test_one_phone_too_many_opens_it_once(self, ledger: Ledger) -> None:
        """Counting twice changes nothing; everybody is held back, also who was not counted."""
        one, two = await self.bound(ledger)
        assert not (await ledger.breaker.count_due([one], START, SAFETY)).opened
        assert (await ledger.breaker.count_due([one, one], START, SAFETY)).counted == ()
        assert not await self.held_back(ledger, OTHER)
        done = await ledger.breaker.count_due([one, two], START, SAFETY)
        assert (done.counted, done.opened) == ((two,), True)
        breaker = await ledger.breaker.get()
        assert (breaker.open, breaker.newly_due, breaker.limit, breaker.bound, breaker.window) == (True, 2, 1, 2, 3_600)
        assert {(phone.uuid, phone.generation) for phone in breaker.waiting} == {one, two}
        assert await self.held_back(ledger, PHONE)
        assert await self.held_back(ledger, OTHER)
        opened = [entry for entry in await ledger.audit.entries() if entry.kind == "breaker-opened"]
        assert [sorted(entry.body["phones"]) for entry in opened] == [sorted([PHONE, OTHER])]

    async def test_the_window_forgets(self, ledger: Ledger) -> None:
        """An hour later another one is no mistake."""
        one, two = await self.bound(ledger)
        await ledger.breaker.count_due([one], START, SAFETY)
        assert not (await ledger.breaker.count_due([two], START + HOUR, SAFETY)).opened

    async def test_a_release_names_its_set_and_lets_it_go(self, ledger: Ledger) -> None:
        """Not with another set's name, not twice; what was let go stays so when it opens again."""
        one, two = await self.bound(ledger)
        with pytest.raises(InputError):
            await ledger.breaker.release(START, fingerprint="", reason="why", operator="op", approver="other")
        await ledger.breaker.count_due([one, two], START, Safety(breaker_max=1, breaker_ratio_percent=0))
        with pytest.raises(RefusedError) as caught:
            await ledger.breaker.release(START, fingerprint="0" * 64, reason="why", operator="op", approver="other")
        assert caught.value.codes == ("drift",)
        with pytest.raises(InputError):
            await ledger.breaker.release(START, fingerprint="", reason="", operator="op", approver="other")
        name = (await ledger.breaker.get()).fingerprint
        for alone in ("", "op"):
            with pytest.raises(InvariantError):
                await ledger.breaker.release(START, fingerprint=name, reason="why", operator="op", approver=alone)
        before = await ledger.breaker.release(START, fingerprint=name, reason="they are right", operator="op", approver="other")
        assert (len(before.waiting), (await ledger.breaker.get()).open, (await ledger.breaker.get()).released_by) == (2, False, "op")
        await ledger.decisions.conclude(OTHER, decision(State.ACTIVE), START)
        done = await ledger.breaker.count_due([two], START, Safety(breaker_max=0, breaker_ratio_percent=0))
        assert (done.opened, done.breaker.newly_due) == (True, 1)
        assert not await self.held_back(ledger, PHONE)
        assert await self.held_back(ledger, OTHER)
        assert [phone.uuid for phone in done.breaker.waiting] == [OTHER]

    async def test_a_phone_that_is_not_due_any_more_counts_anew(self, ledger: Ledger) -> None:
        """And does not wait meanwhile; one that only waits for something else is still the same."""
        one, _ = await self.bound(ledger)
        assert (await ledger.breaker.count_due([one], START, SAFETY)).counted == (one,)
        await ledger.decisions.conclude(PHONE, decision(State.DUE), START)
        assert (await ledger.breaker.count_due([one], START, SAFETY)).counted == ()
        await ledger.decisions.conclude(PHONE, decision(State.GRACE), START)
        done = await ledger.breaker.count_due([one], START + timedelta(minutes=1), SAFETY)
        assert (done.counted, done.opened) == ((one,), True)

    async def test_those_that_come_while_it_is_open_join(self, ledger: Ledger) -> None:
        """And wake up with the release."""
        one, two = await self.bound(ledger)
        assert (await ledger.breaker.count_due([one], START, Safety(breaker_max=0, breaker_ratio_percent=0))).opened
        done = await ledger.breaker.count_due([two], START, SAFETY)
        assert (done.opened, len(done.breaker.waiting)) == (False, 2)
        for uuid in (PHONE, OTHER):
            await ledger.decisions.facts(uuid, START)
            await ledger.decisions.conclude(uuid, decision(State.DUE), START)
        assert await ledger.decisions.due(START) == ()
        name = (await ledger.breaker.get()).fingerprint
        await ledger.breaker.release(START, fingerprint=name, reason="right", operator="op", approver="other")
        assert sorted(await ledger.decisions.due(START)) == sorted([PHONE, OTHER])

    async def test_what_marks_a_phone_has_it_decided_again(self, ledger: Ledger) -> None:
        """A protection that is taken back, with nothing else to come: the phone would wait for ever."""
        await self.bound(ledger)
        for protected in (True, False):
            await ledger.phones.mark(PHONE, protected=protected, reason="", operator="op")
            assert PHONE in await ledger.decisions.due(START)
            await ledger.decisions.facts(PHONE, START)
            await ledger.decisions.conclude(PHONE, decision(State.DUE), START)
            assert PHONE not in await ledger.decisions.due(START)
            await ledger.phones.mark(PHONE, protected=protected, reason="", operator="op")
            assert PHONE not in await ledger.decisions.due(START)

    async def test_the_clock_is_remembered_whole(self, ledger: Ledger) -> None:
        """None before the first look; a changed suspicion is told, and wakes the due phones."""
        await self.bound(ledger)
        assert await ledger.clock.memory() is None
        first = ClockMemory("b1", 1_772_366_400.25, START, 1_000.5, synchronised=True, seen_synchronised=True)
        await ledger.clock.keep(first, START)
        assert await ledger.clock.memory() == first
        await ledger.decisions.facts(PHONE, START)
        await ledger.decisions.conclude(PHONE, decision(State.DUE), START)
        suspect = replace(first, suspect="stepped", detail="by 9 s", since=START, healed_by_sync=True, passes_at=START)
        await ledger.clock.keep(suspect, START, {"suspect": "stepped", "was": ""})
        assert await ledger.clock.memory() == suspect
        assert PHONE in await ledger.decisions.due(START)
        await ledger.clock.trust(first, START, reason="looked at it", operator="op")
        assert await ledger.clock.memory() == first
        told = [entry.body for entry in await ledger.audit.entries() if entry.kind == "clock"]
        assert [(body["suspect"], body.get("operator", "")) for body in told] == [("stepped", ""), ("", "op")]
        with pytest.raises(InputError):
            await ledger.clock.trust(first, START, reason="", operator="op")

    async def test_free_space_is_remembered_of_a_running_wipe_alone(self, ledger: Ledger) -> None:
        """By filesystem; the newest answer counts; in the audit log without a path."""
        await self.begun(ledger)
        with pytest.raises(InvariantError):
            await ledger.free_space.record("w-1", 7, Trimmed("/phones", "fitrim"))
        await ledger.wipes.last_word("w-1", START, yes)
        assert await ledger.free_space.methods("w-1") == {}
        await ledger.free_space.record("w-1", 7, Trimmed("/phones", "", 0, "the device gives discarded blocks back"))
        await ledger.free_space.record("w-1", 9, Trimmed("/nvram", "fill", 4_096))
        await ledger.free_space.record("w-1", 7, Trimmed("/phones", "fitrim", 1 << 30))
        assert await ledger.free_space.methods("w-1") == {7: "fitrim", 9: "fill"}
        told = [entry for entry in await ledger.audit.entries() if entry.kind == "trimmed"]
        assert [entry.body["method"] for entry in told] == ["", "fill", "fitrim"]
        assert "/phones" not in repr(told)
