"""Who has which phone until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.contract.ledger import bind
from tests.fakes.clock import START
from tests.unit.record.rig import ALICE, BOB, DAY, OTHER, PHONE, Rig, decision, domain, record, uuid_of, yes
from wiped.errors import RefusedError
from wiped.model.records import WipeStep
from wiped.model.subscription import State, Subscription, WipeRequest
from wiped.ports.ledger import Ledger


async def term(rig: Rig, uuid: str = PHONE) -> Subscription:
    """The current term, which must be there."""
    found = await rig.ledger.subscriptions.get(uuid)
    assert found is not None
    return found


async def refused(rig: Rig, *records: object, source: str = "local") -> RefusedError:
    """The refusal of a batch, which must be one."""
    with pytest.raises(RefusedError) as caught:
        await rig.ledger.subscriptions.record(records, rig.now, source=source, operator="op")  # type: ignore[arg-type]
    return caught.value


async def test_the_first_term_begins_generation_one(rig: Rig) -> None:
    """A domain that was unbound; the pseudonym is not the reference."""
    await rig.ledger.phones.see([domain()], rig.now)
    await rig.bind()
    found = await term(rig)
    assert (found.generation, found.revision, found.first_recorded_at) == (1, 1, rig.now)
    assert (found.starts_at, found.expires_at, found.subscription_id) == (START - DAY, START + 30 * DAY, "s-1")
    assert found.account.startswith("acct-")
    assert "alice" not in found.account
    assert await rig.ledger.subscriptions.current() == (found,)


async def test_a_uuid_that_is_no_domain_is_kept(rig: Rig) -> None:
    """Kept and shown, not present, waiting for a decision; it keeps its term when the domain appears."""
    await rig.bind()
    phone = await rig.ledger.phones.get(PHONE)
    assert phone is not None
    assert (phone.present, phone.generation) == (False, 1)
    assert PHONE in await rig.ledger.decisions.due(rig.now)
    await rig.ledger.phones.see([domain()], rig.now)
    phone = await rig.ledger.phones.get(PHONE)
    assert phone is not None
    assert (phone.present, phone.name, phone.generation) == (True, "phone-1", 1)
    assert (await term(rig)).subscription_id == "s-1"


async def test_the_same_record_again_changes_nothing(rig: Rig) -> None:
    """A feed repeats itself every minute: no write, no audit entry, no decision."""
    await rig.bind()
    before, kinds = await term(rig), await rig.kinds()
    await rig.ledger.decisions.facts(PHONE, rig.now)
    await rig.ledger.decisions.conclude(PHONE, decision(State.ACTIVE), rig.now)
    kinds = await rig.kinds()
    rig.clock.move(60)
    await rig.bind()
    assert await term(rig) == before
    assert await rig.kinds() == kinds
    assert await rig.ledger.decisions.due(rig.now) == ()


async def test_a_renewal_is_the_same_generation(rig: Rig) -> None:
    """Another subscription id of the same account: same pseudonym; the new end is recorded now, and decided again."""
    await rig.bind()
    before = await term(rig)
    rig.clock.move(3600)
    await rig.bind(record(days=60, number="s-2"))
    after = await term(rig)
    assert (after.generation, after.account, after.subscription_id) == (1, before.account, "s-2")
    assert (after.expires_at, after.first_recorded_at, after.revision) == (START + 60 * DAY, rig.now, 2)
    assert PHONE in await rig.ledger.decisions.due(rig.now)


async def test_an_unchanged_end_keeps_when_it_was_first_recorded(rig: Rig) -> None:
    """Another policy or id alone does not push the wipe away."""
    await rig.bind()
    first = (await term(rig)).first_recorded_at
    rig.clock.move(3600)
    await rig.bind(record(policy="short"), source="http")
    assert ((await term(rig)).policy, (await term(rig)).first_recorded_at) == ("short", first)


@pytest.mark.parametrize("source", ["http", "file", "import", "local"])
async def test_what_a_record_leaves_out_stays_as_it_was(rig: Rig, source: str) -> None:
    """K5: silence brings nothing forward, whoever is silent; a generation that begins has the defaults."""
    await rig.bind(record(policy="long", minor=True, product="cp-1"), source="http")
    silent = frozenset({"policy", "minor", "product"})
    await rig.bind(replace(record(days=40), left_out=silent), source=source)
    found = await term(rig)
    assert (found.policy, found.minor, found.product) == ("long", True, "cp-1")


@pytest.mark.parametrize("changes", [{"policy": "short"}, {"minor": True}])
@pytest.mark.parametrize("source", ["file", "import", "local", "cli"])
async def test_one_person_shortens_no_grace(rig: Rig, source: str, changes: dict[str, Any]) -> None:
    """K5: nor makes a term a minor's. Billing's own feed, and its signature, may."""
    await rig.bind()
    before = await term(rig)
    for days in (30, 60):
        assert (await refused(rig, record(days=days, **changes), source=source)).codes == ("needs-approval",)
    assert await term(rig) == before
    await rig.bind(replace(record(**changes), signed=True), source=source)
    assert await term(rig) != before


@pytest.mark.parametrize("source", ["local", "cli", "import"])
async def test_one_person_cannot_bring_a_running_end_forward(rig: Rig, source: str) -> None:
    """A typo in a date by hand would destroy a paying customer's phone: needs-approval, nothing recorded but who tried."""
    await rig.bind()
    before, kinds = await term(rig), await rig.kinds()
    error = await refused(rig, record(days=2), source=source)
    assert error.codes == ("needs-approval",)
    assert await term(rig) == before
    assert await rig.kinds() == [*kinds, "refused"]
    body = (await rig.ledger.audit.entries())[-1].body
    assert body == {"codes": ["needs-approval"], "phones": [PHONE], "of": 1, "source": source, "operator": "op"}


