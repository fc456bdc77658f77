"""Policies as they were when a customer was told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.decide.nouns import DAY, NOON, subscription
from wiped.decide.policies import Promise, Promises, as_promised, remembered, shortened
from wiped.model.policy import Policy

LONG, SHORT = Policy(grace=30 * 86_400, minor_grace=600), Policy(grace=3_600, minor_grace=600)
TERM = subscription()  # its end was recorded thirty days before NOON


def history(*steps: tuple[float, Policy]) -> Promises:
    """What was configured, days after NOON."""
    found: Promises = {}
    for days, policy in steps:
        found = remembered(found, {"default": policy}, NOON + days * DAY)
    return found


@pytest.mark.parametrize(
    ("steps", "grace"),
    [
        ([(-60, LONG), (-10, SHORT)], LONG.grace),
        ([(-60, SHORT), (-10, LONG)], LONG.grace),
        ([(-60, LONG), (-40, SHORT)], SHORT.grace),
        ([(-60, SHORT), (-20, LONG), (-10, SHORT)], LONG.grace),
        ([(-10, SHORT)], SHORT.grace),
        ([], SHORT.grace),
    ],
)
def test_the_longest_grace_since_the_end_was_recorded_counts(steps: list[tuple[float, Policy]], grace: int) -> None:
    """What was longer before that is over; what was never promised is not."""
    now = steps[-1][1] if steps else SHORT
    assert as_promised(now, history(*steps), TERM).grace == grace


def test_a_renewal_is_told_the_new_grace() -> None:
    """Its end is recorded after the change."""
    promised = history((-60, LONG), (-10, SHORT))
    assert as_promised(SHORT, promised, replace(TERM, first_recorded_at=NOON - 5 * DAY)) is SHORT


def test_minors_have_their_own_grace() -> None:
    """Each of the two by itself."""
    longer = replace(SHORT, minor_grace=86_400)
    promised = history((-60, longer), (-10, LONG))
    found = as_promised(LONG, promised, TERM)
    assert (found.grace, found.minor_grace) == (LONG.grace, 86_400)
    assert shortened(history((-60, longer)), {"default": LONG}) == ("default",)


def test_what_did_not_change_is_remembered_once_and_what_is_gone_stays() -> None:
    """A policy that comes back shorter is still shorter."""
    promised = history((-60, LONG), (-50, LONG))
    assert promised == {"default": (Promise(NOON - 60 * DAY, LONG.grace, LONG.minor_grace),)}
    assert remembered(promised, {}, NOON) == promised
    assert shortened(promised, {}) == ()
    assert shortened(promised, {"default": SHORT, "new": SHORT}) == ("default",)
    assert as_promised(Policy(name="other"), promised, TERM) == Policy(name="other")
