"""What people ask for, over the real ledger: requests, two people, holds that reach future phones, drains, suspensions, the subject report."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.conduct.rig import GRACE, SAFETY, Rig
from wiped.api import report_page
from wiped.errors import InputError, RefusedError
from wiped.model.approvals import Approval, ApprovalKind, ApprovalState, Person
from wiped.model.subscription import AccountReference, State, SubscriptionRecord

ANNA, BORIS, CLEO = Person("anna", 1001), Person("boris", 1002, may_approve=True), Person("cleo", 1003, may_approve=True)
ROOT = Person("root", 0)
ACCOUNT = AccountReference("li.wei@example.org")


async def bound(rig: Rig, phones: int = 3, *, account: str = ACCOUNT.value, seconds: float = 100_000) -> list[str]:
    """Running phones of one account whose terms run."""
    uuids = [rig.host.add_phone(number, running=True) for number in range(1, phones + 1)]
    await rig.reconciler.sweep()
    for number, uuid in enumerate(uuids):
        await rig.subscribe(uuid, seconds=seconds, account=account, number=f"s-{number}")
    await settle(rig)
    return uuids


async def settle(rig: Rig, seconds: float = 0) -> None:
    """Time, sweeps, and the work that they find."""
    rig.clock.move(seconds)
    for _ in range(3):
        await rig.reconciler.sweep()
        await rig.drain()


async def cancelled(rig: Rig, person: Person = ANNA) -> Approval:
    """The account was cancelled; what waits."""
    asked = await rig.service.add_request("cancellation", "account-cancelled", account=ACCOUNT, reference="DSR-77", reason="she wrote to us",
                                          confirm=ACCOUNT.value, person=person)  # fmt: skip
    await settle(rig)
    assert asked.approval is not None
    return asked.approval


async def state(rig: Rig, uuid: str) -> State:
    """The phone's."""
    phone = await rig.ledger.phones.get(uuid)
    assert phone is not None
    return phone.state


async def refused(rig: Rig, approval: Approval, person: Person) -> str:
    """The code with which a person's agreement is refused."""
    with pytest.raises(RefusedError) as caught:
        await rig.service.approve(approval.id, fingerprint=approval.fingerprint, person=person)
    return caught.value.codes[0]