async def test_billings_own_feed_may_bring_the_end_forward(rig: Rig) -> None:
    """And then this end was first recorded now: grace counts from here, whatever past date it names (one wrong record must not be enough)."""
    await rig.bind(source="http")
    rig.clock.move(3600)
    await rig.bind(record(days=-0.5), source="http")
    found = await term(rig)
    assert (found.expires_at, found.first_recorded_at) == (START - DAY / 2, rig.now)


async def test_an_ended_term_may_be_corrected_by_hand(rig: Rig) -> None:
    """After the end an earlier one makes nothing due sooner: it is first recorded now."""
    await rig.bind(record(days=1))
    rig.clock.move(2 * 86_400)
    await rig.bind(record(days=0.5))
    assert ((await term(rig)).expires_at, (await term(rig)).first_recorded_at) == (START + DAY / 2, rig.now)


async def test_another_account_is_refused_and_the_phone_marked(rig: Rig) -> None:
    """generation-occupied: the term stays, the mark is recorded and audited once, the sweep decides (and fences)."""
    await rig.bind()
    before = await term(rig)
    await rig.ledger.decisions.conclude(PHONE, decision(State.ACTIVE), rig.now)
    for _ in range(2):
        error = await refused(rig, record(account=BOB, number="s-9"), source="http")
        assert error.codes == ("generation-occupied",)
    assert PHONE in str(error)
    assert "bob" not in str(error)
    phone = await rig.ledger.phones.get(PHONE)
    assert phone is not None
    assert phone.occupied
    assert await term(rig) == before
    assert PHONE in await rig.ledger.decisions.due(rig.now)
    assert (await rig.kinds())[-1] == "generation-occupied"
    assert (await rig.kinds()).count("generation-occupied") == 1
    facts = await rig.ledger.decisions.facts(PHONE, rig.now)
    assert facts is not None
    assert facts.occupied_by_other
    assert await rig.salts.find(BOB, (1, 2)) == ()


