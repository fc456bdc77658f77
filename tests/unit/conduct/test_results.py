"""How a run of a wipe may end: what the signals carry to whoever unwinds them."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.unit.decide.nouns import found, inventory
from wiped.conduct.results import CalledOffError, RefusedPlanError
from wiped.decide.plan import make_plan
from wiped.model.inventory import DomainFacts
from wiped.model.plan import Refusal, RefusalCode
from wiped.model.policy import StorageRules
from wiped.model.subscription import Action, Decision, Reason, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_refused_plan_tells_every_refusal_and_each_code_once() -> None:
    """To others it is a refusal like any other: codes in order, the first is the main one; place and detail of each in the text."""
    refusals = (
        Refusal(RefusalCode.UNREADABLE, "/srv/a", "a dead mount"),
        Refusal(RefusalCode.HARD_LINK, "/srv/b", "two names"),
        Refusal(RefusalCode.UNREADABLE, "/srv/c", "a pipe"),
    )
    plan = make_plan(inventory(found("/srv/phones/a", 1)), 1, StorageRules(roots=("/srv/phones",)))
    error = RefusedPlanError(DomainFacts(uuid="u", name="n"), plan, refusals)
    assert (error.codes, error.plan is plan) == ((RefusalCode.UNREADABLE, RefusalCode.HARD_LINK), True)
    assert str(error) == "unreadable: /srv/a a dead mount; hard-link: /srv/b two names; unreadable: /srv/c a pipe"


def test_a_wipe_that_is_called_off_says_why() -> None:
    """By the decision's reasons."""
    decision = Decision(State.ACTIVE, (), Action.NONE, None, None, (Reason("active", "the term runs"), Reason("held", "a hold")))
    error = CalledOffError(decision)
    assert (str(error), error.decision) == ("active, held", decision)