async def test_a_cancelled_account(tmp_path: Path) -> None:
    """All phones are stopped and fenced at once; one person, root or the asker cannot go on; the second one can; a held phone is kept, and wiped after two
    people released it; the officer's report tells it all."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig)
        stranger = rig.host.add_phone(9, running=True)
        await rig.reconciler.sweep()
        await rig.subscribe(stranger, seconds=100_000, account="somebody-else", number="s-9")
        hold = await rig.service.add_hold(uuid=phones[2], authority="District Court", reference="3 O 12/26", ground="litigation", until=None, person=ANNA)
        approval = await cancelled(rig)
        assert set(approval.uuids) == set(phones)
        assert [rig.host.running(uuid) for uuid in phones] == [False] * 3
        assert set(phones) <= set(rig.host.fences)
        assert rig.host.running(stranger)
        await settle(rig, 5000)
        assert [await refused(rig, approval, person) for person in (ANNA, ROOT, Person("dora", 1004), Person("other-name", 1001, may_approve=True))] == [
            "needs-approval"
        ] * 4
        assert rig.host.remains("SECRET") == 20
        agreed = await rig.service.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
        assert agreed.state is ApprovalState.APPROVED
        await settle(rig, SAFETY.settle)
        assert [await state(rig, uuid) for uuid in phones] == [State.RELEASED, State.RELEASED, State.DUE]
        assert [rig.host.remains(f"SECRET of phone-{number}") for number in (1, 2, 3, 9)] == [0, 0, 5, 5]
        trigger = (await rig.ledger.wipes.find(phones[0]))[0].trigger
        assert (trigger.kind, trigger.ground, trigger.operator, trigger.approver) == ("cancellation", "account-cancelled", "anna", "boris")
        with pytest.raises(RefusedError, match="releasing a legal hold") as caught:
            await rig.service.release_hold(hold.id, reason="the case ended", person=CLEO)
        assert await refused(rig, await rig.service.approval(caught.value.approval), CLEO) == "needs-approval"
        await rig.service.approve(caught.value.approval, fingerprint="", person=BORIS)
        await settle(rig, 61)
        assert await state(rig, phones[2]) is State.RELEASED
        assert rig.host.remains("SECRET of phone-3") == 0
        report = await rig.service.subject_report(ACCOUNT, CLEO)
        assert [(item["kind"], item["reference"]) for item in report["requests"]] == [("cancellation", "DSR-77")] * 3
        assert {item["outcome"] for item in report["wipes"]} == {"clear"}
        assert len(report["wipes"]) == len(report["subscriptions"]) == 3
        assert "DSR-77" in report_page.page("subject", report)
        period = await rig.service.period_report(rig.clock.now() - timedelta(days=1), rig.clock.now() + timedelta(days=1))
        assert (period["outcomes"], period["triggers"]) == ({"clear": 3}, {"cancellation": 3})
        told = str([entry.body for entry in await rig.ledger.audit.entries()])
        assert not [word for word in ("li.wei", "DSR-77", "she wrote", "District", "3 O 12") if word in told]


async def test_what_root_asked_for_takes_two_others(tmp_path: Path) -> None:
    """sudo merges people: whoever typed it may be one of them."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        approval = await cancelled(rig, ROOT)
        once = await rig.service.approve(approval.id, fingerprint="", person=BORIS)
        assert (once.state, once.needed) == (ApprovalState.PENDING, 2)
        again = await rig.service.approve(approval.id, fingerprint="", person=BORIS)
        assert again.state is ApprovalState.PENDING
        await settle(rig, SAFETY.settle)
        assert rig.host.remains("SECRET") == 5
        await rig.service.approve(approval.id, fingerprint="", person=CLEO)
        await settle(rig, SAFETY.settle)
        assert await state(rig, phones[0]) is State.RELEASED


async def test_an_approval_is_of_one_plan(tmp_path: Path) -> None:
    """A plan that changed since it was shown is shown again; one that changed since it was approved is not carried out."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        approval = await cancelled(rig)
        assert await refused(rig, Approval(**{**_fields(approval), "fingerprint": "f" * 64}), BORIS) == "drift"
        await rig.service.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
        (request,) = [item for _, item in await rig.world.ledger.requests.find()]  # type: ignore[union-attr]
        await rig.ledger.requests.approve(request.id, rig.clock.now(), approver="boris", until=rig.clock.now() + timedelta(days=3), fingerprint="0" * 64)
        await settle(rig, SAFETY.settle)
        assert rig.host.remains("SECRET") == 5
        assert await state(rig, phones[0]) is State.ACTIVE
        (anew,) = await rig.service.approvals()
        assert anew.id != approval.id
        await rig.service.approve(anew.id, fingerprint=anew.fingerprint, person=BORIS)
        await settle(rig, SAFETY.settle)
        assert await state(rig, phones[0]) is State.RELEASED


def _fields(approval: Approval) -> dict[str, object]:
    return {name: getattr(approval, name) for name in Approval.__dataclass_fields__}


async def test_a_crash_between_the_agreement_and_its_deed(tmp_path: Path) -> None:
    """The second person says it again, and it is done; said once more it changes nothing."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        approval = await cancelled(rig)
        ledger = rig.world.ledger
        await ledger.approvals.agree(approval.id, BORIS.name, rig.clock.now(), fingerprint=approval.fingerprint)
        await settle(rig, SAFETY.settle)
        assert rig.host.remains("SECRET") == 5
        for _ in range(2):
            assert (await rig.service.approve(approval.id, fingerprint="", person=BORIS)).state is ApprovalState.APPROVED
        await settle(rig, 1)
        assert await state(rig, phones[0]) is State.RELEASED


