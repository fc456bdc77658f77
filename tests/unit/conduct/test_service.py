"""What the faces may ask, and what they are told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.conduct.rig import GRACE, SAFETY, Rig
from wiped.attest.audit_chain import HEAD_TYPE
from wiped.attest.signing import open_envelope
from wiped.conduct.results import Ending
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.approvals import Person
from wiped.model.records import WipeStep
from wiped.model.subscription import AccountReference, State, SubscriptionRecord

ALICE = Person("alice", 1001)


def term(rig: Rig, uuid: str, *, seconds: float = 600, policy: str = "default", account: str = "acct-1") -> SubscriptionRecord:
    """A term that ends `seconds` from now."""
    now = rig.clock.now()
    return SubscriptionRecord(uuid, "s-1", AccountReference(account), now - timedelta(days=1), now + timedelta(seconds=seconds), policy=policy)


async def asked(rig: Rig, uuid: str, confirm: str = "phone-1") -> object:
    """A manual wipe."""
    return await rig.service.request_wipe(uuid, reason="left", ticket="T-1", confirm=confirm, person=ALICE)


async def refusal(rig: Rig, uuid: str, confirm: str = "phone-1") -> tuple[str, ...]:
    """The codes of a manual wipe that is refused; nothing was recorded for it."""
    with pytest.raises(RefusedError) as caught:
        await asked(rig, uuid, confirm)
    facts = await rig.ledger.decisions.facts(uuid, rig.clock.now())
    assert facts is not None
    assert facts.requests == ()
    assert await rig.ledger.wipes.find(uuid) == ()
    return caught.value.codes


async def test_a_manual_wipe_in_grace_begins_after_settling() -> None:
    """Accepted in grace, begun once it has settled, long before grace ends; the request's id and the operator are the trigger's."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.service.set_subscription(term(rig, uuid), ALICE)
    rig.clock.move(700)
    await rig.reconciler.sweep()
    answer = await rig.service.request_wipe(uuid, reason="left", ticket="T-1", confirm="phone-1", person=ALICE)
    assert answer.wipe is None
    assert answer.decision.next_at == rig.clock.now() + timedelta(seconds=SAFETY.settle)
    rig.clock.move(SAFETY.settle + 1)
    await rig.reconciler.sweep()
    assert await rig.drain() == [Ending.RELEASED]
    trigger = (await rig.wipe_of(uuid)).trigger
    assert (trigger.kind, trigger.reference, trigger.operator) == ("manual", answer.request_id, "alice")


async def test_a_manual_wipe_of_a_due_phone_is_answered_with_its_wipe() -> None:
    """Due already: the wipe that waits is the answer; asking again changes nothing."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    answer = await rig.service.request_wipe(uuid, reason="left", ticket="", confirm="phone-1", person=ALICE)
    assert answer.wipe is not None
    assert await rig.drain() == [Ending.RELEASED]
    again = await rig.service.request_wipe(uuid, reason="left", ticket="", confirm="phone-1", person=ALICE)
    assert again.wipe is not None
    assert (again.wipe.id, again.wipe.step) == (answer.wipe.id, WipeStep.RELEASED)


@pytest.mark.parametrize(("typed", "codes"), [("phone-2", ("wrong-confirmation",)), ("", ("wrong-confirmation",)), ("phone-1 ", ("wrong-confirmation",))])
async def test_another_name_typed_is_refused(typed: str, codes: tuple[str, ...]) -> None:
    """Nobody wipes by arrow-up."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    with pytest.raises(RefusedError) as caught:
        await asked(rig, uuid, typed)
    assert caught.value.codes == codes
    assert rig.announcer.codes["wrong-confirmation"] == 1
    assert (await rig.ledger.decisions.facts(uuid, rig.clock.now())).requests == ()  # type: ignore[union-attr]


