"""An earlier end of a running term, by two people."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.conduct.account import ACCOUNT, ANNA, BORIS, ROOT, bound, refused, settle, state
from tests.unit.conduct.rig import GRACE, Rig
from wiped.errors import RefusedError
from wiped.model.approvals import Approval, ApprovalState, Person
from wiped.model.policy import Policy
from wiped.model.subscription import State, SubscriptionRecord


def _earlier(rig: Rig, uuid: str, seconds: float, **changes: object) -> SubscriptionRecord:
    """The term of `bound` with an end `seconds` from now."""
    now = rig.clock.now()
    values = {"starts_at": now - timedelta(days=30), "expires_at": now + timedelta(seconds=seconds), **changes}
    return SubscriptionRecord(uuid, "s-0", ACCOUNT, **values)  # type: ignore[arg-type]


async def wish_to_shorten(rig: Rig, record: SubscriptionRecord, person: Person = ANNA) -> Approval:
    """An earlier end by hand: recorded as a wish, and nothing has changed."""
    before = await rig.ledger.subscriptions.get(record.uuid)
    with pytest.raises(RefusedError, match="bringing the end of a running term forward") as caught:
        await rig.service.subscriptions.set(record, person)
    assert caught.value.codes == ("needs-approval",)
    assert await rig.ledger.subscriptions.get(record.uuid) == before
    return await rig.service.approvals.get(caught.value.approval)


async def test_two_people_bring_the_end_of_a_running_term_forward(tmp_path: Path) -> None:
    """Nobody alone; then grace runs from the agreement, and the phone is wiped like any other."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1)
        approval = await wish_to_shorten(rig, _earlier(rig, uuid, 60))
        assert (approval.kind, approval.uuids) == ("shorten-term", (uuid,))
        await settle(rig, 61 + GRACE)
        assert await state(rig, uuid) is State.ACTIVE
        assert [await refused(rig, approval, person) for person in (ANNA, ROOT, Person("dora", 1004), Person("anna-too", 1001, may_approve=True))] == [
            "needs-approval"
        ] * 4
        await rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
        assert await state(rig, uuid) is State.GRACE
        await settle(rig, GRACE - 10)
        assert rig.host.remains("SECRET") == 5
        await settle(rig, 11)
        assert await state(rig, uuid) is State.RELEASED
        (told,) = [entry.body for entry in await rig.ledger.audit.entries() if entry.kind == "term-shortened"]
        assert (told["operator"], told["approver"]) == ("anna", "boris")


async def test_a_renewal_between_the_two_people_ends_the_wish(tmp_path: Path) -> None:
    """The second one agreed to the end of another term: refused, and withdrawn; so it is where the first one changed the wish."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1)
        first = await wish_to_shorten(rig, _earlier(rig, uuid, 60))
        second = await wish_to_shorten(rig, _earlier(rig, uuid, 120))
        assert (await rig.service.approvals.get(first.id)).state is ApprovalState.WITHDRAWN
        await rig.subscribe(uuid, seconds=200_000, account=ACCOUNT.value, number="s-0")
        assert await refused(rig, second, BORIS) == "drift"
        assert (await rig.service.approvals.get(second.id)).state is ApprovalState.WITHDRAWN
        term = await rig.ledger.subscriptions.get(uuid)
        assert term is not None
        assert term.expires_at > rig.clock.now() + timedelta(seconds=199_000)


async def test_a_renewal_is_not_undone_by_saying_it_again(tmp_path: Path) -> None:
    """Cut short by two people, then renewed to the very end that it had: the second one alone does not cut it again. After a crash the same words do."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1)
        before = await rig.ledger.subscriptions.get(uuid)
        assert before is not None
        approval = await wish_to_shorten(rig, _earlier(rig, uuid, 600))
        rig.clock.move(5)
        await rig.world.ledger.approvals.agree(approval.id, BORIS.name, rig.clock.now(), fingerprint=approval.fingerprint)
        rig.clock.move(5)
        await rig.service.approvals.approve(approval.id, fingerprint="", person=BORIS)
        cut = await rig.ledger.subscriptions.get(uuid)
        assert cut is not None
        assert cut.expires_at < before.expires_at
        rig.clock.move(5)
        await rig.subscribe(uuid, seconds=(before.expires_at - rig.clock.now()).total_seconds(), account=ACCOUNT.value, number="s-0")
        await rig.service.approvals.approve(approval.id, fingerprint="", person=BORIS)
        after = await rig.ledger.subscriptions.get(uuid)
        assert after is not None
        assert after.expires_at == before.expires_at


async def test_nothing_else_of_a_term_is_changed_with_its_end(tmp_path: Path) -> None:
    """Another product or start beside the earlier end is not even asked about; many at once are not either."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1)
        with pytest.raises(RefusedError, match="agrees to that alone") as caught:
            await rig.service.subscriptions.set(_earlier(rig, uuid, 60, product="other"), ANNA)
        assert caught.value.codes == ("needs-approval",)
        with pytest.raises(RefusedError):
            await rig.service.subscriptions.record_all([_earlier(rig, uuid, 60)], "anna")
        assert await rig.service.approvals.find() == ()


@pytest.mark.parametrize("wanted", [{"policy": "short"}, {"minor": True}])
async def test_the_grace_of_a_running_term_is_shortened_by_two_people_alone(tmp_path: Path, wanted: dict[str, object]) -> None:
    """K5: another policy, or a minor's, by hand: a wish, told as what it is; agreed to, it is so. The other way round takes nobody."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        rig.world.policies["short"] = Policy(name="short", grace=60)  # type: ignore[index]
        (uuid,) = await bound(rig, 1)
        before = await rig.ledger.subscriptions.get(uuid)
        assert before is not None
        record = SubscriptionRecord(uuid, "s-0", ACCOUNT, before.starts_at, before.expires_at, left_out=frozenset({"policy", "minor", "product"}) - set(wanted))
        approval = await wish_to_shorten(rig, replace(record, **wanted))  # type: ignore[arg-type]
        said = (await rig.service.approvals.get(approval.id)).what
        assert ("under the policy short" if "policy" in wanted else "as a minor's") in said
        await rig.service.approvals.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
        after = await rig.ledger.subscriptions.get(uuid)
        assert after is not None
        assert {key: getattr(after, key) for key in wanted} == wanted
        assert after.expires_at == before.expires_at
        if "minor" in wanted:
            await rig.service.subscriptions.set(replace(record, minor=False, left_out=frozenset({"policy", "product"})), ANNA)
            assert (await rig.ledger.subscriptions.get(uuid)).minor is False  # type: ignore[union-attr]