async def test_an_agreement_said_again_renews_nothing(tmp_path: Path) -> None:
    """It ends when it would have ended; whoever lost the role cannot repeat it, and nobody can once its time is over."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        await bound(rig, 1, seconds=10_000_000)
        approval = await cancelled(rig)
        ledger = rig.world.ledger
        agreed = await ledger.approvals.agree(approval.id, BORIS.name, rig.clock.now(), fingerprint=approval.fingerprint)
        rig.clock.move(5)
        await rig.service.approve(approval.id, fingerprint="", person=BORIS)
        ((_, request),) = await ledger.requests.find()
        assert agreed.decided_at is not None
        assert request.approved_until == agreed.decided_at + timedelta(seconds=SAFETY.approval_ttl)
        assert await refused(rig, approval, Person(BORIS.name, BORIS.uid)) == "needs-approval"
        rig.clock.move(SAFETY.approval_ttl)
        assert await refused(rig, approval, BORIS) == "approval-expired"


async def test_nobody_approves_in_time(tmp_path: Path) -> None:
    """It expires and is asked for anew; the phone stays fenced, and nothing of it is touched."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1, seconds=10_000_000)
        approval = await cancelled(rig)
        await settle(rig, SAFETY.approval_ttl + 1)
        assert await refused(rig, approval, BORIS) == "approval-expired"
        (anew,) = await rig.service.approvals()
        assert (anew.id != approval.id, anew.subject) == (True, approval.subject)
        assert phones[0] in rig.host.fences
        assert rig.host.remains("SECRET") == 5


async def test_a_request_that_is_rejected_gives_the_phone_back(tmp_path: Path) -> None:
    """The second person says no: the fence is lifted; whoever asked for a cancellation cannot take it back."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        approval = await cancelled(rig)
        with pytest.raises(RefusedError):
            await rig.service.reject(approval.id, reason="a mistake", person=ANNA)
        assert phones[0] in rig.host.fences
        await rig.service.reject(approval.id, reason="it was another account", person=BORIS)
        await settle(rig)
        assert phones[0] not in rig.host.fences
        assert await rig.service.requests() == ()


async def test_a_manual_wipe_of_an_active_phone_touches_nothing_until_it_is_approved(tmp_path: Path) -> None:
    """An operator's slip does not stop a customer."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        with pytest.raises(RefusedError) as caught:
            await rig.service.request_wipe(phones[0], reason="left", ticket="T-1", confirm="phone-1", person=ANNA)
        assert caught.value.codes == ("subscription-active", "needs-approval")
        await settle(rig, 1000)
        assert rig.host.running(phones[0])
        await rig.service.approve(caught.value.approval, fingerprint="", person=BORIS)
        await settle(rig, SAFETY.settle)
        assert await state(rig, phones[0]) is State.RELEASED


async def test_a_hold_on_an_account_reaches_the_phones_that_it_gets_later(tmp_path: Path) -> None:
    """Present and future ones alike (R9); another account's are not held."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        first, second, other = (rig.host.add_phone(number, running=True) for number in (1, 2, 3))
        await rig.reconciler.sweep()
        await rig.subscribe(first, account=ACCOUNT.value, number="s-1")
        await rig.service.add_hold(
            account=ACCOUNT, authority="Police", reference="77", ground="criminal-investigation", until=None, disclose=False, person=ANNA
        )
        await rig.subscribe(second, account=ACCOUNT.value, number="s-2")
        await rig.subscribe(other, account="somebody-else", number="s-3")
        await settle(rig, 600 + GRACE + 1)
        assert [await state(rig, uuid) for uuid in (first, second, other)] == [State.DUE, State.DUE, State.RELEASED]
        assert [rig.host.remains(f"SECRET of phone-{number}") for number in (1, 2, 3)] == [5, 5, 0]
        report = await rig.service.subject_report(ACCOUNT, CLEO)
        assert (report["holds"], report["holds_not_disclosed"]) == ([], 1)
        assert "Police" not in str(report)


async def test_a_reported_leak_stops_and_fences_until_it_is_resumed(tmp_path: Path) -> None:
    """Reversible; nothing is erased by it."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        asked = await rig.service.add_request("leak", "reported-leak", uuid=phones[0], reference="SEC-1", reason="", confirm="phone-1", person=ANNA)
        assert asked.approval is None
        await settle(rig, 5000)
        assert phones[0] in rig.host.fences
        assert not rig.host.running(phones[0])
        await rig.service.resume(phones[0], reason="it was none", person=ANNA)
        await settle(rig)
        assert phones[0] not in rig.host.fences
        await rig.service.suspend(phones[0], reason="once more", person=ANNA)
        await settle(rig)
        assert phones[0] in rig.host.fences
        assert rig.host.remains("SECRET") == 5