async def test_an_active_phone_is_refused() -> None:
    """The term runs: subscription-active, and a second person is needed; what was asked is not approved, and nothing is begun."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.service.set_subscription(term(rig, uuid, seconds=86_400), ALICE)
    for seconds in (0, 86_000):
        rig.clock.move(seconds)
        await rig.reconciler.sweep()
        with pytest.raises(RefusedError) as caught:
            await asked(rig, uuid)
        assert caught.value.codes == ("subscription-active", "needs-approval")
        facts = await rig.ledger.decisions.facts(uuid, rig.clock.now())
        assert facts is not None
        assert [request.approved for request in facts.requests] == [False]
        assert await rig.ledger.wipes.find(uuid) == ()


async def test_an_unbound_or_vanished_phone_is_refused() -> None:
    """No term, or no domain: nothing may be concluded."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    assert await refusal(rig, uuid) == ("unbound",)
    await rig.service.set_subscription(term(rig, uuid), ALICE)
    del rig.host.machines[uuid]
    rig.clock.move(700)
    await rig.reconciler.sweep()
    assert await refusal(rig, uuid) == ("missing",)


async def test_a_quarantined_phone_is_tried_again_by_hand() -> None:
    """retry: at once, whatever its back-off; a phone without a quarantined wipe is told so."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    with pytest.raises(InputError):
        await rig.service.retry(uuid, "alice")
    rig.observer.mismatches = [3]
    assert await rig.drain() == [Ending.QUARANTINED]
    assert [wipe.uuid for wipe in await rig.service.quarantine()] == [uuid]
    status = await rig.service.status()
    assert (status.quarantined, status.phones["quarantined"]) == (1, 1)
    await rig.service.retry(uuid, "alice")
    assert await rig.drain() == [Ending.RELEASED]
    assert await rig.service.quarantine() == ()


async def test_names_are_for_people() -> None:
    """By UUID in any spelling, by exact name; an ambiguous name names its candidates; a vanished namesake does not count."""
    rig = Rig()
    first, second = rig.host.add_phone(1), rig.host.add_phone(2)
    await rig.reconciler.sweep()
    assert (await rig.service.resolve(first.upper())).uuid == first
    assert (await rig.service.resolve("phone-2")).uuid == second
    rig.host.update(second, name="phone-1")
    await rig.reconciler.sweep()
    with pytest.raises(NotFoundError) as caught:
        await rig.service.resolve("phone-1")
    assert first in str(caught.value)
    assert second in str(caught.value)
    del rig.host.machines[first]
    await rig.reconciler.sweep()
    assert (await rig.service.resolve("phone-1")).uuid == second
    for unknown in ("phone", "*", "00000000-0000-4000-8000-000000000009"):
        with pytest.raises(NotFoundError):
            await rig.service.resolve(unknown)


async def test_a_plan_changes_nothing() -> None:
    """Nothing is recorded, fenced, stopped or queued by looking."""
    rig = Rig()
    golden = rig.host.add_file("/golden/base.qcow2", b"GOLDEN")
    uuid = rig.host.add_phone(1, running=True, golden="/golden/base.qcow2")
    await rig.reconciler.sweep()
    plan = await rig.service.plan(uuid)
    assert [str(step.kind) for step in plan.steps] == ["disk-image", "nvram"]
    assert [(kept.location, kept.identity) for kept in plan.retained] == [("/golden/base.qcow2", golden.identity)]
    assert rig.host.running(uuid)
    assert await rig.ledger.wipes.find() == ()
    assert rig.host.fences == {}
    del rig.host.machines[uuid]
    with pytest.raises(RefusedError) as caught:
        await rig.service.plan(uuid)
    assert caught.value.codes == ("missing",)


async def test_a_plan_and_the_wipe_after_it_have_one_fingerprint() -> None:
    """What was shown is what is done."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.due(uuid)
    plan = await rig.service.plan(uuid)
    await rig.drain()
    assert (await rig.wipe_of(uuid)).plan.fingerprint == plan.fingerprint  # type: ignore[union-attr]