async def test_the_right_account_settles_an_occupied_phone(rig: Rig) -> None:
    """Whoever typed the wrong account says the right one again, even with nothing else changed."""
    await rig.bind()
    await refused(rig, record(account=BOB))
    await rig.bind()
    phone = await rig.ledger.phones.get(PHONE)
    assert phone is not None
    assert not phone.occupied
    assert (await rig.kinds())[-1] == "occupied-settled"


async def test_a_batch_is_all_or_nothing(rig: Rig) -> None:
    """One refused record of three: nothing of the others is recorded, no slot is made for them, but the occupied one is marked."""
    await rig.bind()
    error = await refused(rig, record(OTHER), record(account=BOB), record(uuid_of(12)))
    assert error.codes == ("generation-occupied",)
    assert await rig.ledger.phones.get(OTHER) is None
    assert await rig.ledger.phones.get(uuid_of(12)) is None
    phone = await rig.ledger.phones.get(PHONE)
    assert phone is not None
    assert phone.occupied


async def test_every_refusal_of_a_batch_is_told(rig: Rig) -> None:
    """The main code first, each phone once, at most five by name."""
    many = [record(uuid_of(number)) for number in range(20, 30)]
    await rig.bind(*many)
    error = await refused(rig, *(replace(item, account=BOB) for item in many[1:]), replace(many[0], expires_at=START + DAY))
    assert error.codes == ("generation-occupied", "needs-approval")
    assert "and 5 more" in str(error)


async def test_after_release_another_account_begins_the_next_generation(rig: Rig) -> None:
    """Nothing of the last generation is carried over: not its flags, not its refusals, not its account."""
    await rig.released()
    first = await term(rig)
    assert first.generation == 1
    await rig.bind(record(account=BOB, number="s-7"))
    second = await term(rig)
    phone = await rig.ledger.phones.get(PHONE)
    assert phone is not None
    assert (second.generation, phone.generation, phone.state) == (2, 2, State.UNBOUND)
    assert second.account != first.account
    assert (phone.flags, phone.refusals, phone.occupied, phone.fenced) == ((), (), False, False)


async def test_the_same_account_again_is_another_pseudonym(rig: Rig) -> None:
    """One pseudonym per account and generation (R11)."""
    await rig.released()
    first = await term(rig)
    await rig.bind(record(days=60, number="s-2"))
    assert ((await term(rig)).generation, (await term(rig)).account != first.account) == (2, True)


async def test_a_feed_that_repeats_itself_does_not_bring_a_wiped_term_back(rig: Rig) -> None:
    """The same subscription after its wipe is no new generation, or a recycled phone would be wiped again and again."""
    await rig.released()
    kinds = await rig.kinds()
    for days in (30, 10):
        await rig.bind(record(days=days))
    assert await rig.kinds() == kinds
    phone = await rig.ledger.phones.get(PHONE)
    assert phone is not None
    assert (phone.generation, phone.state) == (1, State.RELEASED)


async def test_a_domain_defined_anew_after_release_is_nobodys(rig: Rig) -> None:
    """Its old, expired term does not bind it: else the new domain would be wiped at once."""
    await rig.released()
    await rig.ledger.phones.see([], rig.now)
    await rig.ledger.phones.see([domain(name="new")], rig.now)
    phone = await rig.ledger.phones.get(PHONE)
    facts = await rig.ledger.decisions.facts(PHONE, rig.now)
    assert phone is not None
    assert facts is not None
    assert (phone.state, phone.name, phone.present) == (State.UNBOUND, "new", True)
    assert (facts.subscription, facts.requests, facts.recorded_state) == (None, (), State.UNBOUND)
    assert await rig.ledger.subscriptions.get(PHONE) is None
    await rig.bind()
    assert await rig.ledger.subscriptions.get(PHONE) is None, "the very term that was wiped"
    await rig.bind(record(account=BOB))
    assert (await term(rig)).generation == 2


