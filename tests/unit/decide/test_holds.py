"""Legal holds in a decision: in force until their end, announced before it, and deciding anew at both instants."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.decide.nouns import DAY, HOUR, NOON
from wiped.decide.holds import active_holds, ending_holds, with_holds
from wiped.model.policy import Safety
from wiped.model.subscription import Action, Decision, Hold, State

SAFETY = Safety(hold_warning=3_600)
DATED, ENDLESS = Hold("h-1", "u", "", "litigation", until=NOON), Hold("h-2", "u", "", "legal-duty")
DUE = Decision(state=State.DUE, flags=(), action=Action.FENCE, next_at=None, next_state=None, reasons=())


def test_a_hold_ends_at_its_instant() -> None:
    """Until the second before it is in force; one without a date always is."""
    assert active_holds((DATED, ENDLESS), NOON - timedelta(seconds=1)) == (DATED, ENDLESS)
    assert active_holds((DATED, ENDLESS), NOON) == (ENDLESS,)


def test_an_end_is_announced_in_its_last_hour_alone() -> None:
    """From the warning's first second to the one before the end."""
    told = [at for at in (NOON - HOUR - timedelta(seconds=1), NOON - HOUR, NOON - timedelta(seconds=1), NOON) if ending_holds((DATED, ENDLESS), SAFETY, at)]
    assert told == [NOON - HOUR, NOON - timedelta(seconds=1)]


def test_the_decision_is_made_again_at_both_instants() -> None:
    """At the warning, then at the end; a reason says so in between."""
    early, late = with_holds(DUE, (DATED,), SAFETY, NOON - DAY), with_holds(DUE, (DATED,), SAFETY, NOON - HOUR)
    assert (early.next_at, early.next_state, early.reasons) == (NOON - HOUR, State.DUE, ())
    assert (late.next_at, [reason.code for reason in late.reasons]) == (NOON, ["hold-ends-soon"])
    assert with_holds(DUE, (ENDLESS,), SAFETY, NOON) == DUE
