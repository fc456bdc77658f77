"""What takes two people: asked once, agreed to by others, settled once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.contract.ledger import bind
from tests.fakes.clock import START
from tests.unit.record.rig import DAY, PHONE, domain
from wiped.errors import InputError, NotFoundError, RefusedError
from wiped.model.approvals import Approval, ApprovalState
from wiped.ports.ledger import Ledger

WORDS = "the customer wrote a letter"


def wanted(approval_id: str = "a-1", *, subject: str = "r-1", needed: int = 1, by: str = "ann") -> Approval:
    """A wipe of the phone that waits for another person."""
    return Approval(approval_id, "wipe", subject, (PHONE,), "f" * 64, by, 1001, START, START + 3 * DAY, needed=needed)


async def asked(ledger: Ledger, **changes: object) -> Approval:
    """A bound phone, and an approval about it."""
    await ledger.phones.see([domain()], START)
    await bind(ledger)
    return await ledger.approvals.ask(wanted(**changes), reason=WORDS)  # type: ignore[arg-type]


async def test_what_waits_for_the_same_subject_is_not_asked_for_twice(ledger: Ledger) -> None:
    """The first is returned; another subject is another approval; the words are sealed and not in the audit log."""
    first = await asked(ledger)
    assert await ledger.approvals.ask(wanted("a-2"), reason="again") == first
    other = await ledger.approvals.ask(wanted("a-3", subject="r-2"), reason="")
    assert await ledger.approvals.find() == (first, other)
    assert await ledger.approvals.get("a-1") == first
    assert await ledger.approvals.get("a-2") is None
    assert await ledger.words.about("a-1") == {"reason": WORDS}
    entries = await ledger.audit.entries()
    assert [entry.body["id"] for entry in entries if entry.kind == "approval-asked"] == ["a-1", "a-3"]
    assert WORDS not in repr(entries)


async def test_one_other_person_is_enough_for_one_who_is_somebody(ledger: Ledger) -> None:
    """Agreed to once, however often the same person says so; the phone is decided again; nothing is pending any more."""
    first = await asked(ledger)
    for _ in range(2):
        agreed = await ledger.approvals.agree("a-1", "ben", START, fingerprint=first.fingerprint)
        assert (agreed.state, agreed.approvals, agreed.decided_at) == (ApprovalState.APPROVED, ("ben",), START)
    assert await ledger.approvals.find() == ()
    assert await ledger.approvals.find(unfinished=False) == (agreed,)
    assert PHONE in await ledger.decisions.due(START)
    assert [entry.body["approver"] for entry in await ledger.audit.entries() if entry.kind == "approval-given"] == ["ben"]
    with pytest.raises(InputError):
        await ledger.approvals.agree("a-1", "cleo", START, fingerprint=first.fingerprint)


async def test_two_people_are_needed_for_a_shared_account(ledger: Ledger) -> None:
    """One person twice is one person."""
    first = await asked(ledger, needed=2, by="root")
    for _ in range(2):
        assert (await ledger.approvals.agree("a-1", "ben", START, fingerprint=first.fingerprint)).state is ApprovalState.PENDING
    assert (await ledger.approvals.agree("a-1", "cleo", START, fingerprint=first.fingerprint)).state is ApprovalState.APPROVED


async def test_what_cannot_be_agreed_to(ledger: Ledger) -> None:
    """By the asker, of another plan, or too late; nothing is recorded of it."""
    first = await asked(ledger)
    for name, fingerprint, now, code in (
        ("ann", first.fingerprint, START, "needs-approval"),
        ("ben", "e" * 64, START, "drift"),
        ("ben", first.fingerprint, first.expires_at, "approval-expired"),
    ):
        with pytest.raises(RefusedError) as caught:
            await ledger.approvals.agree("a-1", name, now, fingerprint=fingerprint)
        assert caught.value.codes == (code,)
    assert await ledger.approvals.get("a-1") == first
    with pytest.raises(NotFoundError):
        await ledger.approvals.agree("a-9", "ben", START, fingerprint="")


async def test_a_changed_plan_voids_what_was_agreed_to(ledger: Ledger) -> None:
    """It stays pending, with the new fingerprint and nobody's agreement; the same fingerprint changes nothing."""
    first = await asked(ledger, needed=2, by="root")
    agreed = await ledger.approvals.agree("a-1", "ben", START, fingerprint=first.fingerprint)
    assert await ledger.approvals.settle("a-1", ApprovalState.PENDING, START, operator="daemon", fingerprint=first.fingerprint) == agreed
    changed = await ledger.approvals.settle("a-1", ApprovalState.PENDING, START, operator="daemon", fingerprint="e" * 64)
    assert (changed.state, changed.fingerprint, changed.approvals) == (ApprovalState.PENDING, "e" * 64, ())
    assert await ledger.approvals.get("a-1") == changed


@pytest.mark.parametrize("state", [ApprovalState.REJECTED, ApprovalState.WITHDRAWN, ApprovalState.EXPIRED])
async def test_what_is_settled_stays_settled(ledger: Ledger, state: ApprovalState) -> None:
    """Once; the subject may be asked for again."""
    await asked(ledger)
    later = START + timedelta(hours=1)
    settled = await ledger.approvals.settle("a-1", state, later, operator="ben")
    assert (settled.state, settled.decided_at) == (state, later)
    assert await ledger.approvals.settle("a-1", ApprovalState.REJECTED, later + DAY, operator="cleo") == settled
    assert [entry.body["state"] for entry in await ledger.audit.entries() if entry.kind == "approval-settled"] == [str(state)]
    assert (await ledger.approvals.ask(wanted("a-2"), reason="")).id == "a-2"