@pytest.mark.parametrize("quarantined", [False, True])
async def test_after_the_last_word_a_renewal_is_refused(rig: Rig, quarantined: bool) -> None:
    """subscription-renewed; the same record again is no renewal; another account is still generation-occupied."""
    await rig.begun()
    await rig.ledger.wipes.last_word("w-1", rig.now, yes)
    if quarantined:
        await rig.quarantine()
    assert (await refused(rig, record(days=60))).codes == ("subscription-renewed",)
    assert (await refused(rig, record(account=BOB))).codes == ("generation-occupied",)
    await rig.bind(record())
    assert (await term(rig)).expires_at == START + 30 * DAY


async def test_a_renewal_before_the_last_word_is_taken(rig: Rig) -> None:
    """I7: until then everything can be called off."""
    await rig.begun()
    await rig.bind(record(days=60))
    assert (await term(rig)).expires_at == START + 60 * DAY


async def test_a_renewal_answers_an_operators_request_and_no_others(rig: Rig) -> None:
    """A manual request was for the end that is renewed; a deletion request stays (docs/design.md: triggers are kept)."""
    await rig.bind(record(days=1))
    for number, kind in enumerate(("manual", "deletion")):
        await rig.ledger.requests.add(PHONE, WipeRequest(f"r-{number}", kind, "service-ended", rig.now), reference="T-1", reason="", operator="op")
    rig.clock.move(2 * 86_400)
    await rig.bind(record(days=30))
    facts = await rig.ledger.decisions.facts(PHONE, rig.now)
    assert facts is not None
    assert [request.kind for request in facts.requests] == ["deletion"]
    assert "request-closed" in await rig.kinds()


async def test_an_end_in_the_past_answers_nothing(rig: Rig) -> None:
    """Correcting an ended term to another past end is no renewal."""
    await rig.bind(record(days=1))
    await rig.ledger.requests.add(PHONE, WipeRequest("r-1", "manual", "service-ended", rig.now), reference="", reason="", operator="op")
    rig.clock.move(5 * 86_400)
    await rig.bind(record(days=2))
    facts = await rig.ledger.decisions.facts(PHONE, rig.now)
    assert facts is not None
    assert len(facts.requests) == 1


async def test_the_audit_log_tells_no_name_and_no_billing_id(rig: Rig) -> None:
    """Pseudonym, instants, codes."""
    await rig.bind(record(number="CONTRACT-4711"))
    (told,) = [entry.body for entry in await rig.ledger.audit.entries() if entry.kind == "subscription"]
    assert set(told) == {
        *("uuid", "generation", "account", "starts_at", "expires_at", "first_recorded_at"),
        *("policy", "minor", "revision", "change", "source", "operator"),
    }
    assert ALICE.value not in str(told)
    assert "4711" not in str(told)


async def test_a_wipe_released_keeps_its_term_to_be_shown(rig: Rig) -> None:
    """`explain` of a released phone; but it is no current term any more."""
    await rig.released()
    assert (await term(rig)).subscription_id == "s-1"
    assert await rig.ledger.subscriptions.current() == ()
    wipe = await rig.ledger.wipes.get("w-1")
    assert wipe is not None
    assert wipe.step is WipeStep.RELEASED
    assert rig.now - START < timedelta(days=1)


async def test_a_renewal_keeps_the_generation(ledger: Ledger) -> None:
    """And moves when its end was first recorded only with the end."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    first = await ledger.subscriptions.get(PHONE)
    await ledger.subscriptions.record([record(number="s-2")], START + DAY, source="local", operator="op")
    second = await ledger.subscriptions.get(PHONE)
    await ledger.subscriptions.record([record(days=60)], START + 2 * DAY, source="local", operator="op")
    third = await ledger.subscriptions.get(PHONE)
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.generation == second.generation == third.generation
    assert first.account == second.account == third.account
    assert [term.first_recorded_at for term in (first, second, third)] == [START, START, START + 2 * DAY]


async def test_another_account_occupies(ledger: Ledger) -> None:
    """Refused, marked, waiting."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    with pytest.raises(RefusedError) as caught:
        await bind(ledger, account=BOB)
    assert caught.value.codes == ("generation-occupied",)
    phone = await ledger.phones.get(PHONE)
    assert phone is not None
    assert phone.occupied
