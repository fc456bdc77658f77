"""What can make a phone due: the end of its term and requests, each with its own clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.decide.nouns import DAY, HOUR, NOON, facts, subscription
from wiped.decide.triggers import binding, binds, of_request, term
from wiped.model.instants import NEVER
from wiped.model.policy import Policy, Safety
from wiped.model.subscription import WipeRequest

POLICY, SAFETY = Policy(grace=3_600, deadline=7_200, minor_grace=0, minor_deadline=1_800), Safety(settle=60)
ASKED = WipeRequest("r-1", "deletion", "no-consent", NOON - DAY)
AGREED = replace(ASKED, approved=True, approved_at=NOON - DAY + HOUR)
MINUTE = timedelta(minutes=1)


def test_a_term_is_due_after_its_grace_and_never_before_it_settled() -> None:
    """From its end, or from when the end was first recorded if that was later; without grace the settling time counts."""
    assert term(subscription(), POLICY, SAFETY).due_at == NOON + HOUR
    assert term(subscription(first_recorded_at=NOON + DAY), POLICY, SAFETY).due_at == NOON + DAY + HOUR
    minor = term(subscription(minor=True), POLICY, SAFETY)
    assert (minor.due_at, minor.overdue_at, minor.without_grace) == (NOON + MINUTE, NOON + timedelta(minutes=30), True)


@pytest.mark.parametrize(
    ("request_", "now", "expected"),
    [
        (ASKED, NOON - HOUR, False),
        (ASKED, NOON, True),
        (AGREED, NOON - HOUR, True),
        (replace(AGREED, approved_until=NOON - 2 * HOUR), NOON - HOUR, False),
        (replace(AGREED, kind="leak"), NOON, False),
    ],
)
def test_a_request_binds_after_the_term_or_with_a_second_person(request_: WipeRequest, now: object, expected: bool) -> None:
    """While the term runs somebody else must have agreed; a reported leak never erases."""
    assert binds(request_, subscription(), now) is expected  # type: ignore[arg-type]


def test_a_request_is_due_once_it_was_agreed_to_and_has_settled() -> None:
    """Not before the agreement, not before a drain's date, and without any after the end of the term."""
    assert of_request(AGREED, subscription(), POLICY, SAFETY, NOON - HOUR).due_at == NOON - DAY + HOUR
    assert of_request(ASKED, subscription(), POLICY, SAFETY, NOON).due_at == NOON + MINUTE
    drained = replace(AGREED, kind="drain", effective_at=NOON - HOUR)
    assert of_request(drained, subscription(), POLICY, SAFETY, NOON).due_at == NOON - HOUR + MINUTE


def test_the_earliest_that_binds_wins() -> None:
    """A request that does not bind changes nothing; a guardian's has the shorter deadline and goes first."""
    assert binding(facts(NOON - HOUR, requests=(ASKED,)), subscription(), POLICY, SAFETY, NOON - HOUR).kind == "expiry"
    guardian = replace(AGREED, kind="guardian", ground="guardian-notice")
    found = binding(facts(NOON - HOUR, requests=(AGREED, guardian)), subscription(), POLICY, SAFETY, NOON - HOUR)
    assert found.kind == "deletion"
    first = of_request(guardian, subscription(), POLICY, SAFETY, NOON - HOUR)
    assert (first.urgent, first.overdue_at) == (True, max(first.due_at, NOON - DAY + timedelta(minutes=30)))


def test_a_term_without_an_end_gives_no_notice_and_is_never_due() -> None:
    """Whatever the policy's spans are; a request still binds."""
    endless = subscription(expires_at=NEVER)
    found = term(endless, replace(POLICY, notice=(60, 3_660 * 86_400), grace=3_660 * 86_400, deadline=3_660 * 86_400), SAFETY)
    assert found.notices == ()
    assert found.due_at > NEVER
    assert of_request(AGREED, endless, POLICY, SAFETY, NOON - HOUR).due_at == NOON - DAY + HOUR