async def test_a_drain(tmp_path: Path) -> None:
    """Announced: no new subscription. At its date ended terms are wiped without more grace, running ones only once it was approved. Cancelled by two."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 2, seconds=100_000)
        new = rig.host.add_phone(5, running=True)
        await rig.reconciler.sweep()
        drain = await rig.service.start_drain(rig.clock.now() + timedelta(hours=2), product="", reason="the hall closes", person=ANNA)
        with pytest.raises(RefusedError) as caught:
            await rig.subscribe(new, number="s-5")
        assert caught.value.codes == ("draining",)
        await settle(rig, 3 * 3600)
        assert rig.host.remains("SECRET") == 15
        (approval,) = await rig.service.approvals()
        assert approval.kind is ApprovalKind.DRAIN
        with pytest.raises(InputError, match="begun"):
            await rig.service.cancel_drain(drain.id, reason="no", person=ANNA)
        await rig.service.approve(approval.id, fingerprint="", person=BORIS)
        await settle(rig, SAFETY.settle)
        assert [await state(rig, uuid) for uuid in phones] == [State.RELEASED] * 2
        assert rig.host.remains("SECRET of phone-5") == 5
    async with Rig.on_disk(str(_other(tmp_path))) as rig:
        await bound(rig, 1)
        drain = await rig.service.start_drain(rig.clock.now() + timedelta(hours=2), product="", reason="the hall closes", person=ANNA)
        with pytest.raises(RefusedError) as caught:
            await rig.service.cancel_drain(drain.id, reason="it stays open", person=CLEO)
        await rig.service.approve(caught.value.approval, fingerprint="", person=BORIS)
        assert await rig.service.drains() == ()


def _other(path: Path) -> Path:
    found = path / "other"
    found.mkdir()
    return found


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"kind": "manual"}, "kind"),
        ({"ground": "litigation"}, "ground"),
        ({"reference": " "}, "reference"),
        ({"account": ACCOUNT}, "phone"),
        ({"uuid": ""}, "phone"),
    ],
)
async def test_bad_requests(tmp_path: Path, changes: dict[str, object], where: str) -> None:
    """Each names what is wrong, and nothing is recorded."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        words: dict[str, object] = {"kind": "deletion", "ground": "no-consent", "uuid": phones[0], "account": None, "reference": "R", "reason": "",
                                    "confirm": "phone-1", "person": ANNA, **changes}  # fmt: skip
        kind, ground = words.pop("kind"), words.pop("ground")
        with pytest.raises(InputError) as caught:
            await rig.service.add_request(str(kind), str(ground), **words)  # type: ignore[arg-type]
        assert caught.value.where == where
        assert await rig.service.requests() == ()