async def test_a_policy_that_does_not_exist_is_bad_input() -> None:
    """The term would be under no policy: nothing is recorded."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    with pytest.raises(InputError, match="policy"):
        await rig.service.set_subscription(term(rig, uuid, policy="gold"), ALICE)
    assert await rig.service.subscriptions() == ()


async def test_an_import_is_seen_by_the_next_sweep() -> None:
    """Many terms at once; a sweep is asked for; a refused one is announced."""
    rig = Rig()
    uuids = [rig.host.add_phone(n) for n in (1, 2, 3)]
    await rig.reconciler.sweep()
    await rig.service.import_subscriptions([term(rig, uuid) for uuid in uuids], "alice")
    assert rig.nudges == 1
    await rig.reconciler.sweep()
    assert (await rig.service.status()).phones["notice"] == 3
    with pytest.raises(RefusedError):
        await rig.service.set_subscription(term(rig, uuids[0], account="acct-2"), ALICE)
    assert rig.announcer.codes["generation-occupied"] == 1


async def test_explain_decides_now_and_records_nothing() -> None:
    """The decision is of this moment; the phone's record is as last concluded."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    await rig.reconciler.sweep()
    await rig.service.set_subscription(term(rig, uuid), ALICE)
    rig.clock.move(700)
    told = await rig.service.explain(uuid)
    assert (told.phone.state, told.decision.state) == (State.NOTICE, State.GRACE)
    assert told.subscription is not None
    assert (await rig.service.phones([State.NOTICE]))[0].uuid == uuid
    with pytest.raises(InputError):
        await rig.service.phones(["asleep"])


async def test_watchers_see_steps_and_bytes_until_the_end() -> None:
    """News of one wipe, from where it is to its end; of an ended one, its end at once."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)

    async def watch() -> list[str]:
        return [news.step or news.event async for news in rig.service.events(wipe.id)]

    watching = asyncio.create_task(watch(), name="watch")
    await asyncio.sleep(0)
    await rig.drain()
    seen = await asyncio.wait_for(watching, 5)
    assert [seen[0], seen[-1]] == ["queued", "released"]
    assert "progress" in seen
    assert [step for step in seen if step in {"erasing", "verifying", "removing", "judged"}] == ["erasing", "verifying", "removing", "judged"]
    assert [(news.event, news.step) async for news in rig.service.events(wipe.id)] == [("end", "released")]


async def test_status_tells_what_is_overdue_and_what_is_wrong() -> None:
    """Overdue after the policy's deadline; libvirt, feed, hook and clock faults are named in status and readiness."""
    rig = Rig(policy=replace(Rig().policy, deadline=GRACE + 60))
    uuid, other = rig.host.add_phone(1), rig.host.add_phone(2)
    rig.host.update(other, disks=rig.host.machines[uuid].facts.disks)
    await rig.due(uuid)
    await rig.drain()
    rig.clock.move(3600)
    rig.host.libvirt_down = True
    rig.host.hook_loaded = False
    rig.feed.silent = True
    await rig.reconciler.sweep()
    status = await rig.service.status()
    assert (status.overdue, status.phones["due"], status.queued) == (1, 1, 1)
    assert 3600 <= status.oldest_overdue_seconds <= 3700
    assert status.flags["refused"] == 1
    assert set(status.faults) == {"libvirt", "hook", "feed"}
    assert (status.libvirt_up, status.feed_kind) == (False, "http")


async def test_certificates_are_found_by_their_id_and_by_their_wipe() -> None:
    """And what is not there is not found."""
    rig = Rig()
    uuid = rig.host.add_phone(1)
    wipe = await rig.begun(uuid)
    await rig.drain()
    found = await rig.service.certificate(wipe.id)
    assert (await rig.service.certificate(found.id)).envelope == found.envelope
    assert b"BEGIN PUBLIC KEY" in rig.service.public_key()
    for call in (rig.service.certificate("none"), rig.service.wipe("none"), rig.service.explain("none"), rig.service.plan("none")):
        with pytest.raises(NotFoundError):
            await call


async def test_a_signed_head_covers_the_entry_that_was_asked_for() -> None:
    """For an export of that length: seq and hash are the entry's, signed by this host's key; an entry that is not there has none."""
    rig = Rig()
    for number in range(3):
        await rig.ledger.audit.note("test", {"number": number}, rig.clock.now())
    entries = await rig.service.audit()
    for entry in (entries[0], entries[-1]):
        told = open_envelope(await rig.service.audit_head(entry.seq), rig.service.public_key(), payload_type=HEAD_TYPE)
        assert (told["seq"], told["hash"], told["at"]) == (entry.seq, entry.hash, entry.at)
    for seq in (0, -1, entries[-1].seq + 1):
        with pytest.raises(NotFoundError):
            await rig.service.audit_head(seq)
