"""Two people: who may agree to what another person asked, when that is enough, and when it lapses."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.decide.nouns import HOUR, NOON, PHONE
from wiped.decide import approval
from wiped.model.approvals import Approval, ApprovalState, Person
from wiped.model.plan import RefusalCode
from wiped.model.policy import Safety
from wiped.model.subscription import WipeRequest

BOB = Person("bob", 1001, may_approve=True)
ASKED = Approval("a-1", "wipe", "r-1", (PHONE,), "f" * 64, "alice", 1000, NOON, NOON + HOUR)


def test_root_is_nobody_in_particular_and_takes_two() -> None:
    """What a shared account asked needs two other people; what one person asked needs one."""
    assert [approval.needed(Person("alice", 1000)), approval.needed(Person("root", 0)), approval.needed(Person("", 5))] == [1, 2, 2]


@pytest.mark.parametrize(
    ("person", "changes", "after", "code"),
    [
        (BOB, {}, timedelta(), None),
        (BOB, {}, HOUR, RefusalCode.EXPIRED_APPROVAL),
        (BOB, {"state": ApprovalState.EXPIRED}, timedelta(), RefusalCode.EXPIRED_APPROVAL),
        (BOB, {"state": ApprovalState.REJECTED}, timedelta(), RefusalCode.NEEDS_APPROVAL),
        (Person("root", 0, may_approve=True), {}, timedelta(), RefusalCode.NEEDS_APPROVAL),
        (Person("bob", 1001), {}, timedelta(), RefusalCode.NEEDS_APPROVAL),
        (Person("alice", 1001, may_approve=True), {}, timedelta(), RefusalCode.NEEDS_APPROVAL),
        (Person("alias", 1000, may_approve=True), {}, timedelta(), RefusalCode.NEEDS_APPROVAL),
    ],
)
def test_who_may_agree(person: Person, changes: dict[str, object], after: timedelta, code: RefusalCode | None) -> None:
    """Another person with the role, in time; a name or a uid in common makes two identities one person."""
    refusal = approval.objection(person, replace(ASKED, **changes), NOON + after)  # type: ignore[arg-type]
    assert (refusal.code if refusal else None) == code


def test_enough_counts_different_people_without_the_requester() -> None:
    """Two agreements of one person are one, and the requester's is none."""
    two = replace(ASKED, needed=2)
    assert [approval.enough(replace(two, approvals=names)) for names in (("bob", "bob"), ("bob", "alice"), ("bob", "carol"))] == [False, False, True]


def test_an_agreement_that_is_repeated_renews_nothing() -> None:
    """Only the same person, still in time and with the role, repeats what they agreed to."""
    done = replace(ASKED, state=ApprovalState.APPROVED, approvals=("bob",))
    assert approval.said_again(BOB, done, NOON)
    assert not approval.said_again(BOB, done, NOON + HOUR)
    assert not approval.said_again(replace(BOB, may_approve=False), done, NOON)
    assert not approval.said_again(replace(BOB, name="carol"), done, NOON)


def test_one_fingerprint_for_many_phones() -> None:
    """A single phone keeps its own; several have one digest, whatever their order."""
    assert approval.combined({PHONE: "x"}) == "x"
    assert approval.combined({"a": "1", "b": "2"}) == approval.combined({"b": "2", "a": "1"}) != approval.combined({"a": "2", "b": "1"})


def test_an_agreement_lapses_and_a_signature_does_not() -> None:
    """`approved_until` ends an agreement; billing's signature stands for itself."""
    request = WipeRequest("r-1", "deletion", "no-consent", NOON, approved=True, approved_until=NOON + HOUR)
    assert approval.stands(request, NOON)
    assert not approval.stands(request, NOON + HOUR)
    assert not approval.stands(replace(request, approved=False), NOON)
    assert approval.stands(replace(request, approved=False, signed=True), NOON + HOUR)
    assert approval.expires_at(NOON, Safety(approval_ttl=60)) == NOON + timedelta(seconds=60)