async def test_a_wrong_confirmation_changes_nothing(tmp_path: Path) -> None:
    """Of a phone and of an account."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        phones = await bound(rig, 1)
        for words in ({"uuid": phones[0]}, {"account": ACCOUNT}):
            with pytest.raises(RefusedError) as caught:
                await rig.service.add_request("cancellation", "account-cancelled", **words, reference="R", reason="", confirm="phone-2", person=ANNA)  # type: ignore[arg-type]
            assert caught.value.codes == ("wrong-confirmation",)
        assert rig.host.running(phones[0])


def _earlier(rig: Rig, uuid: str, seconds: float, **changes: object) -> SubscriptionRecord:
    """The term of `bound` with an end `seconds` from now."""
    now = rig.clock.now()
    values = {"starts_at": now - timedelta(days=30), "expires_at": now + timedelta(seconds=seconds), **changes}
    return SubscriptionRecord(uuid, "s-0", ACCOUNT, **values)  # type: ignore[arg-type]


async def wish_to_shorten(rig: Rig, record: SubscriptionRecord, person: Person = ANNA) -> Approval:
    """An earlier end by hand: recorded as a wish, and nothing has changed."""
    before = await rig.ledger.subscriptions.get(record.uuid)
    with pytest.raises(RefusedError, match="bringing the end of a running term forward") as caught:
        await rig.service.set_subscription(record, person)
    assert caught.value.codes == ("needs-approval",)
    assert await rig.ledger.subscriptions.get(record.uuid) == before
    return await rig.service.approval(caught.value.approval)


async def test_two_people_bring_the_end_of_a_running_term_forward(tmp_path: Path) -> None:
    """Nobody alone; then grace runs from the agreement, and the phone is wiped like any other."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1)
        approval = await wish_to_shorten(rig, _earlier(rig, uuid, 60))
        assert (approval.kind, approval.uuids) == (ApprovalKind.SHORTEN, (uuid,))
        await settle(rig, 61 + GRACE)
        assert await state(rig, uuid) is State.ACTIVE
        assert [await refused(rig, approval, person) for person in (ANNA, ROOT, Person("dora", 1004), Person("anna-too", 1001, may_approve=True))] == [
            "needs-approval"
        ] * 4
        await rig.service.approve(approval.id, fingerprint=approval.fingerprint, person=BORIS)
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
        assert (await rig.service.approval(first.id)).state is ApprovalState.WITHDRAWN
        await rig.subscribe(uuid, seconds=200_000, account=ACCOUNT.value, number="s-0")
        assert await refused(rig, second, BORIS) == "drift"
        assert (await rig.service.approval(second.id)).state is ApprovalState.WITHDRAWN
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
        await rig.world.ledger.approvals.agree(approval.id, BORIS.name, rig.clock.now(), fingerprint=approval.fingerprint)  # type: ignore[union-attr]
        rig.clock.move(5)
        await rig.service.approve(approval.id, fingerprint="", person=BORIS)
        cut = await rig.ledger.subscriptions.get(uuid)
        assert cut is not None
        assert cut.expires_at < before.expires_at
        rig.clock.move(5)
        await rig.subscribe(uuid, seconds=(before.expires_at - rig.clock.now()).total_seconds(), account=ACCOUNT.value, number="s-0")
        await rig.service.approve(approval.id, fingerprint="", person=BORIS)
        after = await rig.ledger.subscriptions.get(uuid)
        assert after is not None
        assert after.expires_at == before.expires_at


async def test_nothing_else_of_a_term_is_changed_with_its_end(tmp_path: Path) -> None:
    """Another policy or subscription beside the earlier end is not even asked about; many at once are not either."""
    async with Rig.on_disk(str(tmp_path)) as rig:
        (uuid,) = await bound(rig, 1)
        with pytest.raises(RefusedError, match="agrees to that alone") as caught:
            await rig.service.set_subscription(_earlier(rig, uuid, 60, minor=True), ANNA)
        assert caught.value.codes == ("needs-approval",)
        with pytest.raises(RefusedError):
            await rig.service.import_subscriptions([_earlier(rig, uuid, 60)], "anna")
        assert await rig.service.approvals() == ()
